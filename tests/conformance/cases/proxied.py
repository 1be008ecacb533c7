"""The PROXY protocol: a balancer that passes TCP on says before the first byte who the client is."""

from conformance.case import Case, request
from conformance.judges import forwarded, has, refused


def proxy_header(command: int, kind: int, rest: bytes) -> bytes:
    """A header of the PROXY protocol, version 2."""
    fixed = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, kind])
    return fixed + len(rest).to_bytes(2, "big") + rest


IPV4 = bytes([192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80])
IPV6 = bytes.fromhex("20010db8000000000000000000000007") + bytes(16) + IPV4[8:]
PROXY = "PROXY protocol 2.2"


def proxied(name: str, title: str, header: bytes, client: bytes) -> Case:
    """What the header says reaches the upstream."""
    judge = forwarded(has("x-forwarded-for", client))
    return Case(name, title, PROXY, judge, header + request(), setup="proxied")


def not_proxied(name: str, title: str, header: bytes, setup: str = "proxied") -> Case:
    """Who does not begin with a header that can be used is turned away."""
    return Case(name, title, PROXY, refused(), header + request(), setup=setup)


EXTENSIONS = IPV4 + b"\x04\0\0" + b"\x20\0\x02ab"
V4 = proxy_header(1, 0x11, IPV4)
SPOOFING = V4 + request(b"GET /t HTTP/1.1", b"X-Forwarded-For: 10.9.8.7")
TOLD = forwarded(has("x-forwarded-for", b"192.0.2.7"))
CASES = [
    proxied("ipv4", "A client's IPv4 address", V4, b"192.0.2.7"),
    proxied("ipv6", "A client's IPv6 address", proxy_header(1, 0x21, IPV6), b"2001:db8::7"),
    proxied("extensions", "Extensions behind it", proxy_header(1, 0x11, EXTENSIONS), b"192.0.2.7"),
    proxied("local", "LOCAL: the balancer itself", proxy_header(0, 0, b""), b"127.0.0.1"),
    proxied("unknown", "An unknown address", proxy_header(1, 0, b""), b"127.0.0.1"),
    proxied(
        "unknown-and-more",
        "Bytes behind an unknown address, which are to be skipped",
        proxy_header(1, 0, b"abc"),
        b"127.0.0.1",
    ),
    Case(
        "unknown-spoofing",
        "What a client at an unknown address says of itself",
        PROXY,
        forwarded(has("x-forwarded-for", b"127.0.0.1")),
        proxy_header(1, 0, b"") + request(b"GET /t HTTP/1.1", b"X-Forwarded-For: 10.9.8.7"),
        setup="proxied",
        only=("cyan",),
    ),
    Case(
        "spoofing",
        "What the client behind it says of itself",
        PROXY,
        TOLD,
        SPOOFING,
        setup="proxied",
    ),
    not_proxied("absent", "No header at all", b""),
    not_proxied("half", "Half a signature", V4[:6]),
    not_proxied("short", "Addresses that do not fit", proxy_header(1, 0x11, IPV4[:8])),
    not_proxied("command", "An unknown command", proxy_header(9, 0x11, IPV4)),
    not_proxied("version-3", "Another version", V4[:12] + b"\x31" + V4[13:]),
    not_proxied("stranger", "A header from whom nobody trusts", V4, "proxied-by-others"),
]
