"""Ends: a client that leaves frees the upstream, and an answer that comes early is still heard."""

import socket
from collections.abc import Callable

from conformance.case import Case, alone, request
from conformance.judges import answered, every, forwarded, noted
from conformance.upstream import Line, Request, Script, Take
from conformance.wire import Client

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"9\r\ndata: x\n\n\r\n"
UPLOAD = alone(b"POST /t HTTP/1.1", b"Content-Length: 30000000")
GONE = "RFC 9112 9.6"


def silent(line: Line, _request: Request) -> None:
    """Thinks until the proxy lets go."""
    line.wait_released()


def streaming(line: Line, _request: Request) -> None:
    """Begins a stream, and is silent then."""
    line.send(STREAM + EVENT)
    line.wait_released()


def leaving(data: bytes, how: str, first: bool) -> Callable[[Client, Take], dict[str, object]]:
    """Sends `data`, waits until the upstream has the request (or, with `first`, until the first event has
    come), and leaves."""

    def drive(client: Client, take: Take) -> dict[str, object]:
        client.send(data)
        take.wait(lambda take: len(take.requests) > 0)
        if first:
            client.reader.until(b"data: x\n\n")
        if how == "reset":
            client.reset()
        else:
            client.sock.close()
        released = take.wait(lambda take: take.released > 0)
        return {"released": released, "text": "upstream " + ("released" if released else "held")}

    return drive


def leaver(
    name: str, title: str, data: bytes, how: str = "close", first: bool = False, **more
) -> Case:
    script = Script((), "close", act=streaming if first else silent)
    drive = leaving(data, how, first)
    return Case(name, title, GONE, noted("released"), drive=drive, upstream=script, **more)


def blocked_upload(how: str) -> Callable[[Client, Take], dict[str, object]]:
    """Uploads to an upstream that does not read, until nothing more goes in; then leaves."""

    def drive(client: Client, take: Take) -> dict[str, object]:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.send(UPLOAD)
        client.sock.settimeout(0.3)
        try:
            while True:
                client.sock.sendall(b"x" * 65536)
        except OSError:
            pass  # full: every buffer on the way
        take.wait(lambda take: len(take.requests) > 0)
        if how == "reset":
            client.reset()
        else:
            client.sock.close()
        take.go_on()
        released = take.wait(lambda take: take.released > 0)
        return {"released": released, "text": "upstream " + ("released" if released else "held")}

    return drive


def not_reading(line: Line, _request: Request) -> None:
    """Reads only once the client has left; then whatever the proxy still had must end."""
    line.take.wait(lambda take: take.may_go_on)
    line.wait_released()


def half_body(client: Client, take: Take) -> dict[str, object]:
    """Half a body, then a reset: the upstream must see that it is not whole."""
    client.send(alone(b"POST /t HTTP/1.1", b"Content-Length: 100000") + b"x" * 70000)
    take.wait(lambda take: len(take.requests) > 0)
    client.reset()
    take.wait(lambda take: take.released > 0)
    is_whole = any(request.is_whole for request in take.requests)
    return {"whole": is_whole, "text": "whole" if is_whole else "broken off"}


def early_answer(client: Client, take: Take) -> dict[str, object]:
    """Goes on with a large upload although the answer is there, and still reads it."""
    client.send(alone(b"POST /t HTTP/1.1", b"Content-Length: 8000000"))
    sent = client.send(b"x" * 4_000_000)
    answer = client.answer()
    return {"status": answer.status, "body": answer.body, "text": f"{answer.status}", "sent": sent}


def early(then: str) -> Script:
    """Answers by 413 without reading the body."""
    return Script(
        (b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",), then, True
    )


def too_large(client: Client, take: Take) -> dict[str, object]:
    """Announces more than is allowed, and sends some of it."""
    client.send(alone(b"POST /t HTTP/1.1", b"Content-Length: 40000000"))
    client.send(b"x" * 200_000)
    answer = client.answer()
    return {"status": answer.status, "seen": len(take.requests), "text": f"{answer.status}"}


def slow_reader(client: Client, take: Take) -> dict[str, object]:
    """Reads nothing until the upstream has written all that goes in, then everything."""
    client.send(alone())
    take.wait(lambda take: take.may_go_on)
    answer = client.answer()
    return {"bytes": len(answer.body), "end": answer.end, "text": f"{answer.status}"}


def large(line: Line, _request: Request) -> None:
    """Writes 8 MB, which fills every buffer on the way before it is read."""
    line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 1000)
    line.take.go_on()
    line.send(b"x" * 7_999_000)


