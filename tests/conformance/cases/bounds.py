"""Clients and upstreams that are too slow, and messages that are too long. The setup `bounds` has short
limits, so that a case need not wait for the real ones."""

import socket
import time

from conformance.case import Case, Judge, Seen, alone
from conformance.judges import (
    answered,
    closed_after,
    every,
    forwarded,
    never_whole,
    noted,
    refused,
    refused_politely,
)
from conformance.upstream import Line, Request, Script, Take, answering
from conformance.wire import CLOSED, Client, Ended

LONG = 40 * 1024
"""Beyond what any of the proxies takes of a head."""
OVER = 32 * 1024 * 1024 + 1
"""One byte more than the limit on bodies."""
MINE = b"Host: b.test\r\nX-User-Id: ana\r\n"
"""The service with narrow limits, with a key in the head."""
NO_KEY = b"Host: b.test\r\n"
TRICKLE = 0.05
"""Seconds between two bytes of a client that is too slow."""


def _trickle(client: Client, piece: bytes) -> bool:
    """Sends a byte now and then until the proxy has closed; false when it never does."""
    while time.monotonic() < client.deadline - 0.2:
        client.sock.settimeout(TRICKLE)
        try:
            if not client.sock.recv(65536):
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        if not client.send(piece):
            return True
    return False


def _slow_head(client: Client, _take: Take) -> dict[str, object]:
    client.send(b"GET /t HTTP/1.1\r\n" + NO_KEY + b"X-Slow: ")
    return {"text": "closed" if (is_cut := _trickle(client, b"a")) else "waits", "is_cut": is_cut}


def _slow_first_line(client: Client, _take: Take) -> dict[str, object]:
    client.send(b"G")
    return {"text": "closed" if (is_cut := _trickle(client, b"E")) else "waits", "is_cut": is_cut}


def _empty_lines(client: Client, _take: Take) -> dict[str, object]:
    is_cut = _trickle(client, b"\r\n")
    return {"text": "closed" if is_cut else "waits", "is_cut": is_cut}


def _head_in_two(client: Client, _take: Take) -> None:
    client.send(b"GET /t HTTP/1.1\r\n" + MINE)
    time.sleep(2 * TRICKLE)
    client.send(b"Connection: close\r\n\r\n")


def _body_in_pieces(client: Client, _take: Take) -> None:
    client.send(b"POST /t HTTP/1.1\r\n" + MINE + b"Content-Length: 6\r\nConnection: close\r\n\r\n")
    for piece in (b"ab", b"cd", b"ef"):
        time.sleep(2 * TRICKLE)
        client.send(piece)


def _after_an_answer(client: Client, _take: Take) -> dict[str, object]:
    client.send(alone("GET /t HTTP/1.1", host=MINE))
    first = client.answer()
    try:
        client.reader.fill()
        end = "more bytes"
    except Ended as ended:
        end = ended.how
    return {"text": f"{first.status}, {end}", "status": first.status, "end": end}


def _beside_one_in_flight(client: Client, take: Take) -> dict[str, object]:
    client.send(alone("GET /t HTTP/1.1", host=MINE))
    take.wait(lambda seen: len(seen.requests) == 1)
    with Client(client.sock.getpeername(), 1) as other:
        other.send(alone("GET /t HTTP/1.1", host=MINE))
        second = other.answer()
    has_hint = second.value("retry-after") is not None
    return {"text": str(second.status), "status": second.status, "has_hint": has_hint}


def _among_idle_ones(client: Client, _take: Take) -> None:
    others = [socket.create_connection(client.sock.getpeername()) for _ in range(50)]
    client.send(alone("GET /t HTTP/1.1", b"Connection: close", host=MINE))
    client.reader.fill()
    for other in others:
        other.close()


def _until_released(client: Client, take: Take) -> None:
    """Sends a request, and reads the answer when the upstream has been let go."""
    client.send(alone(b"GET /t HTTP/1.1", host=MINE))
    take.wait(lambda seen: seen.released > 0)


