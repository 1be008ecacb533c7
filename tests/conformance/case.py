"""A case: what a client sends, what the upstream does, and what has to come of it.

A case is data. Its judge looks at what was seen on both sides and returns what is wrong, or `None`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.upstream import OK, SENTINEL, Request, Script, Take
from conformance.wire import CLOSED, LATE, Answer, Client, Ended

HOST = b"Host: a.test\r\n"
LAST = b"GET " + SENTINEL + b" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
"""The request at the end of what a case sends: whether it is answered shows where the proxy thinks
that the one before ended, and its `Connection: close` spares waiting for what does not come."""


@dataclass
class Seen:
    """What was seen on both sides."""

    answers: list[Answer] = field(default_factory=list)
    end: str = LATE
    """How the client's connection ended: `closed`, `reset`, or `late` when it was still open."""
    requests: list[Request] = field(default_factory=list)
    """What reached the upstream, without the sentinel."""
    is_sentinel_seen: bool = False
    released: int = 0
    notes: dict[str, object] = field(default_factory=dict)
    """What a case that drives by itself has to say."""

    @property
    def first(self) -> Answer | None:
        """The first answer that is final."""
        return next((answer for answer in self.answers if answer.status >= 200), None)

    @property
    def interim(self) -> list[Answer]:
        return [answer for answer in self.answers if 100 <= answer.status < 200]

    @property
    def flaws(self) -> list[str]:
        """Rules that the proxy itself broke, towards either side."""
        towards_upstream = [f"to the upstream: {flaw}" for r in self.requests for flaw in r.flaws]
        return towards_upstream + [f"to the client: {f}" for a in self.answers for f in a.flaws]

    def text(self) -> str:
        """The proxy's answer in a few words."""
        if said := self.notes.get("text"):
            return str(said)
        first = self.first
        if not first:
            words = [{CLOSED: "closed", LATE: "waits"}.get(self.end, self.end)]
        else:
            words = [str(first.status)] if first.status else ["not HTTP/1.1"]
            if not first.is_whole:
                words.append("broken off")
            is_kept = len([a for a in self.answers if a.status >= 200]) > 1
            words.append("kept" if is_kept else {LATE: "waits"}.get(self.end, "closed"))
        if self.requests:
            words.append("unclean" if any(r.flaws for r in self.requests) else "forwarded")
        return ", ".join(words)


Judge = Callable[[Seen], str | None]


@dataclass(frozen=True)
class Case:
    """One case. `id` is unique in its area; `source` is the section of an RFC, or a CVE."""

    id: str
    title: str
    source: str
    judge: Judge
    send: bytes = b""
    upstream: Script = Script()
    must: bool = True
    setup: str = "plain"
    """How the proxy is configured; see `peers.py`."""
    methods: tuple[str, ...] = ()
    """Methods of the requests sent, where an answer's end depends on it; `GET` for the others."""
    drive: Callable[[Client, Take], dict[str, object] | None] | None = None
    """Talks to the proxy itself, instead of sending `send`. What is left is read after it."""
    only: tuple[str, ...] = ()
    """The peers it makes sense for; all when empty."""
    seconds: float = 2.0
    """Most time that it takes."""
    area: str = ""

    @property
    def name(self) -> str:
        return f"{self.area}/{self.id}"


@dataclass(frozen=True)
class Result:
    """What a peer made of a case."""

    problem: str | None
    text: str


def judged(case: Case, seen: Seen) -> Result:
    """Nothing that breaks a rule may be passed on, whatever else the case asks for."""
    problem = case.judge(seen) or "; ".join(seen.flaws[:2]) or None
    return Result(problem, seen.text())


def observe(case: Case, client: Client, take: Take) -> Seen:
    """Plays the client's side of a case."""
    seen = Seen()
    methods = list(case.methods)
    try:
        if case.drive:
            seen.notes = case.drive(client, take) or {}
        else:
            client.send(case.send)
        while True:
            answer = client.answer(methods[0] if methods else "GET")
            seen.answers.append(answer)
            if answer.status >= 200 and methods:
                methods.pop(0)
            if not answer.is_whole or answer.status in (0, 101):
                seen.end = answer.end if not answer.is_whole else CLOSED
                break
    except Ended as ended:
        seen.end = ended.how
    return seen


def request(
    line: str | bytes = b"GET /t HTTP/1.1", *fields: bytes, body: bytes = b"", host: bytes = HOST
) -> bytes:
    """A request and the sentinel after it. `fields` are lines without their CRLF."""
    return alone(line, *fields, body=body, host=host) + LAST


def alone(
    line: str | bytes = b"GET /t HTTP/1.1", *fields: bytes, body: bytes = b"", host: bytes = HOST
) -> bytes:
    """A request with nothing after it."""
    if isinstance(line, str):
        line = line.encode()
    return line + b"\r\n" + host + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST and the sentinel after it."""
    return request(b"POST /t HTTP/1.1", *fields, body=body)


__all__ = ["HOST", "LAST", "OK", "Case", "Judge", "Result", "Seen", "alone", "post", "request"]
