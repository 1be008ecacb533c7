"""Each state as an operator meets it: in words before any script, at three widths and in both themes."""

import html
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from browser.fit import ZOOMED, fits
from browser.stage import SIZES, STATES, answer_of, settled

pytestmark = pytest.mark.parametrize("in_state", STATES, indirect=True, scope="session")

WORDS = {
    "idle": "IDLE",
    "ramping": "RAMPING",
    "paused": "PAUSED",
    "held": "HELD",
    "shared": "HELD",
    "rolled_back": "ROLLED BACK",
    "done": "DONE",
}
BUTTONS = {
    "idle": ["Start rollout…", "More…"],
    "ramping": ["↩ Roll back", "Pause", "Promote…", "More…"],
    "paused": ["↩ Roll back", "Resume…", "Promote…", "More…"],
    "held": ["↩ Roll back", "Keep holding", "Resume…", "Promote anyway…", "More…"],
    "shared": ["↩ Roll back", "Keep holding", "Resume…", "Promote anyway…", "More…"],
    "rolled_back": ["Read why", "Start again…", "More…"],
    "done": ["↩ Roll back", "Release blue now…", "More…"],
}
SENTENCES = {
    "idle": r"Everything goes to blue \(v41\)\. No rollout is running\.",
    "ramping": r"Green is holding up at 10 %: \d+\.\d % of its \d+ requests failed, blue .* of \d+\.",
    "paused": r"api paused green at 10 % since .* UTC: “waiting for legal”\.",
    "held": r"Held at 10 % since .* UTC: .*requests.*",
    "shared": r"Held at \d+ % since .* UTC: blue and green are failing alike\. Failed in the last 60 s: "
    r"blue .* \(\d+ of \d+\), green .* \(\d+ of \d+\)\. Going back would not help, so nobody was moved, .*",
    "rolled_back": r"Rolled back at .* UTC by the guard: green failed \d+ of \d+ requests(, blue .*)?\.",
    "done": r"Green \(v42\) is active since .* UTC\. Blue stays ready\.",
}
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def page(in_state, browser: Browser) -> Iterator[Page]:
    """One page of each state, which all tests look at."""
    _, stage = in_state
    errors = []
    page = browser.new_page(viewport=dict(zip(("width", "height"), SIZES["phone"], strict=True)))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(stage.page)
    settled(page)
    yield page
    page.close()
    assert not errors


def test_the_state_is_in_the_page_before_any_script_runs(in_state):
    state, stage = in_state
    text = html.unescape(answer_of(stage.page))
    said = re.search(r'<h1 id="sentence"[^>]*>(.*?)</h1>', text).group(1)
    assert f'<span id="word">{WORDS[state]}</span>' in text
    assert re.fullmatch(SENTENCES[state], said), said
    assert "0 %" in re.search(r'<ul id="shares"[^>]*>(.*?)</ul>', text).group(1)
    assert re.search(r'<p id="next"[^>]*>.+</p>', text)


def test_sentence_and_buttons_are_those_of_the_state(in_state, page):
    state, stage = in_state
    assert page.locator("#word").inner_text() == WORDS[state]
    sentence = page.locator("#sentence").inner_text()
    assert re.fullmatch(SENTENCES[state], sentence), sentence
    assert page.locator("#actions button").all_inner_texts() == BUTTONS[state]
    assert WORDS[state].lower() in page.title()


def test_the_command_line_says_the_same(in_state, page):
    """One function makes the words; page and `cyan status` show them."""
    state, stage = in_state
    status = stage.cyan.cli("status")
    assert re.match(rf"chat +\S+ {WORDS[state]}  ", status), status
    if state in ("idle", "paused", "held", "rolled_back", "done"):  # nothing of it moves
        assert page.locator("#sentence").inner_text() in status


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_and_nothing_breaks_a_rule_of_wcag(in_state, page, scheme):
    page.emulate_media(color_scheme=scheme)
    for size in SIZES | ZOOMED:
        fits(page, size)
        if size in ("phone", "wide"):
            found = Axe().run(page, options={"runOnly": WCAG})
            assert found.violations_count == 0, f"{size}: {found.generate_report()}"


def test_the_first_screen_answers_without_scrolling(in_state, page):
    """State, sentence, what comes next and what can be done stand above the fold of a phone."""
    state, _ = in_state
    page.set_viewport_size({"width": 360, "height": 640})
    # The longest sentence, that of a shared incident, says more than what has to be seen at once.
    wanted = ["#word", "#sentence", "#next", "#actions button"] if state != "shared" else ["#word", "#actions button"]
    for part in wanted:
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 640, f"{part} in {state}"


def test_targets_are_large_enough_for_a_thumb(in_state, page):
    page.set_viewport_size({"width": 360, "height": 740})
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, input")].filter((node) => {
            const { width, height } = node.getBoundingClientRect();
            return width > 0 && (height < 44 || width < 44);
        }).map((node) => node.textContent)"""
    )
    assert small == []