def _too_long_in_chunks(client: Client, take: Take) -> dict[str, object]:
    head = b"POST /t HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    if client.send(head):
        for _ in range(34):
            if not client.send(chunk):
                break
        else:
            client.send(b"0\r\n\r\n")
    return {"is_whole": any(seen.is_whole for seen in take.requests)}


def _leave_unread(client: Client, take: Take) -> dict[str, object]:
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(alone("GET /t HTTP/1.1", host=MINE))
    is_let_go = take.wait(lambda seen: seen.released > 0)
    return {"text": "let go" if is_let_go else "held", "is_let_go": is_let_go}


def _endlessly(line: Line, _request: Request) -> None:
    """Sends until the proxy lets go, and notes that it did."""
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    try:
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            line.send(piece)
    except TimeoutError:
        pass  # it holds on
    except OSError:
        with line.take.changed:
            line.take.released += 1
            line.take.changed.notify_all()


def _without_interim(judge: Judge) -> Judge:
    def both(seen: Seen) -> str | None:
        return "told to go on" if seen.interim else judge(seen)

    return both


def _released(seen: Seen) -> str | None:
    return None if seen.released else "the upstream is still held"


def _never_whole_upstream(seen: Seen) -> str | None:
    return "forwarded as if whole" if any(r.is_whole for r in seen.requests) else None


_CUT = noted("is_cut")
_FIELDS = b"".join(b"X-Field-%d: 0123456789\r\n" % n for n in range(2000))[:-2]

