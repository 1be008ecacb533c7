"""Bodies, and what the upstream sees of requests and the client of answers."""

import struct
from collections.abc import Callable

from conformance.case import Case, Judge, Seen
from conformance.cases.h2.play import (
    Drive,
    asks,
    case,
    forwarded_whole,
    incomplete,
    with_pseudo,
    without,
)
from conformance.frames import (
    DATA,
    END_STREAM,
    PADDED,
    RST_STREAM,
    Conversation,
    Pairs,
    data,
    frame,
    headers,
    request,
)
from conformance.judges import either, has
from conformance.upstream import OK, Request, Script, Take, answering
from conformance.wire import Client


def _bodies() -> list[Case]:
    """DATA against what was announced."""
    five = request(b"/t", b"POST", (b"content-length", b"5"))
    open_ended = request(b"/t", b"POST")
    source = "RFC 9113 8.1.1"
    return [
        case(
            "body",
            "a body with its length",
            source,
            forwarded_whole(body=b"hello"),
            asks(five, b"hello"),
        ),
        case(
            "body-unknown",
            "a body without a length",
            source,
            forwarded_whole(body=b"hello"),
            asks(open_ended, b"hello"),
        ),
        case("body-short", "fewer bytes than announced", source, incomplete, asks(five, b"hell")),
        case("body-long", "more bytes than announced", source, incomplete, asks(five, b"hello!")),
        case("body-none", "a length and no body", source, incomplete, asks(five)),
        case(
            "body-padded",
            "a body in padded frames",
            "RFC 9113 6.1",
            forwarded_whole(body=b"hello"),
            asks(five, None, frame(DATA, PADDED | END_STREAM, 1, b"\x03hello\0\0\0")),
        ),
        case(
            "body-empty-frames",
            "empty frames within a body",
            "RFC 9113 6.1",
            forwarded_whole(body=b"hello"),
            asks(five, b"he", data(1, b""), data(1, b"llo"), data(1, b"", is_end=True)),
        ),
        case(
            "body-trailers",
            "trailers after a body",
            "RFC 9113 8.1",
            forwarded_whole(body=b"hello"),
            asks(five, b"hello", headers(1, [(b"x-sum", b"1")])),
        ),
        case(
            "trailers-pseudo",
            "a pseudo-header in trailers is not passed on",
            "RFC 9113 8.1",
            either(incomplete, forwarded_whole(_no_trailers, body=b"hello")),
            asks(five, b"hello", headers(1, [(b":path", b"/u")])),
        ),
        case(
            "trailers-open",
            "trailers without END_STREAM",
            "RFC 9113 8.1",
            incomplete,
            asks(five, b"hello", headers(1, [(b"x-sum", b"1")], is_end=False)),
        ),
        case(
            "body-reset",
            "an upload that is taken back never becomes whole",
            "RFC 9113 8.1",
            _never_whole,
            _takes_back(open_ended),
        ),
    ]


