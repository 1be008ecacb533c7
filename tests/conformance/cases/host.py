"""Who a request is for: Host, the absolute form, and methods that are no ordinary requests."""

from conformance.case import LAST, Case, Judge, Seen, request
from conformance.judges import (
    either,
    every,
    forwarded,
    has,
    line,
    refused,
    refused_or_clean,
    refused_politely,
    target,
)

NO_HOST = b""
BAD = refused(400)


def host(name: str, title: str, lines: bytes, judge: Judge = BAD, must: bool = True) -> Case:
    """A request with these lines for its Host."""
    source = "RFC 9112 3.2, RFC 9110 7.2"
    return Case(name, title, source, judge, request(host=lines), must=must)


def form(
    name: str, title: str, first: bytes, judge: Judge, lines: bytes = b"Host: a.test\r\n"
) -> Case:
    """A target in another form."""
    return Case(name, title, "RFC 9112 3.2", judge, request(first, host=lines))


def no_tunnel(seen: Seen) -> str | None:
    """No 2xx to a CONNECT, and nothing passed on."""
    if seen.requests:
        return "forwarded"
    if seen.first and seen.first.status < 400:
        return f"answered by {seen.first.status}"
    return None


def no_echo(seen: Seen) -> str | None:
    """TRACE must not show credentials to whoever asked a browser to send it."""
    shown = [answer for answer in seen.answers if b"secret" in answer.body]
    passed_on = [found for found in seen.requests if found.values("authorization")]
    return "credentials are echoed or passed on" if shown or passed_on else None


def _hosts() -> list[Case]:
    is_port = either(BAD, forwarded())
    return [
        host("missing", "No Host", NO_HOST),
        host("twice-same", "Two Hosts, the same", b"Host: a.test\r\nHost: a.test\r\n"),
        host("twice-different", "Two Hosts, different", b"Host: a.test\r\nHost: b.test\r\n"),
        host("twice-in-case", "Two Hosts, spelt differently", b"Host: a.test\r\nhOST: b.test\r\n"),
        host("space-inside", "A space in it", b"Host: a b\r\n"),
        host("slash", "A slash in it", b"Host: a.test/x\r\n"),
        host("user", "A user before it", b"Host: user@a.test\r\n"),
        host("query", "A question mark in it", b"Host: a.test?x\r\n"),
        host("fragment", "A fragment in it", b"Host: a.test#x\r\n"),
        host("comma", "A list", b"Host: a.test, b.test\r\n"),
        host("backslash", "A backslash in it", b"Host: a.test\\x\r\n"),
        host("nul", "NUL in it", b"Host: a\x00.test\r\n"),
        host(
            "high-byte",
            "A byte above 0x7f in it",
            b"Host: \xe9.test\r\n",
            either(BAD, forwarded()),
            must=False,
        ),
        host("folded", "On a folded line", b"Host:\r\n a.test\r\n", refused_or_clean()),
        host("space-before-colon", "A space before the colon", b"Host : a.test\r\n"),
        host(
            "behind-bare-lf",
            "A second one behind a bare LF",
            b"Host: a.test\r\nX-A: b\nHost: b.test\r\n",
        ),
        host("empty", "Empty", b"Host:\r\n", either(BAD, forwarded(has("host", b"")))),
        host(
            "port", "With a port", b"Host: a.test:8080\r\n", forwarded(has("host", b"a.test:8080"))
        ),
        host("port-empty", "With an empty port", b"Host: a.test:\r\n", is_port),
        host("port-letters", "With a port of letters", b"Host: a.test:x\r\n", is_port, must=False),
        host(
            "port-large", "With a port above 65535", b"Host: a.test:99999\r\n", is_port, must=False
        ),
        host("ipv6", "An IPv6 address", b"Host: [::1]:80\r\n", forwarded(has("host", b"[::1]:80"))),
        host(
            "ipv6-open",
            "An IPv6 address without its bracket",
            b"Host: [::1\r\n",
            either(BAD, forwarded()),
            must=False,
        ),
        host(
            "upper-case",
            "In upper case, passed on so",
            b"Host: A.Test\r\n",
            forwarded(has("host", b"A.Test")),
            must=False,
        ),
        host(
            "last-dot",
            "With a dot at the end",
            b"Host: a.test.\r\n",
            forwarded(has("host", b"a.test.")),
        ),
        Case(
            "missing-in-10",
            "No Host in HTTP/1.0",
            "RFC 9112 3.2",
            forwarded(is_kept=False),
            request(b"GET /t HTTP/1.0", host=NO_HOST),
        ),
        Case(
            "twice-in-10",
            "Two Hosts in HTTP/1.0",
            "RFC 9112 3.2",
            BAD,
            request(b"GET /t HTTP/1.0", host=b"Host: a.test\r\nHost: b.test\r\n"),
        ),
    ]


