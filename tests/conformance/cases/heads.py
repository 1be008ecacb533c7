"""Heads of requests: lines, names, values, versions and limits."""

from conformance.case import HOST, LAST, Case, Judge, Seen, alone, post, request
from conformance.judges import (
    closed_after,
    either,
    forwarded,
    has,
    line,
    refused,
    refused_or_clean,
)

BAD = refused(400)
OPEN = either(refused(), forwarded())
LINES = "RFC 9112 5"


def answered_in_order(seen: Seen) -> str | None:
    """The requests reached the upstream in the order in which they were sent."""
    found = [found.target for found in seen.requests]
    return None if found == sorted(found) and len(found) == 3 else f"targets {found}"


def field(name: str, title: str, data: bytes, judge: Judge = BAD, source: str = LINES) -> Case:
    """A header line among good ones."""
    return Case(name, title, source, judge, request(b"GET /t HTTP/1.1", data, b"X-Z: z"))


def first_line(name: str, title: str, data: bytes, judge: Judge = BAD, must: bool = True) -> Case:
    """A request line before good headers."""
    return Case(f"line-{name}", title, "RFC 9112 3", judge, request(data), must=must)


def _lines() -> list[Case]:
    value, folding = "RFC 9110 5.5", "RFC 9112 5.2"
    return [
        field("space-before-colon", "A space before the colon", b"X-A : b", source="RFC 9112 5.1"),
        field("space-in-name", "A space in a name", b"X A: b"),
        field("empty-name", "An empty name", b": b"),
        field("no-colon", "A line without a colon", b"nonsense"),
        field("name-parenthesis", "`(` in a name", b"X(A: b", source="RFC 9110 5.1"),
        field("name-nul", "NUL in a name", b"X\x00A: b", source="RFC 9110 5.1"),
        field("name-high-byte", "A byte above 0x7f in a name", b"X-\xe9: b", source="RFC 9110 5.1"),
        field("name-quote", "A quote in a name", b'X"A: b', source="RFC 9110 5.1"),
        field("value-nul", "NUL in a value", b"X-A: b\x00c", source=value),
        field("value-bare-cr", "A bare CR in a value", b"X-A: b\rc", refused_or_clean(), value),
        field("value-bare-lf", "A bare LF in a value", b"X-A: b\nc", refused_or_clean(), value),
        field(
            "value-control",
            "A control character in a value",
            b"X-A: b\x01c",
            refused_or_clean(),
            value,
        ),
        field("value-delete", "DEL in a value", b"X-A: b\x7fc", refused_or_clean(), value),
        field(
            "value-bell",
            "An escape sequence in a value",
            b"X-A: \x1b[2J",
            refused_or_clean(),
            value,
        ),
        field("folded", "A folded line", b"X-A: b\r\n c", refused_or_clean(), folding),
        field(
            "folded-tab", "A line folded by a tab", b"X-A: b\r\n\tc", refused_or_clean(), folding
        ),
        field(
            "folded-blank",
            "A folded line that is blank",
            b"X-A: b\r\n ",
            refused_or_clean(),
            folding,
        ),
        field("cr-cr-lf", "CR CR LF at the end of a line", b"X-A: b\r", refused_or_clean(), value),
        Case(
            "first-line-folded",
            "A space before the first header",
            "RFC 9112 2.2",
            refused_or_clean(),
            request(host=b" X-A: b\r\n" + HOST),
        ),
        Case(
            "bare-lf-everywhere",
            "Every line ends with a bare LF",
            "RFC 9112 2.2",
            refused_or_clean(),
            b"GET /t HTTP/1.1\nHost: a.test\n\n" + LAST,
        ),
        Case(
            "bare-lf-end",
            "A bare LF ends the head",
            "RFC 9112 2.2",
            refused_or_clean(),
            b"GET /t HTTP/1.1\r\nHost: a.test\r\n\n" + LAST,
        ),
        Case(
            "bare-cr-everywhere",
            "Every line ends with a bare CR",
            "RFC 9112 2.2",
            refused_or_clean(),
            b"GET /t HTTP/1.1\rHost: a.test\r\r" + LAST,
        ),
        Case(
            "leading-crlf",
            "An empty line before the request",
            "RFC 9112 2.2",
            forwarded(),
            b"\r\n" + request(),
            must=False,
        ),
        Case(
            "crlf-between",
            "An empty line between two requests",
            "RFC 9112 2.2",
            forwarded(times=2),
            alone() + b"\r\n" + request(),
            must=False,
        ),
        Case(
            "leading-crlf-many",
            "1 000 empty lines before the request",
            "RFC 9112 2.2",
            OPEN,
            b"\r\n" * 1000 + request(),
        ),
        Case(
            "leading-space",
            "A space before the request line",
            "RFC 9112 2.2",
            BAD,
            b" " + request(),
        ),
        Case(
            "leading-nul", "NUL before the request line", "RFC 9112 2.2", BAD, b"\x00" + request()
        ),
    ]


