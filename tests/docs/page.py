"""A page of the documentation, cut into what can be run and what can be checked.

The language of a fence says what is in it: `sh` commands; `console` commands after `$ ` and what they
print; `toml` config. A comment in the line before a fence says what cannot be seen in it:

    <!-- test: background 8080 -->   goes on running; the next block waits until the port is open
    <!-- test: exit 10 -->           exit code of the last command, 0 when not said
    <!-- file: cyan.toml -->         is written to this file instead of being run
    <!-- needs: cluster -->          cannot be run here; listed with a count

`<!-- stage: NAME -->` anywhere in a page says what runs beside its commands (`stage.py`).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SHELL = {"sh", "console"}
FORBIDDEN = {"bash", "shell", "zsh", "shell-session"}
"""One name per thing, or a page's commands would be missed by a word."""

_FENCE = re.compile(r"^( {0,3})(`{3,})\s*(\S*)")
_NOTE = re.compile(r"<!--\s*(test|file|needs|stage):\s*(.*?)\s*-->")
_UNFENCED = re.compile(r"^ {4,}\$? ?(cyan|curl|docker|kubectl|cargo|systemctl|benches/\S+) \S")


@dataclass
class Block:
    """A fenced block with the note before it."""

    page: Path
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """`README.md:12`, as editors understand it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in SHELL and not {"needs", "file"} & self.notes.keys()

    @property
    def background_ports(self) -> list[int] | None:
        words = self.notes.get("test", "").split()
        return [int(port) for port in words[1:]] if words[:1] == ["background"] else None

    @property
    def exit_code(self) -> int:
        words = self.notes.get("test", "").split()
        return int(words[1]) if words[:1] == ["exit"] else 0


@dataclass
class Page:
    """A page: its blocks in order, its stage, and commands that stand outside of fences."""

    path: Path
    stage: str
    blocks: list[Block]
    problems: list[str]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def pages() -> list[Page]:
    """Every page that a user reads; decisions are records and have no commands to follow."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    paths += sorted((ROOT / "docker").rglob("*.md"))
    return [read(path) for path in paths if "decisions" not in path.parts]


def read(path: Path) -> Page:
    page = Page(path, "empty", [], [])
    fence, notes, block = "", {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        opens = _FENCE.match(line)
        if block is not None:
            if opens and opens[2] == fence and not opens[3]:
                page.blocks.append(block)
                block, notes = None, {}
            else:
                if block.language not in SHELL and line.startswith("$ "):
                    page.problems.append(f"{path.relative_to(ROOT)}:{number}: a command; write console")
                block.text += line[indent:] + "\n"
        elif opens:
            indent, fence = len(opens[1]), opens[2]
            block = Block(path, number, opens[3], "", notes)
            if block.language in FORBIDDEN:
                page.problems.append(f"{block.place}: ```{block.language}; write sh or console")
        elif found := _NOTE.findall(line):
            notes = dict(found)
            page.stage = notes.pop("stage", page.stage)
        elif _UNFENCED.match(line):
            page.problems.append(f"{path.relative_to(ROOT)}:{number}: a command outside of a fence")
        elif line.strip():
            notes = {}
    if block is not None:
        page.problems.append(f"{block.place}: the fence is never closed")
    return page