PIPELINED = alone() + alone(b"GET /second HTTP/1.1")
CHUNKED = STREAM + EVENT + b"0\r\n\r\n"

CASES = [
    leaver("leaves", "A client leaves while the upstream thinks", alone()),
    leaver("resets", "A client resets while the upstream thinks", alone(), "reset"),
    leaver("leaves-streaming", "A client leaves in the middle of a stream", alone(), first=True),
    leaver(
        "resets-streaming",
        "A client resets in the middle of a stream",
        alone(),
        "reset",
        first=True,
    ),
    leaver("leaves-pipelined", "It had sent another request already", PIPELINED),
    leaver(
        "leaves-pipelined-streaming",
        "Another request, and it leaves in a stream",
        PIPELINED,
        first=True,
    ),
    leaver(
        "resets-pipelined-streaming",
        "Another request, and it resets in a stream",
        PIPELINED,
        "reset",
        first=True,
    ),
    leaver("leaves-stray-crlf", "It had sent an empty line", alone() + b"\r\n", first=True),
    leaver(
        "leaves-much-pipelined",
        "It had sent 100 KB of requests",
        alone() + alone(b"GET /more HTTP/1.1") * 2000,
        first=True,
    ),
    leaver(
        "leaves-posting",
        "It had sent a body",
        alone(b"POST /t HTTP/1.1", b"Content-Length: 5", body=b"hello"),
        first=True,
    ),
    leaver(
        "leaves-chunked",
        "It had sent a chunked body",
        alone(b"POST /t HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
        first=True,
    ),
    leaver("leaves-10", "A client of HTTP/1.0 leaves", alone(b"GET /t HTTP/1.0"), first=True),
    Case(
        "leaves-blocked-upload",
        "A client leaves in an upload that nobody reads",
        GONE,
        noted("released"),
        drive=blocked_upload("close"),
        upstream=Script((), "close", True, not_reading),
        seconds=10.0,
    ),
    Case(
        "resets-blocked-upload",
        "A client resets in an upload that nobody reads",
        GONE,
        noted("released"),
        drive=blocked_upload("reset"),
        upstream=Script((), "close", True, not_reading),
        seconds=10.0,
    ),
    Case(
        "half-a-body",
        "Half an upload is not whole for the upstream",
        "RFC 9112 8",
        noted("whole", False),
        drive=half_body,
    ),
    Case(
        "early-answer",
        "An answer before the end of an upload reaches the client",
        "RFC 9112 9.3, 9.6",
        every(noted("status", 413), noted("body", b"no")),
        drive=early_answer,
        upstream=early("close"),
    ),
    Case(
        "early-answer-hold",
        "The same from an upstream that keeps its side open",
        "RFC 9112 9.3, 9.6",
        every(noted("status", 413), noted("body", b"no")),
        drive=early_answer,
        upstream=early("hold"),
    ),
    Case(
        "too-large",
        "A body above the limit is refused, and the refusal arrives",
        "RFC 9110 15.5.14",
        every(noted("status", 413), noted("seen", 0)),
        drive=too_large,
        only=("cyan", "nginx"),
    ),
    Case(
        "slow-reader",
        "A client that reads late gets every byte",
        "RFC 9110 7.6",
        every(noted("bytes", 8_000_000), noted("end", "whole")),
        drive=slow_reader,
        upstream=Script((), act=large, then="keep"),
    ),
    Case(
        "stream-then-next",
        "A stream ends, and the connection goes on",
        "RFC 9112 7.1",
        every(answered(200, b"data: x\n\n"), forwarded()),
        request(),
        Script((CHUNKED,)),
    ),
    Case(
        "pieces",
        "A head and a body byte by byte",
        "RFC 9112 2.1",
        every(answered(200, b"ok"), forwarded()),
        request(),
        Script(tuple(bytes([b]) for b in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    ),
]