def _request_lines() -> list[Case]:
    return [
        first_line(
            "two-spaces", "Two spaces before the target", b"GET  /t HTTP/1.1", refused_or_clean()
        ),
        first_line("tab", "A tab for a space", b"GET\t/t HTTP/1.1", refused_or_clean()),
        first_line("trailing-space", "A space at the end", b"GET /t HTTP/1.1 ", refused_or_clean()),
        first_line(
            "bare-cr", "A bare CR before the version", b"GET /t\rHTTP/1.1", refused_or_clean()
        ),
        first_line("no-target", "No target", b"GET HTTP/1.1"),
        first_line("method-control", "A control character in the method", b"G\x01T /t HTTP/1.1"),
        first_line("method-brackets", "Brackets in the method", b"G[T] /t HTTP/1.1"),
        first_line(
            "method-lower",
            "A method in lower case is another method",
            b"get /t HTTP/1.1",
            either(forwarded(line(b"get ")), refused(400, 405, 501)),
        ),
        first_line(
            "method-unknown",
            "A method that nobody knows",
            b"BREW /t HTTP/1.1",
            either(forwarded(line(b"BREW ")), refused(405, 501)),
        ),
        first_line(
            "method-long", "A method of 10 000 letters", b"G" * 10000 + b" /t HTTP/1.1", OPEN
        ),
        first_line(
            "space-in-target", "A space in the target", b"GET /t t HTTP/1.1", refused_or_clean()
        ),
        first_line("nul-in-target", "NUL in the target", b"GET /t\x00t HTTP/1.1"),
        first_line(
            "high-byte-in-target",
            "A byte above 0x7f in the target",
            b"GET /t\xe9 HTTP/1.1",
            either(BAD, forwarded()),
            must=False,
        ),
        first_line(
            "control-in-target", "A control character in the target", b"GET /t\x01 HTTP/1.1"
        ),
        first_line(
            "fragment", "A fragment in the target", b"GET /t#x HTTP/1.1", refused_or_clean()
        ),
        first_line("relative-target", "A target without its slash", b"GET t HTTP/1.1", BAD),
        first_line(
            "backslash", "A backslash in the target", b"GET /t\\..\\x HTTP/1.1", refused_or_clean()
        ),
    ]


