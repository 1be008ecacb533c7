"""What is passed on byte by byte: a proxy that tidies up changes what a signature or a route means."""

from conformance.case import Case, Judge, Seen, request
from conformance.judges import (
    client_sees,
    either,
    every,
    forwarded,
    has,
    lacks,
    line,
    refused,
    target,
)
from conformance.upstream import answering

ODD_PATHS = {
    "dot-segments": b"/a/./b/../c",
    "dot-segments-encoded": b"/a/%2e%2e/%2E/c",
    "slashes": b"//a///b//",
    "slash-encoded": b"/a%2Fb%2fc",
    "percent-alone": b"/a%zz%",
    "nul-encoded": b"/a%00b",
    "crlf-encoded": b"/a%0d%0aX-A:%20b",
    "parameters": b"/a;v=1/b;w",
    "reserved": b"/a!$&'()*+,:=@~-._",
    "query": b"/a?b=c&d=%26&e=+&f",
    "query-empty": b"/a?",
    "query-marks": b"/a?b?c?d",
    "query-slashes": b"/a?x=/../..//",
    "query-brackets": b"/a?x[]=1&y[a]=2",
    "query-braces": b'/a?x={"y":1}',
    "query-pipe": b"/a?x=1|2^3`4",
    "encoded-utf8": b"/%E2%82%AC",
    "long": b"/" + b"a/" * 1500,
}


def _fields() -> list[Case]:
    def row(name: str, title: str, lines: list[bytes], *wanted: bytes) -> Case:
        judge = forwarded(has("x-a", *wanted))
        return Case(name, title, "RFC 9110 5.5", judge, request(b"GET /t HTTP/1.1", *lines))

    return [
        row(
            "value-high-bytes",
            "Bytes above 0x7f in a value",
            [b"X-A: \xe9\xff\x80"],
            b"\xe9\xff\x80",
        ),
        row("value-tab", "A tab in a value", [b"X-A: a\tb"], b"a\tb"),
        row("value-spaces", "Spaces in and around a value", [b"X-A:   a   b   "], b"a   b"),
        row("value-empty", "An empty value", [b"X-A:"], b""),
        row(
            "value-punctuation",
            "Quotes, commas and brackets",
            [b'X-A: "a, b"; c=<d>{e}'],
            b'"a, b"; c=<d>{e}',
        ),
        row(
            "lines-in-order",
            "Three lines of one name, in order",
            [b"X-A: 3", b"X-B: x", b"X-A: 1", b"X-A: 2"],
            b"3",
            b"1",
            b"2",
        ),
        row("name-in-case", "A name in upper case", [b"X-A: a"], b"a"),
    ]


def kept(name: str, value: bytes) -> Case:
    """A header of the application that stays as it is."""
    judge = forwarded(has(name, value))
    data = request(b"GET /t HTTP/1.1", name.encode() + b": " + value)
    return Case(f"header-{name}", f"`{name}` as it was", "RFC 9110 7.6", judge, data)


def body(name: str, title: str, data: bytes) -> Case:
    length = b"Content-Length: %d" % len(data)
    send = request(b"POST /t HTTP/1.1", length, body=data)
    return Case(f"body-{name}", f"A body of {title}", "RFC 9110 6.4", forwarded(body=data), send)


def reply(
    name: str,
    title: str,
    judge: Judge,
    *lines: bytes,
    source: str = "RFC 9110 7.6",
    must: bool = True,
) -> Case:
    """Headers of an answer."""
    head = b"".join(line + b"\r\n" for line in lines)
    answer = answering(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n" + head + b"\r\nok")
    return Case(f"answer-{name}", title, source, judge, request(), answer, must)


def status(code: int) -> Case:
    """A status with a body goes through as it is."""
    answer = answering(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % code)

    def judge(seen: Seen) -> str | None:
        first = seen.first
        return None if first and (first.status, first.body) == (code, b"ok") else "changed"

    return Case(
        f"status-{code}",
        f"Status {code} with a body",
        "RFC 9110 15",
        judge,
        request(),
        upstream=answer,
    )


CASES = [
    *(
        Case(
            f"path-{name}",
            f"Path and query: {name.replace('-', ' ')}",
            "RFC 9110 7.7, RFC 3986 6",
            either(forwarded(target(path)), refused(400)),
            request(b"GET " + path + b" HTTP/1.1"),
        )
        for name, path in ODD_PATHS.items()
    ),
    *_fields(),
    kept("user-agent", b"curl/8"),
    kept("accept-encoding", b"gzip;q=0.5, br"),
    kept("authorization", b"Bearer a.b-c_d~e+f/="),
    kept("cookie", b'a=b; c="d e"; f='),
    kept("range", b"bytes=0-1,5-"),
    kept("if-none-match", b'W/"a", "b"'),
    kept("x-request-id", b"an-id-of-the-client"),
    kept("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    Case(
        "no-user-agent",
        "None is made up",
        "RFC 9110 10.1.5",
        forwarded(lacks("user-agent", "accept")),
        request(),
    ),
    Case(
        "method-propfind",
        "Methods of extensions",
        "RFC 9110 9",
        forwarded(line(b"PROPFIND /t ")),
        request(b"PROPFIND /t HTTP/1.1"),
    ),
    Case(
        "method-query",
        "QUERY with a body",
        "RFC 9110 9",
        forwarded(line(b"QUERY /t "), body=b"hello"),
        request(b"QUERY /t HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    ),
    Case(
        "delete-body",
        "DELETE with a body",
        "RFC 9110 9.3.5",
        forwarded(body=b"hello"),
        request(b"DELETE /t HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    ),
    body("all-bytes", "all byte values", bytes(range(256)) * 8),
    body("crlf", "line ends", b"\r\n\r\n" * 100),
    body("256-kib", "256 KiB", b"0123456789abcdef" * 16384),
    reply(
        "cookies",
        "Two Set-Cookie stay two",
        client_sees("set-cookie", b"a=1, x", b"b=2"),
        b"Set-Cookie: a=1, x",
        b"Set-Cookie: b=2",
        source="RFC 6265 3",
    ),
    reply(
        "high-bytes",
        "Bytes above 0x7f in an answer's value",
        client_sees("x-a", b"\xe9\xff"),
        b"X-A: \xe9\xff",
    ),
    reply(
        "etag",
        "ETag, Vary and Cache-Control",
        every(
            client_sees("etag", b'W/"a"'),
            client_sees("vary", b"a, b"),
            client_sees("cache-control", b"no-cache"),
        ),
        b'ETag: W/"a"',
        b"Vary: a, b",
        b"Cache-Control: no-cache",
    ),
    reply(
        "date",
        "The upstream's Date",
        client_sees("date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
        must=False,
        source="RFC 9110 6.6.1",
    ),
    reply(
        "server",
        "The upstream's Server",
        client_sees("server", b"own/1"),
        b"Server: own/1",
        must=False,
    ),
    reply("retry-after", "Retry-After", client_sees("retry-after", b"7"), b"Retry-After: 7"),
    reply(
        "buffering",
        "`X-Accel-Buffering` reaches the next proxy",
        client_sees("x-accel-buffering", b"no"),
        b"X-Accel-Buffering: no",
        must=False,
    ),
    *(status(code) for code in (201, 203, 299, 300, 401, 404, 418, 429, 451, 499, 500, 503, 599)),
]
