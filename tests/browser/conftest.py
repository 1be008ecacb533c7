"""A real browser, and a service in each state, brought there once for all tests that look at it."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from browser.stage import SIZES, Stage, reach, settled, stage_of


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CYAN_CHROMIUM") or shutil.which("chromium")
    assert program, "chromium is not installed; ./test installs it"
    with sync_playwright() as playwright:
        # Its sandbox needs rights that a container does not give; it opens only pages of this test.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Page]]:
    """Opens the dashboard of a stage, and fails the test for every error that the page logs."""
    contexts, errors = [], []

    def open_page(stage: Stage, size: str = "wide", scheme: str = "light", **options) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(stage.page)
        if options.get("java_script_enabled", True):
            settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    """One stage for one test, which may do with it what it wants."""
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture(scope="session")
def in_state(request, tmp_path_factory) -> Iterator[tuple[str, Stage]]:
    """A stage in the state that a test is parametrised with; it is only looked at, by the tests of all files."""
    state = request.param
    with stage_of(state, tmp_path_factory.mktemp(state)) as stage:
        reach(stage, state)
        yield state, stage
