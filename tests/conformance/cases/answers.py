"""Broken answers: what a server says that breaks off, contradicts itself, or is no HTTP.

A client must never take for whole what is not, and never read a second answer out of the first.
"""

from conformance.case import Case, Judge, Seen, request
from conformance.judges import answered, bad_gateway, either, every, never_whole
from conformance.upstream import OK, Script, answering

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def nothing_smuggled(seen: Seen) -> str | None:
    """No bytes of the upstream are read as an answer of their own."""
    evil = [answer for answer in seen.answers if answer.body == b"evil"]
    return "a second answer was smuggled" if evil else None


NEVER = every(nothing_smuggled, never_whole())
BAD = every(nothing_smuggled, either(bad_gateway(), never_whole()))
HELLO = every(nothing_smuggled, answered(200, b"hello"))
EITHER = either(BAD, HELLO)


def row(
    name: str, title: str, answer: bytes, judge: Judge, source: str, then: str = "keep", **more
) -> Case:
    return Case(
        name, title, source, judge, request(), upstream=answering(answer, then=then), **more
    )


def _lines() -> list[Case]:
    source = "RFC 9112 4"
    body = b"Content-Length: 5\r\n\r\nhello"

    def line(name: str, title: str, text: bytes, judge: Judge = BAD) -> Case:
        answer = text + b"\r\n" + body
        return row(f"line-{name}", f"Status line: {title}", answer, judge, source, "close")

    return [
        line("garbage", "nonsense", b"nonsense"),
        line("no-version", "no version", b"200 OK"),
        line("lower-version", "`http/1.1`", b"http/1.1 200 OK"),
        line("http-2", "`HTTP/2.0`", b"HTTP/2.0 200 OK"),
        line("http-11x", "`HTTP/1.1x`", b"HTTP/1.1x 200 OK"),
        line("two-digits", "a status of two digits", b"HTTP/1.1 20 OK"),
        line("four-digits", "a status of four digits", b"HTTP/1.1 2000 OK"),
        line("letters", "a status of letters", b"HTTP/1.1 OK 200"),
        line("minus", "a status of `-200`", b"HTTP/1.1 -200 OK"),
        line("no-status", "no status", b"HTTP/1.1"),
        line("no-reason", "no reason", b"HTTP/1.1 200", HELLO),
        line("empty-reason", "an empty reason", b"HTTP/1.1 200 ", HELLO),
        line("two-spaces", "two spaces", b"HTTP/1.1  200 OK", EITHER),
        line("nul-reason", "NUL in the reason", b"HTTP/1.1 200 O\x00K", EITHER),
        line("high-reason", "a byte above 0x7f in the reason", b"HTTP/1.1 200 \xe9", EITHER),
        line("status-000", "status 000", b"HTTP/1.1 000 OK"),
        line("status-099", "status 099", b"HTTP/1.1 099 OK"),
        line("status-999", "status 999", b"HTTP/1.1 999 OK", either(BAD, answered(999, b"hello"))),
        line("leading-crlf", "an empty line before it", b"\r\nHTTP/1.1 200 OK", EITHER),
        line("bare-lf", "a bare LF behind it", b"HTTP/1.1 200 OK\nX-A: b", EITHER),
        line("tls", "a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28"),
        row(
            "html-alone",
            "HTML without a head, as of HTTP/0.9",
            b"<html>hello</html>",
            BAD,
            source,
            "close",
        ),
        row("nothing", "The connection ends without a byte", b"", BAD, "RFC 9110 15.6.3", "close"),
        row(
            "reset", "The connection is reset without a byte", b"", BAD, "RFC 9110 15.6.3", "reset"
        ),
        row("half-line", "Half a status line", b"HTTP/1.1 20", BAD, source, "close"),
        row("half-head", "Half a head", HEAD + b"Content-Length: 5\r\nX-A: ", BAD, source, "close"),
        row(
            "half-head-reset",
            "Half a head, then a reset",
            HEAD + b"Content-Length: 5\r\n",
            BAD,
            source,
            "reset",
        ),
    ]


