"""Chunked requests: sizes, extensions, ends and trailers."""

from conformance.case import LAST, Case, Judge, Seen, alone, request
from conformance.judges import either, every, forwarded, refused, refused_or_clean
from conformance.upstream import Take
from conformance.wire import Client

TE = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
KEPT = forwarded(body=b"hello")
CLEAN = refused_or_clean(b"hello")


def sent(body: bytes, *fields: bytes) -> bytes:
    return request(b"POST /t HTTP/1.1", TE, *fields, body=body)


def not_whole(seen: Seen) -> str | None:
    """The upstream can tell that the body is not whole, or sees nothing of it."""
    if any(request.is_whole for request in seen.requests):
        return "a broken body looks whole to the upstream"
    if seen.is_sentinel_seen:
        return "read on after a broken body"
    if seen.first and seen.first.status < 400:
        return f"answered by {seen.first.status}"
    return None


def no_trailer(*names: str) -> Judge:
    """The upstream sees none of these fields, in the trailers or elsewhere."""

    def judge(seen: Seen) -> str | None:
        for found in seen.requests:
            there = [name for name, _ in found.trailers if name.decode() in names]
            if there:
                return f"passed on as a trailer: {there[0].decode()}"
        return None

    return judge


def trailer_case(name: str, field: bytes) -> Case:
    """A trailer that would change how a request is framed, routed or believed."""
    title = f"A trailer that must not be one: `{field.split(b':')[0].decode()}`"
    judge = every(no_trailer(field.split(b":")[0].decode().lower()), CLEAN)
    send = sent(b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n")
    return Case(f"trailer-{name}", title, "RFC 9110 6.5.1", judge, send)


def leave_in_the_middle(client: Client, take: Take) -> dict[str, object]:
    """Half a chunk, then the end of the connection."""
    client.send(alone(b"POST /t HTTP/1.1", TE, body=b"5\r\nhel"))
    client.finish_sending()
    return {}


def _sizes() -> list[Case]:
    def row(name: str, title: str, body: bytes, judge: Judge = not_whole) -> Case:
        return Case(f"size-{name}", f"Chunk size: {title}", "RFC 9112 7.1", judge, sent(body))

    zeros = b"0" * 30
    return [
        row(
            "upper", "in upper case", b"A\r\n0123456789\r\n0\r\n\r\n", forwarded(body=b"0123456789")
        ),
        row("leading-zeros", "`0005`", b"0005\r\nhello\r\n0\r\n\r\n", KEPT),
        row("many-zeros", "30 zeros and a 5", zeros + b"5\r\nhello\r\n0\r\n\r\n", CLEAN),
        row("last-many-zeros", "the last chunk as `000`", b"5\r\nhello\r\n000\r\n\r\n", KEPT),
        row("overflow-64", "2^64 + 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        row("overflow-wide", "32 digits", b"F" * 32 + b"\r\nhello\r\n0\r\n\r\n"),
        row("maximum", "2^64 - 1", b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        row("minus", "`-5`", b"-5\r\nhello\r\n0\r\n\r\n"),
        row("plus", "`+5`", b"+5\r\nhello\r\n0\r\n\r\n"),
        row("prefix", "`0x5`", b"0x5\r\nhello\r\n0\r\n\r\n"),
        row(
            "leading-space",
            "a space before it",
            b" 5\r\nhello\r\n0\r\n\r\n",
            either(not_whole, CLEAN),
        ),
        row(
            "trailing-space",
            "a space behind it",
            b"5 \r\nhello\r\n0\r\n\r\n",
            either(not_whole, CLEAN),
        ),
        row("space-inside", "`0 5`", b"0 5\r\nhello\r\n0\r\n\r\n"),
        row("empty", "an empty line", b"\r\nhello\r\n0\r\n\r\n"),
        row("letter", "`g`", b"g\r\nhello\r\n0\r\n\r\n"),
        row("underscore", "`1_0`", b"1_0\r\nhello\r\n0\r\n\r\n"),
        row("nul", "5 and NUL", b"5\x00\r\nhello\r\n0\r\n\r\n"),
        row("too-small", "less than comes", b"4\r\nhello\r\n0\r\n\r\n"),
        row("too-large", "more than comes", b"6\r\nhello\r\n0\r\n\r\n"),
    ]


def _lines() -> list[Case]:
    def row(name: str, title: str, body: bytes, judge: Judge, source: str = "RFC 9112 7.1") -> Case:
        return Case(name, title, source, judge, sent(body))

    cve = "CVE-2025-55315, RFC 9112 7.1.1"
    either_way = either(not_whole, CLEAN)
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
    hidden = b"2;\nxx\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    bare_cr = b"2;a\rxx\r\n4c\r\n0\r\n\r\n"
    return [
        row("several", "Several chunks", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", KEPT),
        row("none", "No chunk but the last", b"0\r\n\r\n", forwarded(body=b"")),
        row("size-bare-lf", "A bare LF after the size", b"5\nhello\r\n0\r\n\r\n", either_way),
        row("data-bare-lf", "A bare LF after the data", b"5\r\nhello\n0\r\n\r\n", either_way),
        row("data-bare-cr", "A bare CR after the data", b"5\r\nhello\r0\r\n\r\n", not_whole),
        row("data-no-crlf", "No CRLF after the data", b"5\r\nhello0\r\n\r\n", not_whole),
        row("data-two-crlf", "Two CRLF after the data", b"5\r\nhello\r\n\r\n0\r\n\r\n", not_whole),
        row("last-bare-lf", "A bare LF after the last size", b"5\r\nhello\r\n0\n\r\n", either_way),
        row("end-bare-lf", "A bare LF at the end", b"5\r\nhello\r\n0\r\n\n", either_way),
        row("extension", "An extension", b"5;a=b\r\nhello\r\n0\r\n\r\n", KEPT, "RFC 9112 7.1.1"),
        row(
            "extension-flag",
            "An extension without a value",
            b"5;a\r\nhello\r\n0\r\n\r\n",
            KEPT,
            "RFC 9112 7.1.1",
        ),
        row(
            "extension-quoted",
            "A quoted extension",
            b'5;a="b;c"\r\nhello\r\n0\r\n\r\n',
            KEPT,
            "RFC 9112 7.1.1",
        ),
        row(
            "extension-last",
            "An extension of the last chunk",
            b"5\r\nhello\r\n0;a=b\r\n\r\n",
            KEPT,
            "RFC 9112 7.1.1",
        ),
        row(
            "extension-bare-lf",
            "A bare LF in an extension",
            hidden,
            either(not_whole, refused_or_clean()),
            cve,
        ),
        row(
            "extension-bare-cr",
            "A bare CR in an extension",
            bare_cr,
            either(not_whole, refused_or_clean()),
            cve,
        ),
        row(
            "extension-quoted-crlf",
            "CRLF in a quoted extension",
            b'5;a="\r\nhello\r\n0\r\n\r\n',
            either_way,
            cve,
        ),
        row("extension-nul", "NUL in an extension", b"5;a=\x00\r\nhello\r\n0\r\n\r\n", either_way),
        row(
            "extension-long",
            "An extension of 64 KiB",
            b"5;a=" + b"b" * 65536 + b"\r\nhello\r\n0\r\n\r\n",
            either_way,
            "RFC 9112 7.1.1",
        ),
        row(
            "extensions-many",
            "An extension on each of 20 000 chunks",
            b"1;aaaa=bbbb\r\nx\r\n" * 20000 + b"0\r\n\r\n",
            either(not_whole, refused_or_clean()),
            "CVE-2023-39326",
        ),
        row(
            "tiny",
            "10 000 chunks of one byte",
            b"1\r\nx\r\n" * 10000 + b"0\r\n\r\n",
            forwarded(body=b"x" * 10000),
        ),
        Case(
            "cut-by-end",
            "The client's end in the middle of a chunk",
            "RFC 9112 8",
            not_whole,
            drive=leave_in_the_middle,
        ),
        Case(
            "body-then-request",
            "A request right behind the last chunk",
            "RFC 9112 9.3.2",
            forwarded(times=2, body=b"hello"),
            alone(b"POST /t HTTP/1.1", TE, body=HELLO) * 2 + LAST,
        ),
    ]


def _trailers() -> list[Case]:
    def row(name: str, title: str, lines: bytes, judge: Judge) -> Case:
        send = sent(b"5\r\nhello\r\n0\r\n" + lines + b"\r\n")
        return Case(f"trailers-{name}", f"Trailers: {title}", "RFC 9112 7.1.2", judge, send)

    either_way = either(not_whole, CLEAN)
    return [
        row("plain", "one that is harmless", b"X-Sum: 1\r\n", KEPT),
        row("space-before-colon", "a space before the colon", b"X-Sum : 1\r\n", either_way),
        row("no-colon", "a line without a colon", b"nonsense\r\n", either_way),
        row("folded", "a folded line", b"X-Sum: 1\r\n 2\r\n", either_way),
        row("bare-lf", "a bare LF between two", b"X-A: 1\nX-B: 2\r\n", either_way),
        row("nul", "NUL in a value", b"X-A: \x001\r\n", either_way),
        row("long", "128 KiB of them", b"X-A: " + b"a" * 131072 + b"\r\n", either_way),
        row("many", "5 000 of them", b"X-A: a\r\n" * 5000, either_way),
        trailer_case("content-length", b"Content-Length: 50"),
        trailer_case("transfer-encoding", b"Transfer-Encoding: gzip"),
        trailer_case("host", b"Host: b.test"),
        trailer_case("authorization", b"Authorization: Bearer x"),
        trailer_case("cookie", b"Cookie: a=b"),
        trailer_case("content-type", b"Content-Type: text/html"),
        trailer_case("x-forwarded-for", b"X-Forwarded-For: 10.0.0.1"),
        trailer_case("connection", b"Connection: close"),
    ]


CASES = [
    *_sizes(),
    *_lines(),
    *_trailers(),
    Case(
        "expect-and-chunks",
        "Chunks behind `Expect: 100-continue`, sent at once",
        "RFC 9110 10.1.1",
        forwarded(body=b"hello"),
        sent(HELLO, b"Expect: 100-continue"),
    ),
    Case(
        "after-refusal",
        "Chunks of a request that is refused by its head",
        "RFC 9112 9.3",
        refused(400),
        sent(HELLO, b"bad header: x"),
    ),
]
