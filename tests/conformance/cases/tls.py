"""TLS from clients: versions, ALPN, names, resumption, client certificates and how a connection ends."""

import base64
import socket
import ssl
import warnings
from collections.abc import Callable

from conformance.case import Case, Judge, Seen, alone
from conformance.frames import Conversation, headers, request
from conformance.judges import has, noted
from conformance.secure import Pair, TlsClient, context, pair
from conformance.upstream import Request, Script, Take, answering
from conformance.wire import Client, Ended

TLS = "tls"
"""The setup with certificates for a.test, which is for everybody else too, and for b.test."""
MTLS = "mtls"
"""The setup in which clients have to show a certificate of `client`."""

V = ssl.TLSVersion
OLD = "ALL:@SECLEVEL=0"
GET = alone(b"GET /t HTTP/1.1", b"Connection: close")

Use = Callable[[TlsClient], dict[str, object]]


def _get(client: TlsClient) -> dict[str, object]:
    """One request, and how it ended."""
    client.send(GET)
    try:
        answer = client.answer()
    except Ended as ended:
        return {"served": False, "text": ended.how}
    return {"served": answer.status == 200 and answer.is_whole, "text": str(answer.status)}


def _shaking(use: Use = _get, name: str | None = "a.test", **settings: object) -> Callable:
    """Shakes hands and uses the connection; a refusal is noted."""

    def drive(client: Client, _take: Take) -> dict[str, object]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # old versions, on purpose
                made = context(**settings)
            with TlsClient(client, made, name) as shaken:
                notes = use(shaken)
        except (ssl.SSLError, OSError) as refused:
            reason = getattr(refused, "reason", None) or type(refused).__name__
            notes = {"served": False, "refused": True, "text": f"refused: {reason}"}
        _hang_up(client)
        return notes

    return drive


def _hang_up(client: Client) -> None:
    try:
        client.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended already


def _case(
    name: str, title: str, source: str, judge: Judge, drive: Callable, **more: object
) -> Case:
    return Case(name, title, source, judge, drive=drive, **({"setup": TLS} | more))


SERVED = noted("served")


def _refused(seen: Seen) -> str | None:
    if seen.requests:
        return f"{len(seen.requests)} forwarded"
    return "served" if seen.notes.get("served") else None


def _versions() -> list[Case]:
    def only(version: ssl.TLSVersion, **more: object) -> Callable:
        return _shaking(versions=(version, version), **more)

    weak = "RC4:3DES:NULL:EXPORT:@SECLEVEL=0"
    return [
        _case("version-1.3", "TLS 1.3", "RFC 8446", SERVED, only(V.TLSv1_3)),
        _case("version-1.2", "TLS 1.2", "RFC 5246", SERVED, only(V.TLSv1_2)),
        _case("version-1.1", "TLS 1.1 is refused", "RFC 8996 5", _refused, only(V.TLSv1_1, ciphers=OLD)),
        _case("version-1.0", "TLS 1.0 is refused", "RFC 8996 4", _refused, only(V.TLSv1, ciphers=OLD)),
        _case("weak-ciphers", "ciphers that are broken are refused", "RFC 9325 4.1", _refused, only(V.TLSv1_2, ciphers=weak)),
        _case("no-compression", "nothing is compressed", "CVE-2012-4929", noted("served"), _shaking(_compression)),
    ]  # fmt: skip


def _compression(client: TlsClient) -> dict[str, object]:
    return {"served": client.sock.compression() is None, "text": str(client.sock.compression())}


