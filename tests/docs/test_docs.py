"""Every command of the documentation is run, and every piece of config checked.

A page is a test: its blocks run in order, in an empty directory, beside the stage that it names. A
failure names page and line. How a page says what cannot be seen stands in `page.py`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness.cyan import PROGRAM

from docs.output import shows
from docs.page import ROOT, Page, pages
from docs.ports import Ports
from docs.shell import Failed, Shell
from docs.stage import stage
from docs.toml_text import completed

PAGES = pages()
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def with_blocks(kind) -> list:
    chosen = [page for page in PAGES if any(kind(block) for block in page.blocks)]
    return [pytest.param(page, id=page.name) for page in chosen]


@pytest.mark.parametrize("page", with_blocks(lambda block: block.is_run))
def test_commands(page: Page, tmp_path: Path) -> None:
    ports = Ports()
    home, beside = tmp_path / "home", tmp_path / "stage"
    home.mkdir(), beside.mkdir()
    (beside / "bin").mkdir()
    (beside / "bin/cyan").symlink_to(PROGRAM.resolve())
    for part in ("examples", "config"):  # the reader stands in a checkout
        (home / part).symlink_to(ROOT / part)
    variables = {
        # `cyan` is the program under test, whatever its file is called; `uvicorn` is beside this Python.
        "PATH": f"{beside}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CYAN_ADMIN": f"http://127.0.0.1:{ports.real(9901)}",
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    with stage(page.stage, beside, ports), Shell(home, ports, variables) as shell:
        for block in page.blocks:
            if "file" in block.notes:
                add_admin(shell.write(block), ports)
            elif block.is_run:
                shell.run(block)


def add_admin(path: Path, ports: Ports) -> None:
    """Keeps a config of a page away from the admin port of whoever runs Cyan on this machine."""
    text = path.read_text()
    if path.suffix == ".toml" and "[listen]" in text and "[admin]" not in text:
        path.write_text(f'{text}\n[admin]\naddress = "127.0.0.1:{ports.real(9901)}"\n')


@pytest.mark.parametrize("page", with_blocks(lambda block: block.language == "toml"))
def test_config(page: Page, tmp_path: Path) -> None:
    for block in page.blocks:
        if block.language == "toml" and "needs" not in block.notes:
            text, variables = completed(block.text, tmp_path)
            file = tmp_path / "cyan.toml"
            file.write_text(text)
            command = [str(PROGRAM), "check", str(file)]
            environment = os.environ | variables
            said = subprocess.run(command, env=environment, capture_output=True, text=True)
            if said.returncode != 0:
                raise Failed(block, "cyan check:", said.stdout + said.stderr)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_form(page: Page) -> None:
    """No command hides from the tests, and no link leads nowhere."""
    dead = [
        f"{page.name}: leads nowhere: {target}{anchor}"
        for target, anchor in LINK.findall(FENCED.sub("", page.path.read_text()))
        if "://" not in target
        and not target.startswith("mailto:")
        and not leads_somewhere(page.path, target, anchor[1:])
    ]
    assert not page.problems + dead, "\n".join(page.problems + dead)


def leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    """Whether a relative link has a file, and its anchor a heading there."""
    file = page.parent / target if target else page
    return file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file))


def anchors(page: Path) -> set[str]:
    """Of the headings, as those who show Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in plain}


def test_titles_of_troubles_are_sentences_of_the_program() -> None:
    """Who searches for what Cyan printed finds the page."""
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    source = re.sub(r"\\\n\s*", "", source)
    page = (ROOT / "docs/trouble/README.md").read_text()
    pieces = [
        piece.strip()
        for title in re.findall(r"^### `(.*)`$", page, re.MULTILINE)
        for piece in title.replace("\\`", "`").split("…")
    ]
    unknown = [piece for piece in pieces if len(piece) > 8 and piece not in source]
    assert pieces and not unknown, "not in src/:\n" + "\n".join(unknown)


def test_the_book_has_every_page_and_links_within_itself() -> None:
    """What a page says of other files of the repository it says by their name."""
    docs = ROOT / "docs"
    listed = {target for target, _ in LINK.findall((docs / "SUMMARY.md").read_text())}
    pages = {path.relative_to(docs): path for path in docs.rglob("*.md")}
    missing = sorted(str(page) for page in pages if str(page) not in listed | {"SUMMARY.md"})
    assert not missing, f"not in docs/SUMMARY.md: {', '.join(missing)}"
    outside = [
        f"{page}: {target}"
        for page, path in pages.items()
        for target, _ in LINK.findall(FENCED.sub("", path.read_text()))
        if "://" not in target and docs not in (path.parent / target).resolve().parents
        if target and (path.parent / target).resolve() != docs
    ]
    assert not outside, "leads out of docs/: " + ", ".join(outside)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("green got 5 of 100", "green  got 17 of 1 204", True),
        ("green got 5", "blue got 5", False),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nd", True),
        ("a … d", "a b c d", True),
        ("a\nd", "a\nb\nd", False),
        ("v41 100 %", "v41 99.5 %", True),
    ],
)
def test_what_a_page_shows_is_compared_by_its_words(shown: str, printed: str, same: bool) -> None:
    assert shows(shown, printed) == same