def _heads() -> list[Case]:
    def head(name: str, title: str, lines: bytes, judge: Judge = EITHER) -> Case:
        answer = HEAD + b"Content-Length: 5\r\n" + lines + b"\r\n\r\nhello"
        return row(f"head-{name}", f"Head: {title}", answer, judge, "RFC 9112 5", "close")

    return [
        head("nul", "NUL in a value", b"X-A: a\x00b"),
        head("nul-in-name", "NUL in a name", b"X\x00A: b"),
        head("bare-cr", "a bare CR in a value", b"X-A: a\rb"),
        head("bare-lf", "a bare LF in a value", b"X-A: a\nX-B: b"),
        head("space-before-colon", "a space before the colon", b"X-A : b"),
        head("space-in-name", "a space in a name", b"X A: b"),
        head("empty-name", "an empty name", b": b"),
        head("no-colon", "a line without a colon", b"nonsense"),
        head("folded", "a folded line", b"X-A: b\r\n c"),
        head("control", "a control character", b"X-A: a\x01b"),
        head("set-cookie-crlf", "CR CR LF", b"Set-Cookie: a=b\r"),
        head("20-kib", "20 KiB", b"X-A: " + b"a" * 20000),
        head("1-mib", "1 MiB", b"X-A: " + b"a" * 1048576, BAD),
        head("90-lines", "90 lines", b"\r\n".join(b"X-%d: a" % n for n in range(90))),
        head(
            "10000-lines", "10 000 lines", b"\r\n".join(b"X-%d: a" % n for n in range(10000)), BAD
        ),
    ]


def _lengths() -> list[Case]:
    def lengths(
        name: str,
        title: str,
        lines: bytes,
        judge: Judge,
        body: bytes = b"hello",
        then: str = "close",
    ) -> Case:
        answer = HEAD + lines + b"\r\n\r\n" + body
        return row(f"length-{name}", f"Length: {title}", answer, judge, "RFC 9112 6.3", then)

    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked"
    return [
        lengths("short", "the body ends early", b"Content-Length: 10", NEVER),
        lengths(
            "short-reset", "the body is reset early", b"Content-Length: 10", NEVER, then="reset"
        ),
        lengths("none-of-it", "no byte of the body comes", b"Content-Length: 10", NEVER, b""),
        lengths(
            "long",
            "more comes than announced: another answer",
            b"Content-Length: 5",
            HELLO,
            b"hello" + SMUGGLED,
            "keep",
        ),
        lengths(
            "zero-and-body",
            "0, and a body",
            b"Content-Length: 0",
            every(nothing_smuggled, answered(200, b"")),
            SMUGGLED,
            "keep",
        ),
        lengths("differ", "two that differ", b"Content-Length: 5\r\nContent-Length: 6", BAD),
        lengths("same", "two that agree", b"Content-Length: 5\r\nContent-Length: 5", EITHER),
        lengths("list", "`5, 6`", b"Content-Length: 5, 6", BAD),
        lengths("minus", "`-5`", b"Content-Length: -5", BAD),
        lengths("plus", "`+5`", b"Content-Length: +5", EITHER),
        lengths("letters", "letters", b"Content-Length: five", EITHER),
        lengths("huge", "20 digits", b"Content-Length: 99999999999999999999", BAD),
        lengths("empty", "empty", b"Content-Length:", EITHER),
        lengths("and-chunked", "beside `chunked`: the chunks count", both, EITHER, chunks),
        lengths(
            "and-chunked-smuggling",
            "beside `chunked`, too short for the chunks",
            b"Content-Length: 3\r\nTransfer-Encoding: chunked",
            EITHER,
            chunks + SMUGGLED,
            "keep",
        ),
        lengths("none", "none: the end of the connection is the end", b"X-A: b", HELLO),
        lengths("none-reset", "none, and a reset", b"X-A: b", NEVER, then="reset"),
        lengths(
            "gzip-chunked",
            "`gzip, chunked`",
            b"Transfer-Encoding: gzip, chunked",
            either(BAD, answered(200)),
            chunks,
        ),
        lengths(
            "te-unknown",
            "`Transfer-Encoding: own`",
            b"Transfer-Encoding: own",
            every(nothing_smuggled, either(BAD, answered(200))),
        ),
        lengths(
            "te-twice",
            "`chunked` twice",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            EITHER,
            chunks,
        ),
        lengths(
            "te-not-last",
            "`chunked, identity`",
            b"Transfer-Encoding: chunked, identity",
            either(BAD, answered(200)),
            chunks,
        ),
        lengths(
            "te-vertical-tab",
            "`chunked` behind a vertical tab",
            b"Transfer-Encoding: \x0bchunked",
            either(BAD, answered(200)),
            chunks,
        ),
    ]