def _protocols() -> list[Case]:
    def agreed(wanted: str | None) -> Use:
        def use(client: TlsClient) -> dict[str, object]:
            chosen = client.sock.selected_alpn_protocol()
            notes = _get_http2(client) if chosen == "h2" else _get(client)
            return notes | {"served": notes["served"] and chosen == wanted, "text": str(chosen)}

        return use

    def plain(client: Client, _take: Take) -> dict[str, object]:
        client.send(GET)
        return {}

    def garbage(client: Client, _take: Take) -> dict[str, object]:
        client.send(b"\x16\x03\x01\x00\x05hello" * 100)
        return {}

    def half(client: Client, _take: Take) -> dict[str, object]:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")
        return {}

    return [
        _case("alpn-h2", "HTTP/2 where both speak it", "RFC 7301 3.2", noted("served"), _shaking(agreed("h2"), alpn=("h2", "http/1.1"))),
        _case("alpn-http1", "HTTP/1.1 where the client wants it", "RFC 7301 3.2", noted("served"), _shaking(agreed("http/1.1"), alpn=("http/1.1",))),
        _case("alpn-none", "HTTP/1.1 where nothing is said", "RFC 9112 9.7", noted("served"), _shaking(agreed(None))),
        _case("alpn-unknown", "no protocol in common ends the handshake", "RFC 7301 3.2", noted("refused"), _shaking(alpn=("acme/9",))),
        _case("plain-text", "HTTP in plain text is not served", "RFC 9110 4.2.2", _refused_or_400, plain),
        _case("garbage", "a handshake that is none ends", "RFC 8446 6.2", _closed, garbage),
        _case("half-hello", "half a handshake is not waited for forever", "RFC 9110 17", _closed, half, seconds=9.0, must=False),
    ]  # fmt: skip


def _closed(seen: Seen) -> str | None:
    return "the connection stays open" if seen.end == "late" else _refused(seen)


def _refused_or_400(seen: Seen) -> str | None:
    if seen.requests:
        return f"{len(seen.requests)} forwarded"
    return None if seen.first is None or seen.first.status in (0, 400, 421, 426) else "served"


def _get_http2(client: TlsClient, authority: bytes = b"a.test") -> dict[str, object]:
    talk = Conversation(client)
    fields = [(n, authority if n == b":authority" else v) for n, v in request()]
    talk.send(headers(1, fields))
    talk.until_over()
    stream = talk.stream(1)
    return {"served": stream.status == 200 and stream.is_ended, "text": stream.text()}


def _names() -> list[Case]:
    def shows(*wanted: str) -> Use:
        def use(client: TlsClient) -> dict[str, object]:
            return _get(client) | {"served": client.shown in wanted, "text": client.shown}

        return use

    def misdirected(client: TlsClient) -> dict[str, object]:
        notes = _get_http2(client, b"b.test")
        return notes | {"served": notes["text"].startswith("421")}

    either = _or_refused(noted("served"))
    return [
        _case("name-a", "the certificate of the name that is asked for", "RFC 6066 3", SERVED, _shaking(shows("a.test"), "a.test")),
        _case("name-b", "another one for another name", "RFC 6066 3", SERVED, _shaking(shows("b.test"), "b.test")),
        _case("name-case", "names have no case", "RFC 6066 3", SERVED, _shaking(shows("b.test"), "B.TEST")),
        _case("name-unknown", "an unknown name: the usual one, or an alert", "RFC 6066 3", either, _shaking(shows("a.test"), "c.test")),
        _case("name-none", "no name: the usual one", "RFC 6066 3", SERVED, _shaking(shows("a.test"), None)),
        _case("misdirected", "a host of another certificate on one HTTP/2 connection is 421", "RFC 9110 15.5.20", noted("served"), _shaking(misdirected, alpn=("h2",)), must=False),
    ]  # fmt: skip


def _or_refused(judge: Judge) -> Judge:
    return lambda seen: None if seen.notes.get("refused") else judge(seen)


def _sessions() -> list[Case]:
    def resumed(version: ssl.TLSVersion) -> Callable:
        def drive(client: Client, _take: Take) -> dict[str, object]:
            settings = context(versions=(version, version))
            address = client.sock.getpeername()
            try:
                with TlsClient(client, settings) as first:
                    _get(first)
                    session = first.sock.session
                with (
                    Client(address, 2) as again,
                    TlsClient(again, settings, session=session) as second,
                ):
                    is_served = _get(second)["served"] and second.sock.session_reused
            except (ssl.SSLError, OSError) as refused:
                return {"served": False, "text": f"refused: {refused}"}
            _hang_up(client)
            return {"served": is_served, "text": "resumed" if is_served else "not resumed"}

        return drive

    return [
        _case("resumed-1.3", "a session of TLS 1.3 is resumed", "RFC 8446 2.2", noted("served"), resumed(V.TLSv1_3), must=False),
        _case("resumed-1.2", "a session of TLS 1.2 is resumed", "RFC 5077", noted("served"), resumed(V.TLSv1_2), must=False),
    ]  # fmt: skip