CASES = [
    Case(
        "field-of-40-kib",
        "A header of 40 KiB",
        "RFC 6585 5",
        refused(400, 431, 414),
        alone(b"GET /t HTTP/1.1", b"X-Long: " + b"a" * LONG),
    ),
    Case(
        "fields-of-50-kib",
        "2000 headers, 50 KiB in all",
        "RFC 6585 5",
        refused(400, 431),
        alone(b"GET /t HTTP/1.1", _FIELDS),
    ),
    Case(
        "target-of-40-kib",
        "A target of 40 KiB",
        "RFC 9112 3",
        refused(400, 414, 431),
        alone(b"GET /" + b"a" * LONG + b" HTTP/1.1"),
    ),
    Case(
        "method-without-end",
        "100 KiB of a method, and no space",
        "RFC 9112 3",
        refused(400, 405, 414, 431, 501),
        b"A" * 100 * 1024,
    ),
    Case(
        "length-over-the-limit",
        "One byte more than the limit is announced: refused before it is sent",
        "RFC 9110 15.5.14",
        every(refused_politely(413), answered(413)),
        alone(b"POST /t HTTP/1.1", b"Content-Length: %d" % OVER),
    ),
    Case(
        "length-over-the-limit-asked-first",
        "The same with `Expect: 100-continue`: no 100 comes",
        "RFC 9110 10.1.1",
        _without_interim(answered(413)),
        alone(b"POST /t HTTP/1.1", b"Content-Length: %d" % OVER, b"Expect: 100-continue"),
    ),
    Case(
        "length-of-2-to-63",
        "`Content-Length: 9223372036854775807`",
        "RFC 9110 8.6",
        refused_politely(400, 413),
        alone(b"POST /t HTTP/1.1", b"Content-Length: 9223372036854775807"),
    ),
    Case(
        "chunks-over-the-limit",
        "34 MiB in chunks: never whole for the upstream",
        "RFC 9110 15.5.14",
        every(_never_whole_upstream, noted("is_whole", False)),
        drive=_too_long_in_chunks,
        seconds=10.0,
    ),
    Case(
        "slow-head",
        "A head that comes byte by byte",
        "CVE-2007-6750",
        _CUT,
        drive=_slow_head,
        setup="bounds",
    ),
    Case(
        "slow-first-line",
        "A request line that comes byte by byte",
        "CVE-2007-6750",
        _CUT,
        drive=_slow_first_line,
        setup="bounds",
    ),
    Case(
        "empty-lines-for-ever",
        "Empty lines before a request that never comes",
        "RFC 9112 2.2",
        _CUT,
        drive=_empty_lines,
        setup="bounds",
    ),
    Case(
        "nothing-sent",
        "A connection on which nothing comes is closed",
        "RFC 9112 9.5",
        closed_after(refused()),
        setup="bounds",
    ),
    Case(
        "idle-after-an-answer",
        "A connection at rest is closed, with a FIN",
        "RFC 9112 9.5",
        every(noted("status", 200), noted("end", CLOSED)),
        drive=_after_an_answer,
        setup="bounds",
    ),
    Case(
        "head-in-two-pieces",
        "A head in two pieces is no attack",
        "RFC 9112 2.2",
        forwarded(is_kept=False),
        drive=_head_in_two,
        setup="bounds",
    ),
    Case(
        "body-in-pieces",
        "A body in pieces, each in time",
        "RFC 9112 6.3",
        forwarded(body=b"abcdef", is_kept=False),
        drive=_body_in_pieces,
        setup="bounds",
    ),
    Case(
        "body-stops",
        "A body of known length that stops: 408",
        "RFC 9110 15.5.9",
        every(answered(408), _never_whole_upstream),
        alone(b"POST /t HTTP/1.1", b"Content-Length: 100", host=MINE, body=b"a"),
        setup="bounds",
    ),
    Case(
        "chunked-body-stops",
        "One in chunks: 408, and the upstream is let go",
        "RFC 9110 15.5.9",
        every(answered(408), _never_whole_upstream),
        alone(
            b"POST /t HTTP/1.1", b"Transfer-Encoding: chunked", host=MINE, body=b"5\r\nhello\r\n"
        ),
        setup="bounds",
    ),
    Case(
        "body-with-the-key-stops",
        "The same before it is known where the request goes",
        "RFC 9110 15.5.9",
        every(answered(408), refused_politely(408)),
        alone(b"POST /t HTTP/1.1", b"Content-Length: 100", host=NO_KEY, body=b'{"user":'),
        setup="bounds",
    ),
    Case(
        "answer-never-begins",
        "An upstream that does not answer: 504, and it is let go",
        "RFC 9110 15.6.5",
        every(answered(504), _released),
        drive=_until_released,
        upstream=answering(then="hold"),
        setup="bounds",
    ),
    Case(
        "answer-stops",
        "An answer that stops in the middle is broken off, and the upstream let go",
        "RFC 9112 8",
        every(never_whole(), _released),
        drive=_until_released,
        upstream=answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", then="hold"),
        setup="bounds",
    ),
    Case(
        "answer-is-not-read",
        "A client that reads nothing does not hold its upstream",
        "CVE-2009-5111",
        noted("is_let_go"),
        drive=_leave_unread,
        upstream=Script(pieces=(), act=_endlessly, then="close"),
        setup="bounds",
        seconds=5.0,
    ),
    Case(
        "beside-one-in-flight",
        "At the limit of requests in flight: 503, with `Retry-After`",
        "RFC 9110 15.6.4",
        every(noted("status", 503), noted("has_hint")),
        drive=_beside_one_in_flight,
        upstream=answering(then="hold"),
        setup="bounds",
    ),
    Case(
        "among-idle-connections",
        "A request is served beside 50 connections that say nothing",
        "RFC 9112 9.4",
        forwarded(is_kept=False),
        drive=_among_idle_ones,
        setup="bounds",
    ),
    Case(
        "limit-of-the-path",
        "2000 bytes where the path allows 3000",
        "RFC 9110 15.5.14",
        forwarded(body=b"x" * 2000, is_kept=False),
        alone(
            b"POST /audio/t HTTP/1.1",
            b"Content-Length: 2000",
            b"Connection: close",
            host=MINE,
            body=b"x" * 2000,
        ),
        setup="bounds",
    ),
    Case(
        "limit-of-other-paths",
        "2000 bytes where the service allows 1000",
        "RFC 9110 15.5.14",
        every(refused_politely(413), answered(413)),
        alone(b"POST /t HTTP/1.1", b"Content-Length: 2000", host=MINE, body=b"x" * 2000),
        setup="bounds",
    ),
]