def _chunks() -> list[Case]:
    def chunks(
        name: str, title: str, body: bytes, judge: Judge = NEVER, then: str = "close"
    ) -> Case:
        return row(
            f"chunk-{name}", f"Chunks: {title}", CHUNKED + body, judge, "RFC 9112 7.1, 8", then
        )

    return [
        chunks("no-last", "no last chunk", b"5\r\nhello\r\n"),
        chunks("no-last-reset", "no last chunk, but a reset", b"5\r\nhello\r\n", then="reset"),
        chunks("none", "none at all", b""),
        chunks("cut-in-data", "cut in the data", b"5\r\nhel"),
        chunks("cut-in-size", "cut in a size", b"5\r\nhello\r\n1"),
        chunks("cut-behind-size", "cut behind a size", b"5\r\nhello\r\n5\r\n"),
        chunks("cut-in-last", "cut in the last chunk", b"5\r\nhello\r\n0\r\n"),
        chunks("cut-in-crlf", "cut in the last CRLF", b"5\r\nhello\r\n0\r\n\r"),
        chunks("bad-size", "a size of letters", b"5\r\nhello\r\nxyz\r\n"),
        chunks("minus", "a negative size", b"5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n"),
        chunks(
            "overflow",
            "a size above 2^64",
            b"5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        chunks("no-crlf", "no CRLF behind the data", b"5\r\nhello0\r\n\r\n"),
        chunks("too-small", "a size smaller than the data", b"4\r\nhello\r\n0\r\n\r\n"),
        chunks("bare-lf", "bare LFs", b"5\nhello\n0\n\n", either(NEVER, HELLO)),
        chunks("extension", "an extension", b"5;a=b\r\nhello\r\n0\r\n\r\n", HELLO, "keep"),
        chunks("trailer", "a trailer", b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n", HELLO, "keep"),
        chunks(
            "trailer-bad",
            "a trailer that is none",
            b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
            either(NEVER, HELLO),
        ),
        chunks(
            "trailer-long",
            "1 MiB of trailers",
            b"5\r\nhello\r\n0\r\nX-A: " + b"a" * 1048576 + b"\r\n\r\n",
            either(NEVER, HELLO),
        ),
        chunks(
            "then-answer",
            "another answer behind the last",
            b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
            HELLO,
            "keep",
        ),
        row(
            "chunk-in-10",
            "Chunks in HTTP/1.0",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            either(BAD, answered(200)),
            "RFC 9112 6.1",
            "close",
        ),
    ]


def trailer(wanted: bytes | None) -> Judge:
    """The client sees this trailer, or none."""

    def judge(seen: Seen) -> str | None:
        found = [value for _, value in seen.first.trailers] if seen.first else []
        return None if found == ([wanted] if wanted else []) else f"trailers: {found}"

    return judge


def _trailers() -> list[Case]:
    def row(
        name: str, title: str, line: bytes, judge: Judge, *fields: bytes, must: bool = True
    ) -> Case:
        announced = b"Trailer: " + line.split(b":")[0] + b"\r\n"
        head = HEAD + announced + b"Transfer-Encoding: chunked\r\n\r\n"
        answer = answering(head + b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n")
        send = request(b"GET /t HTTP/1.1", *fields)
        return Case(
            f"trailer-{name}", title, "RFC 9110 6.5", every(HELLO, judge), send, answer, must=must
        )

    asked = (b"TE: trailers", b"Connection: TE")
    return [
        row(
            "asked",
            "A trailer for who asks for them",
            b"X-Sum: 1",
            trailer(b"1"),
            *asked,
            must=False,
        ),
        row(
            "unasked",
            "A trailer for who does not: left out, or harmless",
            b"X-Sum: 1",
            either(trailer(None), trailer(b"1")),
        ),
        row("length", "Content-Length as a trailer", b"Content-Length: 9", trailer(None), *asked),
        row("cookie", "Set-Cookie as a trailer", b"Set-Cookie: a=b", trailer(None), *asked),
    ]


def _bodiless() -> list[Case]:
    def status(code: int, name: str, lines: bytes, body: bytes) -> Case:
        answer = b"HTTP/1.1 %d X\r\n%s\r\n%s" % (code, lines, body)
        judge = every(nothing_smuggled, either(answered(code, b""), bad_gateway()))
        title = f"{code} with {name.replace('-', ' ')}"
        return row(f"status-{code}-{name}", title, answer, judge, "RFC 9112 6.3 (1)")

    to_head = every(nothing_smuggled, answered(200, b""))
    head = request(b"HEAD /t HTTP/1.1")

    def heads(name: str, title: str, answer: bytes) -> Case:
        return Case(
            f"head-request-{name}",
            f"HEAD, answered {title}",
            "RFC 9112 6.3 (1)",
            to_head,
            head,
            answering(answer),
            methods=("HEAD", "GET"),
        )

    return [
        status(204, "a-body", b"Content-Length: 4\r\n", b"evil"),
        status(204, "an-answer-behind-it", b"", SMUGGLED),
        status(204, "chunks", b"Transfer-Encoding: chunked\r\n", b"4\r\nevil\r\n0\r\n\r\n"),
        status(304, "a-length", b"Content-Length: 4\r\n", b""),
        status(304, "a-body", b"Content-Length: 4\r\n", b"evil"),
        status(304, "an-answer-behind-it", b"", SMUGGLED),
        heads("with-length", "with a length", HEAD + b"Content-Length: 4\r\n\r\n"),
        heads("with-body", "with a body", HEAD + b"Content-Length: 4\r\n\r\nevil"),
        heads("with-chunked", "with `chunked`", CHUNKED),
        heads(
            "with-answer",
            "with another answer behind it",
            HEAD + b"Content-Length: 0\r\n\r\n" + SMUGGLED,
        ),
    ]


def _interim() -> list[Case]:
    source = "RFC 9110 15.2"
    flood = b"HTTP/1.1 103 X\r\nX-A: b\r\n\r\n"
    return [
        row(
            "101-unasked",
            "101 that nobody asked for",
            b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n" + SMUGGLED,
            BAD,
            "RFC 9110 15.2.2",
        ),
        row(
            "1xx-flood",
            "100 000 interim answers",
            flood * 100_000 + OK,
            every(nothing_smuggled, either(BAD, answered(200, b"ok"))),
            source,
            seconds=5.0,
        ),
        row("1xx-then-end", "An interim answer and the end", flood, BAD, source, "close"),
        row(
            "1xx-with-length",
            "An interim answer with a length",
            b"HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n" + OK,
            either(BAD, answered(200, b"ok")),
            source,
        ),
        Case(
            "answer-before-request",
            "An answer on a connection at rest is not the next request's",
            "CWE-444",
            _not_poisoned,
            request(),
            upstream=Script((OK + SMUGGLED,)),
        ),
        row(
            "two-answers-close",
            "A second answer, then the end",
            OK + SMUGGLED,
            every(nothing_smuggled, answered(200, b"ok")),
            "CWE-444",
            "close",
        ),
    ]


def _not_poisoned(seen: Seen) -> str | None:
    last = seen.answers[-1] if seen.answers else None
    return "the next request got it" if last and last.body == b"evil" else None


CASES = [*_lines(), *_heads(), *_lengths(), *_chunks(), *_trailers(), *_bodiless(), *_interim()]