def _versions() -> list[Case]:
    other = refused(400, 505)
    return [
        Case(
            "version-09",
            "HTTP/0.9: no version",
            "RFC 9112 2.3",
            either(other, refused()),
            b"GET /t\r\n",
        ),
        first_line(
            "version-12",
            "`HTTP/1.2`",
            b"GET /t HTTP/1.2",
            either(other, forwarded(line(b"GET /t HTTP/1.1"))),
        ),
        first_line("version-20", "`HTTP/2.0` in HTTP/1.1", b"GET /t HTTP/2.0", other),
        first_line("version-30", "`HTTP/3.0`", b"GET /t HTTP/3.0", other),
        first_line("version-11-long", "`HTTP/1.10`", b"GET /t HTTP/1.10", other),
        first_line("version-zero", "`HTTP/01.1`", b"GET /t HTTP/01.1", other),
        first_line("version-lower", "`http/1.1`", b"GET /t http/1.1", other),
        first_line("version-other", "Another protocol's name", b"GET /t RTSP/1.0", other),
        Case(
            "version-10",
            "HTTP/1.0, answered and closed",
            "RFC 9112 9.3",
            closed_after(forwarded(is_kept=False)),
            request(b"GET /t HTTP/1.0"),
        ),
        Case(
            "version-10-keep-alive",
            "HTTP/1.0 with `Connection: keep-alive`",
            "RFC 9112 9.3",
            forwarded(is_kept=False),
            request(b"GET /t HTTP/1.0", b"Connection: keep-alive"),
        ),
        Case(
            "version-10-post",
            "A POST in HTTP/1.0 with a length",
            "RFC 9112 6.3",
            closed_after(forwarded(body=b"hello", is_kept=False)),
            request(b"POST /t HTTP/1.0", b"Content-Length: 5", body=b"hello"),
        ),
    ]


def _limits() -> list[Case]:
    return [
        Case(
            "target-8000",
            "A target of 8 000 bytes",
            "RFC 9112 3",
            either(forwarded(), refused(414)),
            request(b"GET /" + b"t" * 8000 + b" HTTP/1.1"),
            must=False,
        ),
        Case(
            "target-100000",
            "A target of 100 000 bytes",
            "RFC 9110 15.5.15",
            refused(400, 414, 431),
            request(b"GET /" + b"t" * 100000 + b" HTTP/1.1"),
        ),
        Case(
            "value-7000",
            "A value of 7 000 bytes",
            "RFC 9110 5.4",
            forwarded(has("x-a", b"a" * 7000)),
            request(b"GET /t HTTP/1.1", b"X-A: " + b"a" * 7000),
        ),
        Case(
            "value-20000",
            "A value of 20 000 bytes",
            "RFC 9110 5.4",
            either(forwarded(has("x-a", b"a" * 20000)), refused(400, 431)),
            request(b"GET /t HTTP/1.1", b"X-A: " + b"a" * 20000),
        ),
        Case(
            "value-200000",
            "A value of 200 000 bytes",
            "RFC 6585 5",
            refused(400, 431),
            request(b"GET /t HTTP/1.1", b"X-A: " + b"a" * 200000),
        ),
        Case(
            "lines-70",
            "70 header lines",
            "RFC 9110 5.4",
            forwarded(),
            request(b"GET /t HTTP/1.1", *[b"X-%d: a" % n for n in range(70)]),
        ),
        Case(
            "lines-5000",
            "5 000 header lines",
            "RFC 6585 5",
            refused(400, 431),
            request(b"GET /t HTTP/1.1", *[b"X-%d: a" % n for n in range(5000)]),
        ),
        Case(
            "many-small",
            "1 000 lines of the same name",
            "RFC 6585 5",
            either(refused(400, 431), forwarded()),
            request(b"GET /t HTTP/1.1", *[b"X-A: a"] * 1000),
        ),
        Case(
            "in-order",
            "Answers come in the order of the requests",
            "RFC 9112 9.3.2",
            either(answered_in_order),
            alone(b"GET /t1 HTTP/1.1")
            + alone(b"POST /t2 HTTP/1.1", b"Content-Length: 1", body=b"x")
            + request(b"GET /t3 HTTP/1.1"),
        ),
        Case(
            "post-empty",
            "`Content-Length: 0`",
            "RFC 9110 8.6",
            forwarded(has("content-length", b"0"), body=b""),
            post(b"Content-Length: 0"),
        ),
    ]


CASES = [*_lines(), *_request_lines(), *_versions(), *_limits()]