def _forms() -> list[Case]:
    its_host = every(forwarded(target(b"/t"), has("host", b"b.test")))
    star = either(refused_politely(), every(_options_answered))
    return [
        form(
            "absolute",
            "The absolute form",
            b"GET http://a.test/t HTTP/1.1",
            forwarded(target(b"/t")),
        ),
        form(
            "absolute-differs",
            "The absolute form with another Host: the target's counts",
            b"GET http://b.test/t HTTP/1.1",
            either(its_host, BAD),
        ),
        form(
            "absolute-no-host",
            "The absolute form without Host",
            b"GET http://a.test/t HTTP/1.1",
            BAD,
            NO_HOST,
        ),
        form(
            "absolute-no-path",
            "The absolute form without a path",
            b"GET http://a.test HTTP/1.1",
            forwarded(target(b"/")),
        ),
        form(
            "absolute-query",
            "The absolute form with a query and no path",
            b"GET http://a.test?x=1 HTTP/1.1",
            either(forwarded(target(b"/?x=1")), BAD),
        ),
        form(
            "absolute-user",
            "The absolute form with a user",
            b"GET http://user@a.test/t HTTP/1.1",
            either(BAD, forwarded(has("host", b"a.test"))),
        ),
        form(
            "absolute-upper",
            "The absolute form with its scheme in upper case",
            b"GET HTTP://a.test/t HTTP/1.1",
            either(forwarded(target(b"/t")), BAD),
        ),
        form(
            "absolute-other-scheme",
            "The absolute form of another scheme",
            b"GET ftp://a.test/t HTTP/1.1",
            either(BAD, forwarded(target(b"/t"))),
        ),
        form(
            "absolute-two-hosts",
            "The absolute form with two Hosts",
            b"GET http://a.test/t HTTP/1.1",
            BAD,
            b"Host: a.test\r\nHost: a.test\r\n",
        ),
        form(
            "double-slash",
            "A path that begins with two slashes",
            b"GET //b.test/t HTTP/1.1",
            forwarded(target(b"//b.test/t"), has("host", b"a.test")),
        ),
        form("authority-get", "The authority form with GET", b"GET a.test:80 HTTP/1.1", BAD),
        form("star-get", "`*` with GET", b"GET * HTTP/1.1", BAD),
        form("star-options", "`OPTIONS *`", b"OPTIONS * HTTP/1.1", star),
        form(
            "options-path",
            "OPTIONS of a path",
            b"OPTIONS /t HTTP/1.1",
            forwarded(line(b"OPTIONS /t ")),
        ),
        form("connect", "CONNECT", b"CONNECT a.test:80 HTTP/1.1", no_tunnel),
        form("connect-path", "CONNECT of a path", b"CONNECT /t HTTP/1.1", no_tunnel),
        Case(
            "connect-body",
            "CONNECT with bytes behind it that look like a request",
            "RFC 9110 9.3.6",
            no_tunnel,
            b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
            + LAST,
        ),
        Case(
            "trace",
            "TRACE with credentials",
            "RFC 9110 9.3.8",
            no_echo,
            request(b"TRACE /t HTTP/1.1", b"Authorization: Bearer secret"),
            only=(),
        ),
        Case(
            "track",
            "TRACK, as some servers know TRACE",
            "RFC 9110 9.3.8",
            either(refused(), forwarded()),
            request(b"TRACK /t HTTP/1.1"),
        ),
    ]


def _options_answered(seen: Seen) -> str | None:
    """Answered here or asked of the upstream as `*`."""
    if seen.requests:
        return None if seen.requests[0].target == b"*" else "asked of a path"
    return None if seen.first and seen.first.status in (200, 204) else "not answered"


CASES = [*_hosts(), *_forms()]
