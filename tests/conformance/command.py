"""Plays the cases against the proxies, and prints what differs or writes the table."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance import table
from conformance.case import Case, Result
from conformance.cases import AREAS, CASES
from conformance.peers import NAMES, Peer, cyan_program, missing_programs, version


def main(arguments: list[str]) -> int:
    """Not 0 when Cyan fails a MUST."""
    options = _options(arguments)
    names = tuple(n for n in NAMES if not options.peer or n.split("-")[0] == options.peer)
    if options.peer == "cyan-hyper":
        names = ("cyan-hyper",)
    cases = [case for case in CASES if _is_wanted(case, options)]
    if not cases:
        print(f"no such case; areas: {', '.join(AREAS)}", file=sys.stderr)
        return 2
    if not _has_programs(names):
        return 2
    if any(name.startswith("cyan") for name in names):
        cyan_program()
    started = time.monotonic()
    results = play(cases, names)
    print(f"{len(cases)} cases in {time.monotonic() - started:.0f} s", file=sys.stderr)
    report(cases, results, is_long=bool(options.id or options.verbose))
    if options.write:
        if len(cases) < len(CASES) or names != NAMES:
            print("--write needs all cases and all peers", file=sys.stderr)
            return 2
        table.PAGE.write_text(table.page(cases, results, {name: version(name) for name in names}))
        print(f"wrote {table.PAGE}")
    return 1 if any(failures(cases, results)) else 0


def play(cases: list[Case], names: tuple[str, ...]) -> table.Results:
    """Plays all cases, one after the other against each proxy, the proxies side by side."""
    directory = Path(tempfile.mkdtemp(prefix="conformance-"))
    try:
        with ThreadPoolExecutor(len(names)) as pool:
            played = pool.map(lambda name: _play_one(name, cases, directory), names)
            return dict(zip(names, played, strict=True))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _play_one(name: str, cases: list[Case], directory: Path) -> dict[str, Result]:
    with Peer(name, directory) as peer:
        return {case.name: peer.run(case) for case in cases if peer.plays(case)}


def failures(cases: list[Case], results: table.Results) -> list[str]:
    """The MUSTs that Cyan does not keep."""
    found = []
    for name in results:
        if name.startswith("cyan"):
            for case in cases:
                result = results[name].get(case.name)
                if case.must and result and result.problem:
                    found.append(f"{name}: {case.name}: {result.problem}")
    return found


def report(cases: list[Case], results: table.Results, is_long: bool) -> None:
    """Prints each case that a proxy does not pass, or all."""
    for case in cases:
        played = {name: results[name].get(case.name) for name in results}
        if is_long or any(result and result.problem for result in played.values()):
            print(f"{case.name} ({'MUST' if case.must else 'SHOULD'}): {case.title}")
            for name, result in played.items():
                if result:
                    wrong = f"  <- {result.problem}" if result.problem else ""
                    print(f"    {name:10} {result.text}{wrong}")
    for name in results:
        print(f"{name:10} {table.counts(cases, results[name])}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/conformance/run", description=__doc__)
    parser.add_argument("--only", metavar="AREA", help=f"one of {', '.join(AREAS)}")
    parser.add_argument("--case", metavar="ID", dest="id", help="`AREA/ID`, or an id alone")
    parser.add_argument("--peer", choices=NAMES, help="against this one alone")
    parser.add_argument("--write", action="store_true", help="write docs/conformance.md")
    parser.add_argument("--verbose", action="store_true", help="print what passes as well")
    return parser.parse_args(arguments)


def _is_wanted(case: Case, options: argparse.Namespace) -> bool:
    is_of_area = not options.only or case.area == options.only
    return is_of_area and (not options.id or options.id in (case.id, case.name))


def _has_programs(names: tuple[str, ...]) -> bool:
    """Installs what is missing, where that is possible."""
    missing = missing_programs(names)
    if not missing:
        return True
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"missing: {', '.join(missing)}; install them with apt-get", file=sys.stderr)
        return False
    print(f"installing Debian packages: {', '.join(missing)}", file=sys.stderr)
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    subprocess.run(install, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    return True
