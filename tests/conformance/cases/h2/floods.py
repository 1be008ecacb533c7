"""Frames that cost a client nothing, by the thousand, and heads that grow."""

import struct

from conformance.case import Case
from conformance.cases.h2.play import Drive, case, ends, malformed
from conformance.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    Conversation,
    block,
    data,
    frame,
    headers,
    literal,
    number,
    request,
    settings,
    window_update,
)
from conformance.upstream import Take
from conformance.wire import Client

FLOOD_SECONDS = 6.0


def _floods() -> list[Case]:
    """Frames that cost a client nothing, by the thousand. The proxy has to end the connection."""

    def flood(*rounds: bytes, times: int, first: bytes = b"") -> Drive:
        def drive(client: Client, take: Take) -> dict[str, object]:
            talk = Conversation(client)
            talk.send(first)
            sent = 0
            while sent < times and talk.send(b"".join(rounds) * 50):
                sent += 50
            talk.until_closed()
            return talk.notes(sent=sent, forwarded=len(take.requests))

        return drive

    def resets(client: Client, take: Take) -> dict[str, object]:
        talk = Conversation(client)
        for start in range(0, 5_000, 50):
            numbers = range(2 * start + 1, 2 * start + 100, 2)
            cancel = struct.pack(">I", 8)
            if not talk.send(
                *(headers(n, request()) + frame(RST_STREAM, 0, n, cancel) for n in numbers)
            ):
                break
        talk.until_closed()
        return talk.notes(forwarded=len(take.requests))

    def made_to_reset(client: Client, take: Take) -> dict[str, object]:
        talk = Conversation(client)
        for start in range(0, 5_000, 50):
            numbers = range(2 * start + 1, 2 * start + 100, 2)
            if not talk.send(*(headers(n, request()) + window_update(n, 0) for n in numbers)):
                break
        talk.until_closed()
        return talk.notes(forwarded=len(take.requests))

    def continuations(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.send(frame(HEADERS, END_STREAM, 1, block(request())))
        piece = literal(b"x", b"y" * 1000)
        for _ in range(200):
            if not talk.send(*[frame(CONTINUATION, 0, 1, piece)] * 50):
                break
        talk.until_closed()
        return talk.notes()

    def large_head(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        pieces = [literal(b"x-%d" % n, b"y" * 4000) for n in range(100)]
        talk.send(frame(HEADERS, END_STREAM, 1, block(request())))
        talk.send(*(frame(CONTINUATION, 0, 1, piece) for piece in pieces))
        talk.send(frame(CONTINUATION, END_HEADERS, 1))
        talk.until_over()
        return talk.notes()

    def bomb(client: Client, _take: Take) -> dict[str, object]:
        # One entry of 4 000 bytes in the table, and then a byte for each time that it is meant.
        entry = b"\x40" + b"\x01x" + number(3_900, 7) + b"y" * 3_900
        talk = Conversation(client)
        talk.send(frame(HEADERS, 5, 1, block(request()) + entry + b"\xbe" * 10_000))
        talk.until_over()
        return talk.notes()

    closing = frame(RST_STREAM, 0, 1, struct.pack(">I", 8))
    open_stream = headers(1, request(b"/t", b"POST"), False)
    rows: list[tuple[str, str, str, Drive]] = [
        (
            "flood-ping",
            "20 000 pings",
            "CVE-2019-9512",
            flood(frame(PING, 0, 0, bytes(8)), times=20_000),
        ),
        ("flood-settings", "20 000 settings", "CVE-2019-9515", flood(settings(), times=20_000)),
        (
            "flood-settings-values",
            "20 000 settings that change the window",
            "CVE-2019-9515",
            flood(settings(initial_window=65_535), times=20_000),
        ),
        (
            "flood-empty-data",
            "20 000 empty frames of a body",
            "CVE-2019-9518",
            flood(data(1, b""), times=20_000, first=open_stream),
        ),
        (
            "flood-priority",
            "20 000 priorities",
            "CVE-2019-9513",
            flood(frame(PRIORITY, 0, 1, bytes(5)), times=20_000),
        ),
        (
            "flood-window",
            "20 000 window updates",
            "CVE-2019-9517",
            flood(window_update(0, 1), times=20_000),
        ),
        (
            "flood-unknown",
            "20 000 frames that nobody knows",
            "RFC 9113 10.5",
            flood(frame(0x77, 0, 0), times=20_000),
        ),
        (
            "flood-reset-same",
            "20 000 resets of a stream that is over",
            "CVE-2019-9514",
            flood(closing, times=20_000, first=open_stream),
        ),
        ("rapid-reset", "5 000 requests that are taken back at once", "CVE-2023-44487", resets),
        (
            "made-you-reset",
            "5 000 requests that the proxy is made to reset",
            "CVE-2025-8671",
            made_to_reset,
        ),
        (
            "continuation-flood",
            "a head of 10 000 frames that never ends",
            "CVE-2024-27316",
            continuations,
        ),
    ]
    return [
        case(name, title, source, ends(), drive, seconds=FLOOD_SECONDS)
        for name, title, source, drive in rows
    ] + [
        case("head-large", "a head of 400 KB", "RFC 9113 10.5.1", malformed, large_head),
        case("hpack-bomb", "10 KB of HPACK that stand for 39 MB", "CVE-2016-1544", malformed, bomb),
    ]


CASES = _floods()