def _clients() -> list[Case]:
    """A proxy that wants certificates of clients. With TLS 1.3 the refusal comes after the handshake."""
    source, told = "RFC 8446 4.4.2.4", "RFC 9440 2.2"
    with_it = ("cyan", "haproxy")  # nginx has no word for a certificate's bytes

    def spoofing(client: TlsClient) -> dict[str, object]:
        lines = [b"Client-Cert: :AAAA:", b"client_cert: :AAAA:", b"Client-Cert-Chain: :AAAA:"]
        client.send(alone(b"GET /t HTTP/1.1", *lines, b"Connection: close, Client-Cert"))
        return {"text": str(client.answer().status)}

    def only_the_shown(found: Request) -> str | None:
        names = ("client-cert", "client_cert", "client-cert-chain")
        there = [value for name in names for value in found.values(name)]
        return None if there == [_as_field(pair("client"))] else f"told: {there}"

    return [
        _case("client-known", "a client that shows its certificate is served", source, SERVED, _shaking(own=pair("client")), setup=MTLS),
        _case("client-unknown", "one with a certificate of somebody else is not", source, _refused_or_400_inside, _shaking(own=pair("stranger")), setup=MTLS),
        _case("client-without", "one without a certificate is not", source, _refused_or_400_inside, _shaking(), setup=MTLS),
        _case("client-told", "the upstream is told which certificate a client has shown", told, _tells(has("client-cert", _as_field(pair("client")))), _shaking(own=pair("client")), setup=MTLS, only=with_it),
        _case("client-told-h2", "over HTTP/2 too", told, _tells(has("client-cert", _as_field(pair("client")))), _shaking(_get_http2, own=pair("client"), alpn=("h2",)), setup=MTLS, only=with_it),
        _case("client-spoofed", "and not what the client says of itself", "RFC 9440 4", _tells(only_the_shown), _shaking(spoofing, own=pair("client")), setup=MTLS, only=with_it),
    ]  # fmt: skip


def _as_field(shown: Pair) -> bytes:
    """A certificate as `Client-Cert` has it: its DER as a byte sequence of structured fields."""
    der = ssl.PEM_cert_to_DER_cert(shown.certificate.read_text())
    return b":" + base64.b64encode(der) + b":"


def _tells(check: Callable[[Request], str | None]) -> Judge:
    return lambda seen: check(seen.requests[0]) if seen.requests else "not forwarded"


def _refused_or_400_inside(seen: Seen) -> str | None:
    return f"{len(seen.requests)} forwarded" if seen.requests else _refused(seen)


def _requests() -> list[Case]:
    def closes(client: TlsClient) -> dict[str, object]:
        """Whether close_notify comes before the end: without it, who could tell a cut from an end?"""
        client.send(GET)
        client.answer()
        client.sock.settimeout(2)
        try:
            return {"served": client.sock.recv(1) == b"", "text": "close_notify"}
        except ssl.SSLEOFError:
            return {"served": False, "text": "no close_notify"}

    def cut(client: TlsClient) -> dict[str, object]:
        client.send(GET)
        answer = client.answer()
        return {"served": not answer.is_whole or answer.status == 502, "text": answer.end}

    def spoofing(client: TlsClient) -> dict[str, object]:
        client.send(alone(b"GET /t HTTP/1.1", b"X-Forwarded-Proto: http", b"Connection: close"))
        return {"text": str(client.answer().status)}

    megabytes = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000))
    half = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then="close")

    rows: list[tuple[str, str, str, Judge, Use, Script]] = [
        ("close-notify", "the end is said", "RFC 8446 6.1", SERVED, closes, Script()),
        ("large-answer", "4 MB arrive whole", "RFC 8446 5.1", SERVED, _get, megabytes),
        ("cut-answer", "an answer that is cut does not look whole", "RFC 9112 8", noted("served"), cut, half),
        ("proto-https", "`X-Forwarded-Proto` tells of TLS, whatever the client says", "RFC 7239 8.1", _tells(has("x-forwarded-proto", b"https")), spoofing, Script()),
    ]  # fmt: skip
    return [_case(n, t, s, j, _shaking(use), upstream=script) for n, t, s, j, use, script in rows]


CASES = [*_versions(), *_protocols(), *_names(), *_sessions(), *_clients(), *_requests()]
