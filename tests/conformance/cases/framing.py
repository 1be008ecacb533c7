"""Where a request ends: Content-Length and Transfer-Encoding, and every form in which two readers of the
same bytes could disagree on them."""

from conformance.case import Case, Judge, alone, post, request
from conformance.judges import (
    closed_after,
    either,
    forwarded,
    lacks,
    refused,
    refused_or_clean,
)

BODY = b"0\r\n\r\n"
SIX = BODY + b"G"
TE = b"Transfer-Encoding: chunked"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
CLEAN = refused_or_clean()

_BOTH = either(refused(), closed_after(forwarded(is_kept=False)))

CASES = [
    Case(
        "length-then-chunked",
        "Content-Length before Transfer-Encoding",
        "RFC 9112 6.3 (3)",
        _BOTH,
        post(b"Content-Length: 6", TE, body=SIX),
    ),
    Case(
        "chunked-then-length",
        "Transfer-Encoding before Content-Length",
        "RFC 9112 6.3 (3)",
        _BOTH,
        post(TE, b"Content-Length: 6", body=SIX),
    ),
    Case(
        "length-of-zero-and-chunked",
        "`Content-Length: 0` beside `chunked`, with a request in the body",
        "RFC 9112 6.1",
        _BOTH,
        post(b"Content-Length: 0", TE, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    ),
    Case(
        "get-with-both",
        "A GET with both",
        "RFC 9112 6.3 (3)",
        _BOTH,
        request(b"GET /t HTTP/1.1", b"Content-Length: 5", TE, body=BODY),
    ),
]


def _codings() -> list[Case]:
    """Forms of Transfer-Encoding, each beside a Content-Length that covers the same bytes otherwise."""
    rows: list[tuple[str, str, bytes]] = [
        ("te-unknown", "`xchunked`", b"Transfer-Encoding: xchunked"),
        ("te-identity", "`identity`", b"Transfer-Encoding: identity"),
        ("te-quoted", '`"chunked"` in quotes', b'Transfer-Encoding: "chunked"'),
        ("te-vertical-tab", "`chunked` after a vertical tab", b"Transfer-Encoding: \x0bchunked"),
        ("te-form-feed", "`chunked` before a form feed", b"Transfer-Encoding: chunked\x0c"),
        ("te-nul", "`chunked` after NUL", b"Transfer-Encoding: \x00chunked"),
        ("te-nul-behind", "`chunked` before NUL", b"Transfer-Encoding: chunked\x00"),
        ("te-high-byte", "`chunked` with a byte above 0x7f", b"Transfer-Encoding: ch\xfcnked"),
        ("te-space-before-colon", "a space before the colon", b"Transfer-Encoding : chunked"),
        ("te-tab-before-colon", "a tab before the colon", b"Transfer-Encoding\t: chunked"),
        ("te-leading-space", "a line that begins with a space", b" Transfer-Encoding: chunked"),
        ("te-folded", "the value on a folded line", b"Transfer-Encoding:\r\n chunked"),
        ("te-bare-lf", "hidden behind a bare LF", b"X-A: b\nTransfer-Encoding: chunked"),
        ("te-bare-cr", "hidden behind a bare CR", b"X-A: b\rTransfer-Encoding: chunked"),
        ("te-empty", "an empty value", b"Transfer-Encoding:"),
        ("te-comma-first", "an empty element first", b"Transfer-Encoding: ,chunked"),
        ("te-comma-last", "an empty element last", b"Transfer-Encoding: chunked,"),
        ("te-twice", "`chunked, chunked`", b"Transfer-Encoding: chunked, chunked"),
        ("te-two-lines", "two lines of `chunked`", TE + b"\r\n" + TE),
        ("te-chunked-not-last", "`chunked, identity`", b"Transfer-Encoding: chunked, identity"),
        ("te-gzip-chunked", "`gzip, chunked`", b"Transfer-Encoding: gzip, chunked"),
        ("te-parameter", "`chunked` with a parameter", b"Transfer-Encoding: chunked;a=b"),
        ("te-second-line", "a second line of nonsense", TE + b"\r\nTransfer-Encoding: x"),
        ("te-first-line", "a first line of nonsense", b"Transfer-Encoding: x\r\n" + TE),
    ]
    with_length = [
        Case(
            f"{name}-and-length",
            f"Transfer-Encoding beside Content-Length: {title}",
            source,
            CLEAN,
            data,
        )
        for name, title, field in rows
        for source, data in [
            ("RFC 9112 6.1, 6.3", post(field, b"Content-Length: 6", body=SIX)),
        ]
    ]
    # Without a length, who does not see `chunked` sees no body, and the chunks as a request.
    smuggling = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    alone_too = [
        Case(
            name,
            f"Transfer-Encoding alone: {title}",
            "RFC 9112 6.1",
            CLEAN,
            post(field, body=smuggling),
        )
        for name, title, field in rows
    ]
    return with_length + alone_too


def _lengths() -> list[Case]:
    """Forms of Content-Length before a body of five bytes."""

    def row(name: str, title: str, *fields: bytes, judge: Judge = CLEAN, must: bool = True) -> Case:
        data = post(*fields, body=b"hello")
        return Case(
            f"length-{name}", f"Content-Length: {title}", "RFC 9112 6.3 (5)", judge, data, must=must
        )

    bad = refused(400)
    return [
        row("plus", "`+5`", b"Content-Length: +5", judge=bad),
        row("minus", "`-5`", b"Content-Length: -5", judge=bad),
        row("hex", "`0x5`", b"Content-Length: 0x5", judge=bad),
        row("fraction", "`5.0`", b"Content-Length: 5.0", judge=bad),
        row("exponent", "`5e0`", b"Content-Length: 5e0", judge=bad),
        row("space-inside", "`5 5`", b"Content-Length: 5 5", judge=bad),
        row("empty", "empty", b"Content-Length:", judge=bad),
        row("letters", "`five`", b"Content-Length: five", judge=bad),
        row("semicolon", "`5;`", b"Content-Length: 5;", judge=bad),
        row("quoted", '`"5"`', b'Content-Length: "5"', judge=bad),
        row("nul", "5 and NUL", b"Content-Length: 5\x00", judge=bad),
        row("vertical-tab", "5 and a vertical tab", b"Content-Length: 5\x0b", judge=bad),
        row("arabic-digit", "a digit that is not ASCII", "Content-Length: ٥".encode(), judge=bad),
        row(
            "twenty-digits",
            "20 digits",
            b"Content-Length: 99999999999999999999",
            judge=refused(400, 413),
        ),
        row(
            "two-to-64-and-5",
            "2^64 + 5",
            b"Content-Length: 18446744073709551621",
            judge=refused(400, 413),
        ),
        row("two-to-63", "2^63", b"Content-Length: 9223372036854775808", judge=refused(400, 413)),
        row("list-same", "`5, 5`", b"Content-Length: 5, 5", judge=refused_or_clean(b"hello")),
        row("list-different", "`5, 6`", b"Content-Length: 5, 6", judge=bad),
        row("list-empty-element", "`5,`", b"Content-Length: 5,", judge=bad),
        row(
            "twice-same",
            "two lines of 5",
            b"Content-Length: 5",
            b"Content-Length: 5",
            judge=refused_or_clean(b"hello"),
        ),
        row(
            "twice-different",
            "lines of 5 and 6",
            b"Content-Length: 5",
            b"Content-Length: 6",
            judge=bad,
        ),
        row(
            "twice-zero-first",
            "lines of 0 and 5",
            b"Content-Length: 0",
            b"Content-Length: 5",
            judge=bad,
        ),
        row("space-before-colon", "a space before the colon", b"Content-Length : 5", judge=bad),
        row(
            "folded", "on a folded line", b"Content-Length:\r\n 5", judge=refused_or_clean(b"hello")
        ),
        row("leading-zeros", "`00005`", b"Content-Length: 00005", judge=refused_or_clean(b"hello")),
        row(
            "spaces-around",
            "spaces and tabs around",
            b"Content-Length: \t 5 \t",
            judge=forwarded(body=b"hello"),
        ),
        row(
            "underscore",
            "spelt `Content_Length`",
            b"Content_Length: 5",
            b"Content-Length: 5",
            judge=forwarded(lacks("content_length"), body=b"hello"),
            must=False,
        ),
        row(
            "behind-bare-lf",
            "behind a bare LF",
            b"X-A: b\nContent-Length: 0",
            b"Content-Length: 5",
            judge=CLEAN,
        ),
    ]


def _rest() -> list[Case]:
    pipelined = b"".join(alone(f"GET /t{n} HTTP/1.1") for n in range(9))
    return [
        Case(
            "get-with-body",
            "A GET with a body",
            "RFC 9110 9.3.1",
            refused_or_clean(b"hello"),
            request(b"GET /t HTTP/1.1", b"Content-Length: 5", body=b"hello"),
        ),
        Case(
            "body-is-a-request",
            "A body that looks like a request",
            "RFC 9112 6.3",
            forwarded(body=SMUGGLED),
            post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        ),
        Case(
            "post-without-length",
            "A POST without a length",
            "RFC 9112 6.3 (7)",
            either(forwarded(body=b""), refused(411)),
            post(),
        ),
        Case(
            "bytes-after-body",
            "More bytes than announced",
            "RFC 9112 9.3.2",
            closed_after(forwarded(body=b"hel", is_kept=False)),
            post(b"Content-Length: 3", body=b"hello world\r\n\r\n"),
        ),
        Case(
            "http-10-chunked",
            "`chunked` in HTTP/1.0",
            "RFC 9112 6.1",
            closed_after(either(refused(), forwarded(is_kept=False))),
            request(b"POST /t HTTP/1.0", TE, b"Connection: keep-alive", body=SIX),
        ),
        Case(
            "http-10-chunked-and-length",
            "`chunked` and a length in HTTP/1.0",
            "RFC 9112 6.1",
            closed_after(either(refused(), forwarded(is_kept=False))),
            request(
                b"POST /t HTTP/1.0", TE, b"Content-Length: 6", b"Connection: keep-alive", body=SIX
            ),
        ),
        Case(
            "pipelined-ten",
            "Ten requests at once, answered in their order",
            "RFC 9112 9.3.2",
            forwarded(times=10),
            pipelined + request(),
        ),
        Case(
            "pipelined-post-get",
            "A request behind a body in the same packet",
            "RFC 9112 9.3.2",
            forwarded(times=2),
            alone(b"POST /t HTTP/1.1", b"Content-Length: 5", body=b"hello") + request(),
        ),
        Case(
            "pipelined-after-close",
            "A request behind one with `Connection: close`",
            "RFC 9112 9.6",
            closed_after(forwarded(is_kept=False)),
            request(b"GET /t HTTP/1.1", b"Connection: close"),
        ),
        Case(
            "pipelined-after-refusal",
            "A request behind a malformed one",
            "RFC 9112 2.2",
            refused(400),
            request(b"GET /t HTTP/1.1", b"bad header: x"),
        ),
    ]


CASES += _codings() + _lengths() + _rest()
