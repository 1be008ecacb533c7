"""What the cases of HTTP/2 share: how they are played, and what has to come of them."""

from collections.abc import Callable

from conformance.case import Case, Judge, Seen
from conformance.frames import Conversation, Pairs, data, headers, request
from conformance.upstream import Request, Take
from conformance.wire import Client

HTTP2 = "h2"
"""The setup in which every proxy takes HTTP/2 in plain text."""

Drive = Callable[[Client, Take], dict[str, object]]


def asks(fields: Pairs, body: bytes | None = None, *after: bytes) -> Drive:
    """Sends one request on stream 1 and reads until it is over."""

    def drive(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.send(headers(1, fields, is_end=body is None and not after))
        if body is not None:
            talk.send(data(1, body, is_end=not after))
        talk.send(*after)
        talk.until_over()
        return talk.notes()

    return drive


def sends(*sent: bytes, first: bytes | None = None) -> Drive:
    """Sends frames, and reads until the proxy ends the connection or stream 1."""

    def drive(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client, first)
        talk.send(*sent)
        talk.until_over()
        return talk.notes()

    return drive


def malformed(seen: Seen) -> str | None:
    """Nothing reached the upstream, and the client was refused in one of the ways there are."""
    if seen.requests:
        return f"{len(seen.requests)} forwarded"
    stream, talk = seen.notes["stream"], seen.notes["connection"]
    if stream.code is not None or talk.is_over:
        return None
    if stream.status and 400 <= stream.status < 500 or stream.status == 501:
        return None
    return f"not refused: {seen.notes['text']}"


def incomplete(seen: Seen) -> str | None:
    """No whole request reached the upstream, and the client was refused."""
    if any(request.is_whole and request.body is not None for request in seen.requests):
        return "forwarded as a whole request"
    seen.requests.clear()
    return malformed(seen)


def ends() -> Judge:
    """The connection ends, by GOAWAY with an error or without a word."""

    def judge(seen: Seen) -> str | None:
        is_over = seen.notes["connection"].is_over
        return None if is_over else f"the connection goes on: {seen.notes['text']}"

    return judge


def stream_ends() -> Judge:
    """The stream is reset, or the whole connection ends."""

    def judge(seen: Seen) -> str | None:
        is_over = seen.notes["connection"].is_over or seen.notes["stream"].code is not None
        return None if is_over else f"the stream goes on: {seen.notes['text']}"

    return judge


def forwarded_whole(*checks: Callable[[Request], str | None], body: bytes | None = None) -> Judge:
    """The request reached the upstream once and whole, and its answer the client."""

    def judge(seen: Seen) -> str | None:
        if len(seen.requests) != 1:
            return f"{len(seen.requests)} requests forwarded: {seen.notes['text']}"
        one = seen.requests[0]
        if not one.is_whole:
            return "forwarded without its end"
        if body is not None and one.body != body:
            return f"the body became {one.body[:40]!r}"
        problem = next((said for check in checks if (said := check(one))), None)
        stream = seen.notes["stream"]
        if problem or stream.status != 200 or not stream.is_ended:
            return problem or f"not answered: {seen.notes['text']}"
        return None

    return judge


def case(name: str, title: str, source: str, judge: Judge, drive: Drive, **more: object) -> Case:
    return Case(name, title, source, judge, drive=drive, setup=HTTP2, **more)


def without(name: bytes, fields: Pairs) -> Pairs:
    return [pair for pair in fields if pair[0] != name]


def with_pseudo(name: bytes, value: bytes) -> Pairs:
    return [(known, value if known == name else old) for known, old in request()]
