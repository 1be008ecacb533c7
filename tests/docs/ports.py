"""Ports as pages write them, and the free ones that stand for them in a test.

A reader copies `127.0.0.1:8080`; a test must not take that port from whoever has it. So every loopback
port of a page is replaced on the way into the shell, and put back in what comes out.
"""

import re

from harness.process import free_port

_WRITTEN = re.compile(r"(127\.0\.0\.1|0\.0\.0\.0|localhost|\[::1\])?:(\d{4,5})\b")
_OPTION = re.compile(r"(--(?:admin-)?port[ =])(\d{4,5})\b")


class Ports:
    """A page's ports."""

    def __init__(self) -> None:
        self._real: dict[int, int] = {}

    def real(self, written: int) -> int:
        if written not in self._real:
            self._real[written] = free_port()
        return self._real[written]

    def replaced(self, text: str) -> str:
        """Text of a page, for the shell. `:8001` alone counts as an address, too; `0.0.0.0` would be open to all."""

        def address(found: re.Match) -> str:
            host = "127.0.0.1" if found[1] == "0.0.0.0" else found[1] or ""
            return f"{host}:{self.real(int(found[2]))}"

        text = _OPTION.sub(lambda found: found[1] + str(self.real(int(found[2]))), text)
        return _WRITTEN.sub(address, text)

    def put_back(self, text: str) -> str:
        """Output of the shell, as the page would show it."""
        for written, real in self._real.items():
            text = re.sub(rf"\b{real}\b", str(written), text)
        return text
