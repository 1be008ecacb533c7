"""What a connection as a whole has to do."""

import struct

from conformance import frames
from conformance.case import Case
from conformance.cases.h2.play import Drive, case, ends, forwarded_whole, sends
from conformance.frames import (
    PING,
    PRIORITY,
    SETTINGS,
    Conversation,
    data,
    frame,
    headers,
    request,
    settings,
    window_update,
)
from conformance.judges import noted
from conformance.upstream import Script, Take, answering
from conformance.wire import Client


def _connections() -> list[Case]:
    """What a connection as a whole has to do."""

    def no_preface(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client, preface=frames.PREFACE.replace(b"SM", b"XX"))
        talk.until_closed()
        return talk.notes()

    def pings(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.send(frame(PING, 0, 0, b"12345678"))
        talk.until(lambda c: c.pongs or c.is_over)
        return talk.notes(holds=talk.pongs == [b"12345678"])

    def acks(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.until(lambda c: c.is_acked or c.is_over)
        return talk.notes(holds=talk.is_acked)

    def unknown(*sent: bytes) -> Drive:
        def drive(client: Client, _take: Take) -> dict[str, object]:
            talk = Conversation(client)
            talk.send(*sent)
            return talk.notes(101, holds=talk.goes_on())

        return drive

    def after_malformed(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.send(headers(1, request(b"/t", b"GET", (b"connection", b"close"))))
        talk.until_over()
        return talk.notes(101, holds=talk.goes_on())

    def window(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client, settings(initial_window=10), is_reading=False)
        talk.send(headers(1, request()))
        talk.until(lambda c: len(c.stream(1).body) >= 10 or c.is_over)
        talk.send(
            frame(PING, 0, 0, b"12345678")
        )  # what the proxy had to say is here before its answer
        talk.until(lambda c: c.pongs or c.is_over)
        first = len(talk.stream(1).body)
        talk.send(window_update(1, 90))
        talk.until_over()
        body = talk.stream(1).body
        return talk.notes(holds=first == 10 and len(body) == 100 and talk.stream(1).is_ended)

    def frame_size(client: Client, _take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.until(lambda c: c.is_acked or c.is_over)
        size = talk.settings.get(frames.MAX_FRAME, 16_384)
        talk.send(headers(1, request(b"/t", b"POST"), False))
        # A proxy may open a stream's window only when it has seen the head.
        first = talk.settings.get(frames.INITIAL_WINDOW, 65_535)
        talk.until(lambda c: first + c.grown.get(1, 0) >= size or c.is_over)
        talk.send(data(1, bytes(size), is_end=True))
        talk.until_over()
        return talk.notes()

    def streams(client: Client, take: Take) -> dict[str, object]:
        talk = Conversation(client)
        talk.until(lambda c: c.is_acked or c.is_over)
        most = talk.settings.get(frames.MAX_STREAMS)
        if most is None or most > 1000:
            return talk.notes(holds=False, text=f"up to {most} streams")
        talk.send(*(headers(2 * n + 1, request()) for n in range(most + 20)))
        beyond = [2 * n + 1 for n in range(most, most + 20)]
        talk.until(lambda c: c.is_over or all(c.stream(n).is_over for n in beyond))
        refused = [talk.stream(n).code in (1, 7) for n in beyond]
        is_bounded = len(take.requests) <= most and (talk.is_over or all(refused))
        return talk.notes(beyond[-1], holds=is_bounded)

    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100)
    rows: list[tuple[str, str, str, Drive, Script]] = [
        ("ping", "PING is answered with its bytes", "RFC 9113 6.7", pings, Script()),
        ("settings-ack", "SETTINGS are acknowledged", "RFC 9113 6.5.3", acks, Script()),
        (
            "unknown-frame",
            "an unknown frame is ignored",
            "RFC 9113 4.1",
            unknown(frame(0x77, 0xFF, 0, b"x" * 50)),
            Script(),
        ),
        (
            "unknown-setting",
            "an unknown setting is ignored",
            "RFC 9113 6.5.2",
            unknown(frame(SETTINGS, 0, 0, struct.pack(">HI", 0x77, 1))),
            Script(),
        ),
        (
            "unknown-flags",
            "unknown flags are ignored",
            "RFC 9113 4.1",
            unknown(frame(PING, 0xF0, 0, bytes(8))),
            Script(),
        ),
        (
            "priority-idle",
            "PRIORITY of an idle stream is ignored",
            "RFC 9113 5.3.2",
            unknown(frame(PRIORITY, 0, 9, bytes(5))),
            Script(),
        ),
        (
            "goes-on-after-malformed",
            "a malformed request does not cost the connection",
            "RFC 9113 5.4.2",
            after_malformed,
            Script(),
        ),
        (
            "window-is-kept",
            "no more is sent than the window allows",
            "RFC 9113 6.9.1",
            window,
            answering(long),
        ),
        (
            "streams-are-bounded",
            "streams beyond the announced number are refused",
            "RFC 9113 5.1.2",
            streams,
            answering(then="hold"),
        ),
    ]
    should = {"goes-on-after-malformed"}
    return [
        case("preface", "a preface that is none", "RFC 9113 3.4", ends(), no_preface, seconds=5.0),
        case(
            "frame-of-most-bytes",
            "a frame of exactly MAX_FRAME_SIZE",
            "RFC 9113 4.2",
            forwarded_whole(),
            frame_size,
        ),
        case(
            "no-settings-first",
            "another frame before SETTINGS",
            "RFC 9113 3.4",
            ends(),
            sends(first=frame(PING, 0, 0, bytes(8))),
        ),
    ] + [
        case(name, title, source, noted("holds"), drive, upstream=script, must=name not in should)
        for name, title, source, drive, script in rows
    ]


CASES = _connections()
