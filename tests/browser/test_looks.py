"""Who sees no colours, uses those of the system, or wants no motion: sides and states are told apart all the same."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Page, expect
from browser.fit import fits
from browser.stage import settled

SIGHTS = ["none", "protanopia", "deuteranopia", "tritanopia", "achromatopsia"]
DISTANCE_MIN = 25
"""Between the mean colours of two sides, of 441; a hatch and a gap stand between them besides."""


def picture(page: Page, selector: str, name: str) -> Image.Image:
    """A part of the page; kept where `CYAN_PICTURES` says, for somebody who looks."""
    data = page.locator(selector).screenshot()
    if folder := os.environ.get("CYAN_PICTURES"):
        (Path(folder) / f"{name}.png").write_bytes(data)
        (Path(folder) / f"{name}-page.png").write_bytes(page.screenshot())
    return Image.open(io.BytesIO(data)).convert("RGB")


def distance(one: Image.Image, other: Image.Image) -> float:
    means = zip(ImageStat.Stat(one).mean, ImageStat.Stat(other).mean, strict=True)
    return sum((a - b) ** 2 for a, b in means) ** 0.5


@pytest.mark.parametrize("in_state", ["ramping"], indirect=True, scope="session")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_blue_and_green_are_told_apart_by_whoever_looks(in_state, open_page, scheme):
    _, stage = in_state
    page = open_page(stage, scheme=scheme)
    session = page.context.new_cdp_session(page)
    for sight in SIGHTS:
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": sight})
        ribbon = picture(page, "#ribbon", f"{scheme}-{sight}")
        width, height = ribbon.size
        blue = ribbon.crop((width // 10, 0, width // 2, height))
        green = ribbon.crop((width - width // 14, 0, width, height))
        assert distance(blue, green) > DISTANCE_MIN, sight
        # A hatch has light and dark in it, a plain side has not: no hue is needed.
        spread = [max(ImageStat.Stat(side.convert("L")).stddev) for side in (blue, green)]
        assert spread[0] < 4 < spread[1], (sight, spread)
    shapes = page.locator(".shares svg.mark").evaluate_all(
        "(marks) => marks.map((mark) => mark.firstElementChild.outerHTML.replace(/fill=.*/, ''))"
    )
    assert len(set(shapes)) == len(shapes) == 2
    assert page.locator(".shares b").all_inner_texts() == ["blue", "green"]
    dashes = page.locator("#figures figure").first.locator("path[fill=none]").evaluate_all(
        "(lines) => lines.map((line) => line.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == 2, "lines differ without their colour"


@pytest.mark.parametrize("in_state", ["ramping", "held", "rolled_back"], indirect=True, scope="session")
def test_with_the_colours_of_the_system_outlines_and_glyphs_stay(in_state, open_page):
    state, stage = in_state
    page = open_page(stage, forced_colors="active")
    picture(page, "#band", f"forced-{state}")
    for size in ("phone", "wide"):
        fits(page, size)
    style = "(node) => { const s = getComputedStyle(node); return [s.borderTopStyle, parseFloat(s.borderTopWidth)]; }"
    for part in ("#band", "#actions button", *(["#ribbon i"] if state != "rolled_back" else [])):
        kind, width = page.locator(part).first.evaluate(style)
        assert (kind, width >= 1) == ("solid", True), part
    assert page.locator("#glyph").is_visible() and page.locator("#word").is_visible()
    taken, coming = (page.locator(f".track li{which}").first.evaluate(style) for which in (".taken", ":not(.taken)"))
    assert taken != coming, "steps that were taken have another line"


def test_who_wants_no_motion_gets_none(stage, open_page):
    page = open_page(stage, reduced_motion="reduce")
    moves = "(node) => getComputedStyle(node).transitionDuration"
    assert page.locator("#band").evaluate(moves) == "0s"
    assert page.evaluate("[...document.querySelectorAll('*')].filter((n) => getComputedStyle(n).transitionDuration !== '0s' || getComputedStyle(n).animationName !== 'none').length") == 0
    stage.start()
    expect(page.locator("#word")).to_have_text("RAMPING")
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.locator("#band").evaluate(moves) == "0.12s", "a fade of the band is all there is"
    settled(page)
