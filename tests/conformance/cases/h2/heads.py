"""Heads that are malformed, one way each."""

from conformance.case import Case, Seen
from conformance.cases.h2.play import asks, case, forwarded_whole, malformed, with_pseudo, without
from conformance.frames import Pairs, request
from conformance.judges import has


def _heads() -> list[Case]:
    """Heads that are malformed, one way each."""
    of_fields, of_connection, pseudo = "RFC 9113 8.2.1", "RFC 9113 8.2.2", "RFC 9113 8.3"
    hidden = b"/t HTTP/1.1\r\nHost: a.test\r\n\r\nGET /smuggled"
    rows: list[tuple[str, str, str, Pairs]] = [
        (
            "name-upper-case",
            "a header name in upper case",
            of_fields,
            request(b"/t", b"GET", (b"X-A", b"b")),
        ),
        ("name-empty", "an empty header name", of_fields, request(b"/t", b"GET", (b"", b"b"))),
        (
            "name-space",
            "a space in a header name",
            of_fields,
            request(b"/t", b"GET", (b"x a", b"b")),
        ),
        (
            "name-colon",
            "a colon in a header name",
            of_fields,
            request(b"/t", b"GET", (b"x:a", b"b")),
        ),
        (
            "name-crlf",
            "CRLF in a header name",
            of_fields,
            request(b"/t", b"GET", (b"x\r\ny", b"b")),
        ),
        ("name-nul", "NUL in a header name", of_fields, request(b"/t", b"GET", (b"x\0", b"b"))),
        (
            "name-high-byte",
            "a byte above 0x7f in a header name",
            of_fields,
            request(b"/t", b"GET", (b"x\xff", b"b")),
        ),
        ("value-lf", "LF in a value", of_fields, request(b"/t", b"GET", (b"x", b"a\nb: c"))),
        ("value-cr", "CR in a value", of_fields, request(b"/t", b"GET", (b"x", b"a\rb"))),
        (
            "value-crlf",
            "a header hidden behind CRLF in a value",
            of_fields,
            request(b"/t", b"GET", (b"x", b"a\r\nx-evil: 1")),
        ),
        ("value-nul", "NUL in a value", of_fields, request(b"/t", b"GET", (b"x", b"a\0b"))),
        (
            "connection",
            "`connection: close`",
            of_connection,
            request(b"/t", b"GET", (b"connection", b"close")),
        ),
        (
            "connection-nominates",
            "`connection` that names a header",
            of_connection,
            request(b"/t", b"GET", (b"connection", b"x-a"), (b"x-a", b"1")),
        ),
        (
            "keep-alive",
            "`keep-alive`",
            of_connection,
            request(b"/t", b"GET", (b"keep-alive", b"timeout=5")),
        ),
        (
            "proxy-connection",
            "`proxy-connection`",
            of_connection,
            request(b"/t", b"GET", (b"proxy-connection", b"keep-alive")),
        ),
        (
            "transfer-encoding",
            "`transfer-encoding: chunked`",
            of_connection,
            request(b"/t", b"POST", (b"transfer-encoding", b"chunked")),
        ),
        (
            "upgrade",
            "`upgrade: websocket`",
            of_connection,
            request(b"/t", b"GET", (b"upgrade", b"websocket")),
        ),
        (
            "te-gzip",
            "`te` other than `trailers`",
            of_connection,
            request(b"/t", b"GET", (b"te", b"gzip")),
        ),
        (
            "pseudo-late",
            "a pseudo-header after a header",
            pseudo,
            [*without(b":path", request()), (b"x", b"y"), (b":path", b"/t")],
        ),
        ("pseudo-unknown", "an unknown pseudo-header", pseudo, [*request(), (b":x", b"y")]),
        ("pseudo-of-answers", "`:status` in a request", pseudo, [*request(), (b":status", b"200")]),
        (
            "protocol-unasked",
            "`:protocol` without extended CONNECT",
            "RFC 8441 4",
            [*request(), (b":protocol", b"websocket")],
        ),
        ("method-missing", "no `:method`", "RFC 9113 8.3.1", without(b":method", request())),
        ("scheme-missing", "no `:scheme`", "RFC 9113 8.3.1", without(b":scheme", request())),
        ("path-missing", "no `:path`", "RFC 9113 8.3.1", without(b":path", request())),
        ("path-empty", "an empty `:path`", "RFC 9113 8.3.1", with_pseudo(b":path", b"")),
        ("path-relative", "`:path` without a slash", "RFC 9113 8.3.1", with_pseudo(b":path", b"t")),
        (
            "path-space",
            "a space in `:path`",
            "RFC 9113 8.3.1",
            with_pseudo(b":path", b"/t HTTP/1.1"),
        ),
        (
            "path-crlf",
            "a request hidden behind CRLF in `:path`",
            "CVE-2021-36740",
            with_pseudo(b":path", hidden),
        ),
        ("path-nul", "NUL in `:path`", "RFC 9113 8.2.1", with_pseudo(b":path", b"/t\0")),
        (
            "method-space",
            "a request line in `:method`",
            "CVE-2021-33193",
            with_pseudo(b":method", b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\nGET"),
        ),
        ("method-empty", "an empty `:method`", "RFC 9113 8.3.1", with_pseudo(b":method", b"")),
        ("method-twice", "two of `:method`", pseudo, [(b":method", b"GET"), *request()]),
        ("path-twice", "two of `:path`", pseudo, [(b":path", b"/u"), *request()]),
        (
            "authority-twice",
            "two of `:authority`",
            pseudo,
            [(b":authority", b"b.test"), *request()],
        ),
        (
            "authority-crlf",
            "CRLF in `:authority`",
            of_fields,
            with_pseudo(b":authority", b"a.test\r\nx: y"),
        ),
        (
            "authority-user",
            "a user in `:authority`",
            "RFC 9113 8.3.1",
            with_pseudo(b":authority", b"me@a.test"),
        ),
        (
            "authority-slash",
            "a path in `:authority`",
            "RFC 9113 8.3.1",
            with_pseudo(b":authority", b"a.test/x"),
        ),
        (
            "authority-not-host",
            "`host` that differs from `:authority`",
            "RFC 9113 8.3.1",
            [*request(), (b"host", b"b.test")],
        ),
        (
            "host-twice",
            "two of `host`",
            "RFC 9110 7.2",
            [*without(b":authority", request()), (b"host", b"a.test"), (b"host", b"b.test")],
        ),
        (
            "no-authority",
            "neither `:authority` nor `host`",
            "RFC 9113 8.3.1",
            without(b":authority", request()),
        ),
        (
            "connect",
            "CONNECT",
            "RFC 9113 8.5",
            [(b":method", b"CONNECT"), (b":authority", b"a.test:443")],
        ),
        ("trace", "TRACE", "RFC 9110 9.3.8", with_pseudo(b":method", b"TRACE")),
        (
            "length-signed",
            "`content-length: +5`",
            "RFC 9110 8.6",
            request(b"/t", b"POST", (b"content-length", b"+5")),
        ),
        (
            "length-twice",
            "two lengths that differ",
            "RFC 9110 8.6",
            request(b"/t", b"POST", (b"content-length", b"5"), (b"content-length", b"6")),
        ),
    ]
    should = {"no-authority", "connect", "trace", "authority-not-host", "authority-slash"}
    spaces = [
        case(
            f"value-{where}-space",
            f"a value that {where}s with a space",
            of_fields,
            _trimmed_or_malformed,
            asks(request(b"/t", b"GET", (b"x", value))),
        )
        for where, value in [("begin", b" a"), ("end", b"a ")]
    ]
    return spaces + [
        case(name, title, source, malformed, asks(fields), must=name not in should)
        for name, title, source, fields in rows
    ]


def _trimmed_or_malformed(seen: Seen) -> str | None:
    """Refused, or passed on as the same value without the space."""
    return malformed(seen) if not seen.requests else forwarded_whole(has("x", b"a"))(seen)


CASES = _heads()
