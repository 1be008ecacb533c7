#!/usr/bin/env python3
"""Takes the pictures of the dashboard that docs/dashboard.md shows.

    CYAN_PROGRAM=target/debug/cyan docs/pictures/dashboard.py

Each state is reached as the browser tests reach it: by a rollout against emulated servers. The pictures
have few colours, so that they are small; they are as wide as a desk's screen or a phone's.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "sdk")]

from browser.stage import Stage, reach, settled, stage_of  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

IMAGES = ROOT / "docs" / "images"
STATES = ["idle", "ramping", "held", "shared", "rolled_back", "done"]
LOOKS = {"light": (1280, 760, "light"), "dark": (1280, 760, "dark"), "phone": (360, 740, "dark")}
COLOURS = 128
BYTES_MAX = 150_000


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    program = os.environ.get("CYAN_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for state in STATES:
            with stage_of(state, Path(home) / state) as stage:
                reach(stage, state)
                for look in LOOKS:
                    take(browser, stage, state, look)
                if state == "ramping":
                    take_whole(browser, stage)
                    take_lost(browser, stage)
        browser.close()


def take(browser: Browser, stage: Stage, state: str, look: str) -> None:
    """The first screen of a state."""
    page = opened(browser, stage, look)
    save(page.screenshot(), f"{state}-{look}")
    page.close()


def take_whole(browser: Browser, stage: Stage) -> None:
    """All of the page, with histograms."""
    page = opened(browser, stage, "light")
    page.keyboard.press("g")
    save(page.screenshot(full_page=True), "whole-light")
    page.close()


def take_lost(browser: Browser, stage: Stage) -> None:
    """What the page says when nobody answers."""
    pages = {look: opened(browser, stage, look) for look in ("light", "phone")}
    stage.kill()
    for look, page in pages.items():
        expect(page.locator("#word")).to_have_text("DISCONNECTED")
        save(page.screenshot(), f"disconnected-{look}")
        page.close()


def opened(browser: Browser, stage: Stage, look: str):
    width, height, scheme = LOOKS[look]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(stage.page)
    settled(page)
    return page


def save(picture: bytes, name: str) -> None:
    """Writes a picture with few colours."""
    path = IMAGES / f"dashboard-{name.replace('_', '-')}.png"
    path.write_bytes(picture)
    Image.open(path).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}  {size} bytes")
    assert size < BYTES_MAX, "a picture of the documentation is small"


if __name__ == "__main__":
    main()
