"""Whether a command printed what its page shows.

Words must be the same. Numbers were measured when the page was written and are others today, so any
number stands for any number; `…` stands for anything within a line, and alone in a line for any lines.
Empty lines do not count. What `echo $?` prints is compared exactly.
"""

import re

ANY_LINES = "…"

_NUMBER = r"[-+]?\d+(?:[ .,:]\d+)*(?:e[-+]?\d+)?"
_PIECE = re.compile(rf"(…)|({_NUMBER})|(\s+)")


def shows(page: str, printed: str, exact: bool = False) -> bool:
    """Whether what was printed has the form of what the page shows."""
    if exact:
        return page.strip() == printed.strip()
    return _match(_lines(page), _lines(printed))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _match(shown: list[str], printed: list[str]) -> bool:
    """Row by row, which beginnings of `printed` the beginning of `shown` fits; no backtracking."""
    fits = [True] + [False] * len(printed)
    for line in shown:
        if line == ANY_LINES:
            fits = [any(fits[: end + 1]) for end in range(len(fits))]
        else:
            same = re.compile(_pattern(line))
            fits = [False] + [
                before and same.fullmatch(text) is not None
                for before, text in zip(fits, printed, strict=False)
            ]
    return fits[-1]


def _pattern(line: str) -> str:
    made, last = "", 0
    for found in _PIECE.finditer(line):
        made += re.escape(line[last : found.start()])
        made += ".*" if found[1] else _NUMBER if found[2] else r"\s+"
        last = found.end()
    return made + re.escape(line[last:])
