"""Each state as an operator meets it: in words before any script, at three widths and in both themes."""

import html
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.stage import SIZES, STATES, answer_of

pytestmark = pytest.mark.parametrize("in_state", STATES, indirect=True, scope="module")

WORDS = {
    "idle": "IDLE",
    "ramping": "RAMPING",
    "paused": "PAUSED",
    "held": "HELD",
    "rolled_back": "ROLLED BACK",
    "done": "DONE",
}
BUTTONS = {
    "idle": ["Start rollout…", "More…"],
    "ramping": ["↩ Roll back", "Pause", "Promote…", "More…"],
    "paused": ["↩ Roll back", "Resume…", "Promote…", "More…"],
    "held": ["↩ Roll back", "Keep holding", "Resume…", "Promote anyway…", "More…"],
    "rolled_back": ["Read why", "Start again…", "More…"],
    "done": ["↩ Roll back", "Release blue now…", "More…"],
}
SENTENCES = {
    "idle": r"Everything goes to blue \(v41\)\. No rollout is running\.",
    "ramping": r"Green is holding up at 10 %: \d+\.\d % of its \d+ requests failed, blue .* of \d+\.",
    "paused": r"api paused green at 10 % since .* UTC: “waiting for legal”\.",
    "held": r"Held at 10 % since .* UTC: .*requests.*",
    "rolled_back": r"Rolled back at .* UTC by the guard: green failed \d+ of \d+ requests(, blue .*)?\.",
    "done": r"Green \(v42\) is active since .* UTC\. Blue stays ready\.",
}
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Charts are drawn anew with the frame that has the new size.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
CLIPPED = """() => [...document.querySelectorAll("body *")].filter((node) =>
    node.clientWidth > 0 && !(node instanceof SVGElement) && !node.closest("svg")
    && node.scrollWidth > node.clientWidth + 1
    && (getComputedStyle(node).overflowX !== "visible" || node.getBoundingClientRect().right > innerWidth + 1)
  ).map((node) => `${node.tagName} ${node.id || node.className}: ${node.scrollWidth} > ${node.clientWidth}`)"""
OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((node) => {
    const { left, right, width } = node.getBoundingClientRect();
    return width > 0 && (left < -1 || right > innerWidth + 1);
  }).map((node) => `${node.tagName} ${node.id}`)"""


def test_the_state_is_in_the_page_before_any_script_runs(in_state):
    state, stage = in_state
    text = html.unescape(answer_of(stage.page))
    said = re.search(r'<h1 id="sentence"[^>]*>(.*?)</h1>', text).group(1)
    assert f'<span id="word">{WORDS[state]}</span>' in text
    assert re.fullmatch(SENTENCES[state], said), said
    assert "0 %" in re.search(r'<ul id="shares"[^>]*>(.*?)</ul>', text).group(1)


def test_without_scripts_the_page_says_what_the_api_says(in_state, open_page):
    state, stage = in_state
    page = open_page(stage, java_script_enabled=False)
    assert page.locator("#word").inner_text() == WORDS[state]
    assert page.locator("#next").inner_text() != ""


def test_sentence_and_buttons_are_those_of_the_state(in_state, open_page):
    state, stage = in_state
    page = open_page(stage)
    assert page.locator("#word").inner_text() == WORDS[state]
    sentence = page.locator("#sentence").inner_text()
    assert re.fullmatch(SENTENCES[state], sentence), sentence
    assert page.locator("#actions button").all_inner_texts() == BUTTONS[state]
    assert WORDS[state].lower() in page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_and_nothing_breaks_a_rule_of_wcag(in_state, open_page, scheme):
    _, stage = in_state
    page = open_page(stage, "phone", scheme)
    for size, (width, height) in {**SIZES, "zoomed to 400 %": (320, 256)}.items():
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(DRAWN)
        scrolled, client = page.evaluate(WIDTHS)
        assert scrolled <= client, size
        assert page.evaluate(CLIPPED) == [], size
        assert page.evaluate(OUTSIDE) == [], size
        if size in ("phone", "wide"):
            found = Axe().run(page, options={"runOnly": WCAG})
            assert found.violations_count == 0, f"{size}: {found.generate_report()}"


def test_the_first_screen_answers_without_scrolling(in_state, open_page):
    """State, sentence, what comes next, shares and what can be done stand above the fold of a phone."""
    state, stage = in_state
    page = open_page(stage, "phone")
    page.set_viewport_size({"width": 360, "height": 640})
    wanted = ["#word", "#sentence", "#next", *(["#actions button"] if BUTTONS[state] else [])]
    for part in wanted:
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 640, f"{part} in {state}"


def test_targets_are_large_enough_for_a_thumb(in_state, open_page):
    _, stage = in_state
    page = open_page(stage, "phone")
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, input")].filter((node) => {
            const { width, height } = node.getBoundingClientRect();
            return width > 0 && (height < 44 || width < 44);
        }).map((node) => node.textContent)"""
    )
    assert small == []