def _takes_back(fields: Pairs) -> Drive:
    """Half an upload and its reset; the next request shows that both were read."""

    def drive(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        reset = frame(RST_STREAM, 0, 1, struct.pack(">I", 8))
        talk.send(headers(1, fields, is_end=False), data(1, b"half"), reset)
        return talk.notes(101, goes_on=talk.goes_on())

    return drive


def _never_whole(seen: Seen) -> str | None:
    if any(request.is_whole for request in seen.requests):
        return "forwarded as a whole request"
    return None if seen.notes["goes_on"] else "the connection does not go on"


def _translations() -> list[Case]:
    """What the upstream sees of requests that are in order, and the client of answers."""

    def passes(name: str, title: str, source: str, fields: Pairs, *checks, **more) -> Case:
        return case(name, title, source, forwarded_whole(*checks), asks(fields), **more)

    crumbs = request(b"/t", b"GET", (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"cookie", b"c=3"))
    odd = b"/a%2Fb//c/../d;e?q=%zz&r=[]"
    cases = [
        passes(
            "cookie-crumbs",
            "crumbs of a cookie become one",
            "RFC 9113 8.2.3",
            crumbs,
            has("cookie", b"a=1; b=2; c=3"),
        ),
        passes(
            "authority-to-host",
            "`:authority` becomes `Host`",
            "RFC 9113 8.3.1",
            request(),
            has("host", b"a.test"),
        ),
        passes(
            "host-alone",
            "`host` without `:authority`",
            "RFC 9113 8.3.1",
            [*without(b":authority", request()), (b"host", b"a.test")],
            has("host", b"a.test"),
        ),
        passes(
            "host-same",
            "`host` that is the same",
            "RFC 9113 8.3.1",
            [*request(), (b"host", b"a.test")],
            has("host", b"a.test"),
        ),
        passes(
            "te-trailers",
            "`te: trailers` is no fault",
            "RFC 9113 8.2.2",
            request(b"/t", b"GET", (b"te", b"trailers")),
        ),
        passes(
            "path-untouched",
            "the bytes of the path stay",
            "RFC 9110 4.2.3",
            request(odd),
            _target(odd),
        ),
        passes(
            "value-high-bytes",
            "bytes above 0x7f in a value stay",
            "RFC 9110 5.5",
            request(b"/t", b"GET", (b"x", b"\xc3\xbc")),
            has("x", b"\xc3\xbc"),
        ),
        passes(
            "value-empty",
            "an empty value stays",
            "RFC 9110 5.5",
            request(b"/t", b"GET", (b"x-a", b"")),
            has("x-a", b""),
        ),
        passes(
            "lines-in-order",
            "lines of one header stay in order",
            "RFC 9110 5.3",
            request(b"/t", b"GET", (b"x", b"1"), (b"x", b"2")),
            has("x", b"1", b"2"),
            must=False,
        ),
        case(
            "scheme-mixed",
            "`:scheme` in capitals",
            "RFC 9110 4.2.3",
            forwarded_whole(),
            asks(with_pseudo(b":scheme", b"HTTP")),
            must=False,
        ),
    ]

    def answers(name: str, title: str, source: str, script: Script, judge: Judge, **more) -> Case:
        return case(name, title, source, judge, asks(request()), upstream=script, **more)

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    sized = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    hop = b"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
    return cases + [
        answers(
            "answer-cut",
            "an answer that ends too early is reset",
            "RFC 9113 8.1.1",
            answering(sized, then="close"),
            _reset_after(200),
        ),
        answers(
            "answer-cut-chunked",
            "chunks without their end are reset",
            "RFC 9112 8",
            answering(chunked, then="close"),
            _reset_after(200),
        ),
        answers(
            "answer-reset",
            "an upstream's reset is passed on",
            "RFC 9113 5.4.2",
            answering(chunked, then="reset"),
            _reset_after(200),
        ),
        answers(
            "answer-bad-chunk",
            "a broken chunk is a reset",
            "RFC 9112 7.1",
            answering(chunked + b"zz\r\n", then="close"),
            _reset_after(200),
        ),
        answers(
            "answer-hop-headers",
            "headers of one hop are not passed on",
            "RFC 9113 8.2.2",
            answering(hop),
            _client_lacks(b"connection", b"x-hop", b"keep-alive", b"transfer-encoding"),
        ),
        answers(
            "answer-chunked",
            "chunks become frames",
            "RFC 9113 8.1",
            answering(chunked, b"0\r\n\r\n"),
            _client_lacks(b"transfer-encoding"),
        ),
        answers(
            "answer-upper-case",
            "header names become lower case",
            "RFC 9113 8.2.1",
            answering(b"HTTP/1.1 200 OK\r\nX-UPPER: 1\r\nContent-Length: 0\r\n\r\n"),
            _client_has(b"x-upper", b"1"),
        ),
        answers(
            "answer-early-hints",
            "103 comes before the answer",
            "RFC 8297 2",
            answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK),
            _sees_103,
            must=False,
        ),
        case(
            "answer-to-head",
            "HEAD has a length and no body",
            "RFC 9110 9.3.2",
            _client_has(b"content-length", b"5"),
            asks(request(b"/t", b"HEAD")),
            upstream=answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ),
    ]


def _no_trailers(seen: Request) -> str | None:
    return f"trailers: {seen.trailers}" if seen.trailers else None


def _target(wanted: bytes) -> Callable[[Request], str | None]:
    return lambda seen: None if seen.target == wanted else f"the target became {seen.target!r}"


def _reset_after(status: int) -> Judge:
    def judge(seen: Seen) -> str | None:
        stream, talk = seen.notes["stream"], seen.notes["connection"]
        if stream.status in (502, 504):
            return None
        if stream.is_ended:
            return "a cut answer looks whole"
        if stream.status not in (status, None):
            return f"answered by {stream.status}"
        return None if stream.code is not None or talk.is_over else "the client is left waiting"

    return judge


def _client_has(name: bytes, value: bytes) -> Judge:
    def judge(seen: Seen) -> str | None:
        found = [v for n, v in seen.notes["stream"].headers if n == name]
        return None if found == [value] else f"{name.decode()}: {found}"

    return judge


def _client_lacks(*names: bytes) -> Judge:
    def judge(seen: Seen) -> str | None:
        stream = seen.notes["stream"]
        there = [n.decode() for n, _ in stream.headers if n in names]
        if stream.status != 200 or not stream.is_ended:
            return f"not answered: {seen.notes['text']}"
        return f"passed on: {', '.join(there)}" if there else None

    return judge


def _sees_103(seen: Seen) -> str | None:
    return None if seen.notes["stream"].interim == [103] else "103 is not passed on"


CASES = [*_bodies(), *_translations()]
