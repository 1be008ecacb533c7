"""Upgrades: bytes that nobody looks at may only pass once both sides have agreed."""

import base64
import hashlib

from conformance.case import LAST, Case, Seen, alone
from conformance.judges import either, every, noted
from conformance.upstream import Line, Request, Script, Take, answering
from conformance.wire import Client, Ended

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
FIELDS = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
)
HANDSHAKE = alone(b"GET /t HTTP/1.1", *FIELDS)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
SOURCE = "RFC 9110 7.8"
CVE = "CWE-444, " + SOURCE


def echo(line: Line, _request: Request) -> None:
    """Takes the upgrade and says everything back."""
    line.send(SWITCHED)
    try:
        while True:
            while not line.reader.buffer:
                line.reader.fill()
            line.send(line.reader.take(len(line.reader.buffer)))
    except Ended:
        pass


def greet(line: Line, request: Request) -> None:
    """Speaks in the same packet as the handshake."""
    line.send(SWITCHED + b"first")
    line.wait_released()


def talk(client: Client, _take: Take) -> dict[str, object]:
    """Handshake, then bytes that are no HTTP in both directions."""
    client.send(HANDSHAKE)
    answer = client.answer()
    sent = bytes(range(256)) * 64
    client.send(sent)
    said = client.reader.exactly(len(sent))
    client.finish_sending()
    accept = answer.value("sec-websocket-accept")
    return {
        "status": answer.status,
        "echo": said == sent,
        "accept": accept,
        "text": f"{answer.status}, tunnel",
    }


def eager(client: Client, _take: Take) -> dict[str, object]:
    """Sends its first bytes with the handshake."""
    client.send(HANDSHAKE + b"eager")
    answer = client.answer()
    said = client.reader.exactly(5) if answer.status == 101 else b""
    client.finish_sending()
    return {"echo": said == b"eager", "text": f"{answer.status}"}


def listen(client: Client, _take: Take) -> dict[str, object]:
    """Hears what the upstream says with its handshake."""
    client.send(HANDSHAKE)
    answer = client.answer()
    said = client.reader.exactly(5)
    return {"first": said == b"first", "text": f"{answer.status}, tunnel"}


def leave(client: Client, take: Take) -> dict[str, object]:
    """Goes away without a word."""
    client.send(HANDSHAKE)
    status = client.answer().status
    client.sock.close()
    released = take.wait(lambda take: take.released > 0)
    return {
        "released": released,
        "text": f"{status}, upstream {'released' if released else 'held'}",
    }


def hold(line: Line, _request: Request) -> None:
    """Takes the upgrade and says nothing more."""
    line.send(SWITCHED)
    line.wait_released()


def no_tunnel(seen: Seen) -> str | None:
    """What follows a handshake that was not taken is a request like any other, or nothing."""
    if seen.first and seen.first.status == 101:
        return "a tunnel that the upstream has not agreed to"
    raw = [found for found in seen.requests[1:] if found.target == b"/smuggled"]
    if raw and not raw[0].values("x-forwarded-for"):
        return "bytes went through unread"
    return None


def refused_upgrade(status: int) -> Script:
    return answering(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status)


def not_passed(seen: Seen) -> str | None:
    """Nothing that an upstream would take for an upgrade."""
    asked = [found for found in seen.requests if found.values("upgrade")]
    return "passed on as an upgrade" if asked else None


def asking(line: bytes, *fields: bytes) -> bytes:
    return alone(line, *fields) + SMUGGLED + LAST


CASES = [
    Case(
        "tunnel",
        "A WebSocket carries all bytes both ways",
        "RFC 6455 4",
        every(noted("status", 101), noted("echo"), noted("accept", ACCEPT)),
        drive=talk,
        upstream=Script((), act=echo, then="close"),
    ),
    Case(
        "eager-client",
        "Bytes in the client's first packet",
        "RFC 6455 4.1",
        noted("echo"),
        drive=eager,
        upstream=Script((), act=echo, then="close"),
        must=False,
    ),
    Case(
        "eager-upstream",
        "Bytes behind the upstream's 101",
        "RFC 6455 4.2.2",
        noted("first"),
        drive=listen,
        upstream=Script((), act=greet, then="close"),
    ),
    Case(
        "client-leaves",
        "A client that leaves frees the upstream",
        "RFC 6455 7.1",
        noted("released"),
        drive=leave,
        upstream=Script((), act=hold, then="close"),
    ),
    Case(
        "refused-400",
        "The upstream refuses by 400: no tunnel",
        CVE,
        no_tunnel,
        HANDSHAKE + SMUGGLED + LAST,
        refused_upgrade(400),
    ),
    Case(
        "ignored-200",
        "The upstream answers 200: no tunnel",
        CVE,
        no_tunnel,
        HANDSHAKE + SMUGGLED + LAST,
        refused_upgrade(200),
    ),
    Case(
        "refused-426",
        "The upstream refuses by 426: no tunnel",
        CVE,
        no_tunnel,
        asking(b"GET /t HTTP/1.1", *FIELDS[:2], b"Sec-WebSocket-Version: 777"),
        refused_upgrade(426),
    ),
    Case(
        "swallowed-101",
        "101 to a request that asked for nothing",
        CVE,
        no_tunnel,
        asking(b"GET /t HTTP/1.1"),
        answering(SWITCHED),
    ),
    Case(
        "post",
        "An upgrade by POST is none",
        "RFC 6455 4.1",
        either(not_passed, no_tunnel),
        asking(b"POST /t HTTP/1.1", *FIELDS, b"Content-Length: 0"),
        refused_upgrade(400),
    ),
    Case(
        "in-10",
        "An upgrade in HTTP/1.0 is none",
        SOURCE,
        not_passed,
        asking(b"GET /t HTTP/1.0", *FIELDS),
    ),
    Case(
        "without-connection",
        "`Upgrade` without `Connection: upgrade` is none",
        SOURCE,
        not_passed,
        asking(b"GET /t HTTP/1.1", *FIELDS[1:]),
    ),
    Case(
        "h2c-smuggling",
        "`Upgrade: h2c` answered by 101",
        "CWE-444, " + SOURCE,
        no_tunnel,
        asking(b"GET /t HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c"),
        answering(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    ),
    Case(
        "with-body",
        "A handshake with a body",
        "RFC 6455 4.1",
        no_tunnel,
        alone(b"GET /t HTTP/1.1", *FIELDS, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)
        + LAST,
        refused_upgrade(400),
    ),
]
