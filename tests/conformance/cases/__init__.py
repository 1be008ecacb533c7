"""All cases, by area, in the order of the table."""

import importlib.util
from dataclasses import replace

from conformance.case import Case

AREAS = {
    "framing": "Where a request ends",
    "chunks": "Chunked requests",
    "heads": "Heads of requests",
    "host": "Who a request is for",
    "untouched": "What is passed on as it was",
    "interim": "Expect and interim answers",
    "forwarded": "Headers of one hop, and headers not to believe",
    "proxied": "The PROXY protocol",
    "answers": "Broken answers",
    "ends": "Ends",
    "upgrades": "Upgrades",
    "h2": "HTTP/2",
    "tls": "TLS",
    "bounds": "Bounds",
}
"""Each is a module here with a list `CASES`; an area is left out until it has one."""


def _cases() -> list[Case]:
    found: list[Case] = []
    for area in AREAS:
        if importlib.util.find_spec(f"{__name__}.{area}"):
            module = importlib.import_module(f"{__name__}.{area}")
            found += [replace(case, area=area) for case in module.CASES]
    names = [case.name for case in found]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two cases with one name: {twice}"
    return found


CASES = _cases()
