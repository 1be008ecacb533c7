"""The table of docs/conformance.md: every case, its source, and what each proxy made of it."""

from datetime import UTC, datetime
from pathlib import Path

from conformance.case import Case, Result
from conformance.cases import AREAS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"

Results = dict[str, dict[str, Result]]
"""By peer, then by the name of the case; a case that is not for a peer has no result there."""

_HEAD = """# Conformance

Cyan, nginx and HAProxy in the same place: a client that writes raw bytes on one side, an upstream that does on the
other. Each row is one case, its source, and what each proxy made of it. **No** marks what the case forbids.

This page is written by one command, which starts all of them on loopback and needs the Debian packages `nginx` and
`haproxy`:

<!-- needs: network -->
```sh
tests/conformance/run --write
```

`./test` runs the same cases against Cyan alone, and fails at the first MUST that Cyan does not keep.

What the words mean: a status and `kept` (the next request on the connection was served), `closed` or `waits` (it was
still open when the case's time was over); `forwarded` when the request reached the upstream, `unclean` when it did so
in a form that two readers could read differently; `broken off` when the client can tell that an answer is not whole.
A peer is left out (–) where the case is about something that it does not have or was not configured for here. A
difference is not always a fault: many rules leave a choice, and SHOULD is no MUST. The configs, which are plain
reverse proxies without hardening, stand in `tests/conformance/peers.py`.

Cyan has two engines ([why](decisions/0007-a-lean-engine-for-plain-requests.md)); the second column is Cyan with
everything on the second.
"""


def counts(cases: list[Case], results: dict[str, Result]) -> str:
    """How many cases a peer passes, and how many MUSTs it fails."""
    played = [case for case in cases if case.name in results]
    passed = sum(results[case.name].problem is None for case in played)
    failed = sum(results[case.name].problem is not None and case.must for case in played)
    return f"{passed} of {len(played)}, {failed} MUST failed"


def page(cases: list[Case], results: Results, versions: dict[str, str]) -> str:
    """The whole page."""
    peers = list(results)
    today = datetime.now(UTC).date().isoformat()
    parts = [_HEAD, f"Run on {today}: " + ", ".join(dict.fromkeys(versions.values())) + ".\n"]
    parts.append(_table(["area", "cases", *peers], _areas(cases, results)))
    for area, title in AREAS.items():
        of_area = [case for case in cases if case.area == area]
        if of_area:
            parts.append(f"## {title}\n")
            rows = [_row(case, results) for case in of_area]
            parts.append(_table(["case", "what", "source", *peers], rows))
    return "\n".join(parts)


def _areas(cases: list[Case], results: Results) -> list[list[str]]:
    rows = []
    for area, title in [*AREAS.items(), ("", "**all**")]:
        chosen = [case for case in cases if area in ("", case.area)]
        if chosen:
            passed = [counts(chosen, results[peer]) for peer in results]
            rows.append([title, str(len(chosen)), *passed])
    return rows


def _row(case: Case, results: Results) -> list[str]:
    rule = "MUST" if case.must else "SHOULD"
    cells = [_cell(results[peer].get(case.name)) for peer in results]
    return [f"`{case.name}`", case.title, f"{case.source}, {rule}", *cells]


def _cell(result: Result | None) -> str:
    if result is None:
        return "–"
    return result.text if result.problem is None else f"**No:** {result.text}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )
