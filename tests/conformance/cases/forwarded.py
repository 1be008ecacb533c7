"""Headers of one hop, headers that tell who the client is, and headers that only the proxy may set."""

from conformance.case import Case, Seen, post, request
from conformance.judges import (
    either,
    forwarded,
    has,
    lacks,
    refused,
)
from conformance.upstream import Request, answering

HOP = "RFC 9110 7.6.1"
TRUST = "RFC 7239 8.1"
GET = b"GET /t HTTP/1.1"


def gone(
    name: str, title: str, lines: list[bytes], *names: str, must: bool = True, source: str = HOP
) -> Case:
    """The upstream sees none of these."""
    return Case(name, title, source, forwarded(lacks(*names)), request(GET, *lines), must=must)


def kept(
    name: str, title: str, lines: list[bytes], header: str, value: bytes, must: bool = True
) -> Case:
    """The upstream sees this, whatever `Connection` says: without it the request would be another's."""
    judge = either(forwarded(has(header, value)), refused())
    return Case(name, title, "CWE-444, " + HOP, judge, request(GET, *lines), must=must)


def not_believed(header: str, value: bytes, *, setup: str = "plain", source: str = TRUST) -> Case:
    """What a client says of itself does not reach the upstream as the proxy's word."""

    def check(found: Request) -> str | None:
        there = [v for v in found.values(header) if value in v]
        return f"believed: {there}" if there else None

    data = request(GET, header.encode() + b": " + value)
    title = f"`{header}` of a client that nobody trusts"
    return Case(f"spoofed-{header}", title, source, forwarded(check), data, setup=setup)


def without_trailers(found: Request) -> str | None:
    """None of what is sent as trailers reaches the upstream."""
    return f"passed on: {found.trailers}" if found.trailers else None


def only_ours(header: str, value: bytes = b"spoofed") -> Case:
    """A header that only Cyan may set."""

    def check(found: Request) -> str | None:
        there = [v for v in found.values(header) if value in v]
        return f"passed on: {there}" if there else None

    data = request(GET, header.encode() + b": " + value)
    title = f"`{header}` of a client, which only Cyan may set"
    return Case(f"ours-{header}", title, "Cyan's own", forwarded(check), data, only=("cyan",))


def trusted(name: str, title: str, lines: list[bytes], header: str, value: bytes) -> Case:
    """A peer that is trusted is believed."""
    judge = forwarded(has(header, value))
    return Case(f"trusted-{name}", title, TRUST, judge, request(GET, *lines), setup="trusted")


def answer_lacks(name: str, title: str, lines: list[bytes], *names: str) -> Case:
    """The client sees none of these."""
    head = b"".join(line + b"\r\n" for line in lines)

    def judge(seen: Seen) -> str | None:
        if not seen.first or seen.first.status != 200:
            return "not answered by 200"
        there = [n for n in names if seen.first.values(n)]
        return f"passed on: {there}" if there else None

    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + head + b"\r\nok")
    return Case(f"answer-{name}", title, HOP, judge, request(), upstream=answer)


def upgrade_kept_here(seen: Seen) -> str | None:
    """An upgrade that is none of ours ends here, and the request is served as it is."""
    for found in seen.requests:
        if found.values("upgrade") or found.values("http2-settings"):
            return "passed on"
    return None if seen.first and seen.first.status == 200 else "not answered by 200"


def _hops() -> list[Case]:
    return [
        gone("keep-alive", "Keep-Alive", [b"Keep-Alive: timeout=5"], "keep-alive", must=False),
        gone(
            "proxy-connection",
            "Proxy-Connection",
            [b"Proxy-Connection: keep-alive"],
            "proxy-connection",
            must=False,
        ),
        gone(
            "te-trailers",
            "TE that is not `trailers`",
            [b"TE: gzip, deflate;q=0.5", b"Connection: TE"],
            "te",
        ),
        gone(
            "nominated",
            "A header named by `Connection`",
            [b"Connection: x-own", b"X-Own: 1"],
            "x-own",
        ),
        gone(
            "nominated-list",
            "Two headers in a list",
            [b"Connection: x-a , X-B", b"X-A: 1", b"X-B: 2"],
            "x-a",
            "x-b",
        ),
        gone(
            "nominated-lines",
            "Two lines of `Connection`",
            [b"Connection: x-a", b"Connection: x-b", b"X-A: 1", b"X-B: 2"],
            "x-a",
            "x-b",
        ),
        gone(
            "nominated-case", "Named in another case", [b"Connection: X-OWN", b"x-own: 1"], "x-own"
        ),
        gone(
            "nominated-with-close",
            "Named beside `keep-alive`",
            [b"Connection: keep-alive, x-own", b"X-Own: 1"],
            "x-own",
        ),
        Case(
            "upgrade-h2c",
            "`Upgrade: h2c`, which would open a way past the proxy",
            "RFC 9113 3.1",
            upgrade_kept_here,
            request(
                GET,
                b"Connection: Upgrade, HTTP2-Settings",
                b"Upgrade: h2c",
                b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
        ),
        Case(
            "upgrade-unknown",
            "An upgrade to something unknown",
            "RFC 9110 7.8",
            either(upgrade_kept_here, forwarded()),
            request(GET, b"Connection: Upgrade", b"Upgrade: own/1"),
        ),
        Case(
            "connection-empty",
            "An empty `Connection`",
            HOP,
            forwarded(),
            request(GET, b"Connection:"),
        ),
        Case(
            "connection-commas",
            "Commas alone in `Connection`",
            HOP,
            forwarded(),
            request(GET, b"Connection: ,, ,"),
        ),
        Case(
            "connection-nonsense",
            "Nonsense in `Connection`",
            HOP,
            either(forwarded(), refused()),
            request(GET, b"Connection: a b;c \xff"),
        ),
        kept("nominated-host", "`Connection: host`", [b"Connection: host"], "host", b"a.test"),
        kept(
            "nominated-cookie",
            "`Connection: cookie`",
            [b"Connection: cookie", b"Cookie: a=b"],
            "cookie",
            b"a=b",
            must=False,
        ),
        kept(
            "nominated-authorization",
            "`Connection: authorization`",
            [b"Connection: authorization", b"Authorization: Bearer x"],
            "authorization",
            b"Bearer x",
            must=False,
        ),
        Case(
            "nominated-length",
            "`Connection: content-length`",
            "CWE-444, " + HOP,
            either(forwarded(body=b"hello"), refused()),
            post(b"Connection: content-length", b"Content-Length: 5", body=b"hello"),
        ),
        Case(
            "nominated-coding",
            "`Connection: transfer-encoding`",
            "CWE-444, " + HOP,
            either(forwarded(body=b"hello"), refused()),
            post(
                b"Connection: transfer-encoding",
                b"Transfer-Encoding: chunked",
                body=b"5\r\nhello\r\n0\r\n\r\n",
            ),
        ),
        Case(
            "nominated-forwarded",
            "`Connection: x-forwarded-for` does not hide the client",
            "CWE-348, " + HOP,
            forwarded(has("x-forwarded-for", b"127.0.0.1")),
            request(GET, b"Connection: x-forwarded-for, x-forwarded-proto"),
        ),
    ]


def _spoofed() -> list[Case]:
    first = "10.9.8.7"
    return [
        not_believed("x-forwarded-for", first.encode()),
        not_believed("x-forwarded-proto", b"spoofed"),
        Case(
            "spoofed-twice",
            "Two lines of `X-Forwarded-For`",
            TRUST,
            forwarded(has("x-forwarded-for", b"127.0.0.1")),
            request(GET, b"X-Forwarded-For: 10.9.8.7", b"X-Forwarded-For: 10.9.8.6"),
        ),
        Case(
            "forwarded-for-told",
            "The client's address is told",
            TRUST,
            forwarded(has("x-forwarded-for", b"127.0.0.1")),
            request(),
        ),
        Case(
            "forwarded-proto-told",
            "The client's scheme is told",
            TRUST,
            forwarded(has("x-forwarded-proto", b"http")),
            request(),
        ),
        *(
            Case(
                f"spoofed-{name}",
                f"`{name}` of a client that nobody trusts",
                TRUST,
                forwarded(lacks(name)),
                request(GET, name.encode() + b": " + value),
                only=("cyan",),
            )
            for name, value in {
                "forwarded": b"for=10.9.8.7;proto=https",
                "x-real-ip": b"10.9.8.7",
                "x-forwarded-port": b"444",
                "x-forwarded-prefix": b"/admin",
                "x-forwarded-ssl": b"on",
                "x-forwarded-scheme": b"https",
            }.items()
        ),
        Case(
            "spoofed-underscore",
            "`X_Forwarded_For`, which applications read as the other",
            TRUST,
            forwarded(lacks("x_forwarded_for")),
            request(GET, b"X_Forwarded_For: 10.9.8.7"),
            must=False,
        ),
        *(
            Case(
                f"spoofed-{name}",
                f"`{name}`, which applications read as the other",
                TRUST,
                forwarded(lacks(name)),
                request(GET, name.encode() + b": on"),
                only=("cyan",),
            )
            for name in ("x_forwarded_prefix", "x-forwarded_ssl")
        ),
        Case(
            "spoofed-trailer",
            "`X-Forwarded-Prefix` in a trailer",
            TRUST,
            forwarded(without_trailers),
            post(
                b"Transfer-Encoding: chunked",
                body=b"5\r\nhello\r\n0\r\nX-Forwarded-Prefix: /admin\r\n\r\n",
            ),
            only=("cyan",),
        ),
        Case(
            "spoofed-x-forwarded-host",
            "`X-Forwarded-Host` of a client that nobody trusts",
            TRUST,
            forwarded(has("x-forwarded-host", b"a.test")),
            request(GET, b"X-Forwarded-Host: b.test"),
            only=("cyan",),
        ),
        *(
            only_ours(name)
            for name in (
                "x-cyan-deployment",
                "x-cyan-exchange",
                "x-cyan-anything",
                "x_cyan_deployment",
                "client-cert",
                "client_cert",
                "client-cert-chain",
            )
        ),
        trusted(
            "chain",
            "A chain through a trusted peer goes on",
            [b"X-Forwarded-For: 192.0.2.1, 192.0.2.2"],
            "x-forwarded-for",
            b"192.0.2.1, 192.0.2.2, 127.0.0.1",
        ),
        trusted(
            "proto",
            "The scheme that a trusted peer tells",
            [b"X-Forwarded-Proto: https"],
            "x-forwarded-proto",
            b"https",
        ),
        trusted(
            "host",
            "The host that a trusted peer tells",
            [b"X-Forwarded-Host: b.test"],
            "x-forwarded-host",
            b"b.test",
        ),
        trusted(
            "forwarded",
            "`Forwarded` of a trusted peer",
            [b"Forwarded: for=192.0.2.1"],
            "forwarded",
            b"for=192.0.2.1",
        ),
        trusted(
            "prefix",
            "The prefix that a trusted peer tells",
            [b"X-Forwarded-Prefix: /chat"],
            "x-forwarded-prefix",
            b"/chat",
        ),
        Case(
            "trusted-ours",
            "What only Cyan may set is not a trusted peer's either",
            "Cyan's own",
            forwarded(lacks("x-cyan-anything")),
            request(GET, b"X-Cyan-Anything: 1"),
            setup="trusted",
        ),
        Case(
            "trusted-nominated",
            "`Connection: x-forwarded-for` through a trusted peer does not hide it",
            "CWE-348, " + HOP,
            forwarded(has("x-forwarded-for", b"192.0.2.1, 127.0.0.1")),
            request(GET, b"Connection: x-forwarded-for", b"X-Forwarded-For: 192.0.2.1"),
            setup="trusted",
            must=False,
        ),
    ]


def _answers() -> list[Case]:
    return [
        answer_lacks(
            "nominated",
            "A header of the answer named by `Connection`",
            [b"Connection: x-own", b"X-Own: 1"],
            "x-own",
        ),
        answer_lacks(
            "keep-alive", "Keep-Alive of the upstream", [b"Keep-Alive: timeout=5"], "keep-alive"
        ),
        answer_lacks(
            "proxy-connection",
            "Proxy-Connection of the upstream",
            [b"Proxy-Connection: close"],
            "proxy-connection",
        ),
        answer_lacks(
            "upgrade", "An offer to upgrade", [b"Connection: upgrade", b"Upgrade: h2c"], "upgrade"
        ),
        Case(
            "answer-close",
            "The upstream's `Connection: close` is not the client's",
            HOP,
            _kept,
            request(),
            upstream=answering(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", then="close"
            ),
        ),
    ]


def _kept(seen: Seen) -> str | None:
    return None if seen.is_sentinel_seen else "the client's connection ended"


CASES = [*_hops(), *_spoofed(), *_answers()]
