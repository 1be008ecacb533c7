"""Frames that break the rules of the connection, one way each. Which code a GOAWAY carries is a SHOULD
(RFC 9113, section 5.4.1) and not judged; the table shows it."""

import struct

from conformance.case import Case
from conformance.cases.h2.play import case, ends, sends, stream_ends
from conformance.frames import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    headers,
    number,
    request,
    settings,
    window_update,
)
from conformance.upstream import answering


def _frames() -> list[Case]:
    """Frames that break the rules of the connection, one way each."""
    get = headers(1, request())
    head = block(request())
    ping = b"12345678"
    rows: list[tuple[str, str, str, list[bytes]]] = [
        ("data-on-0", "DATA on stream 0", "RFC 9113 6.1", [data(0, b"x")]),
        (
            "headers-on-0",
            "HEADERS on stream 0",
            "RFC 9113 6.2",
            [frame(HEADERS, 5, 0, head)],
        ),
        (
            "stream-even",
            "a stream with an even number",
            "RFC 9113 5.1.1",
            [headers(2, request())],
        ),
        (
            "stream-lower",
            "a stream with a lower number",
            "RFC 9113 5.1.1",
            [headers(5, request(b"/sentinel")), headers(3, request())],
        ),
        ("data-on-idle", "DATA on an idle stream", "RFC 9113 5.1", [data(1, b"x")]),
        (
            "reset-on-idle",
            "RST_STREAM on an idle stream",
            "RFC 9113 6.4",
            [frame(RST_STREAM, 0, 1, bytes(4))],
        ),
        (
            "reset-on-0",
            "RST_STREAM on stream 0",
            "RFC 9113 6.4",
            [frame(RST_STREAM, 0, 0, bytes(4))],
        ),
        (
            "reset-short",
            "RST_STREAM of three bytes",
            "RFC 9113 6.4",
            [headers(1, request(b"/t", b"POST"), False), frame(RST_STREAM, 0, 1, bytes(3))],
        ),
        ("settings-on-1", "SETTINGS on a stream", "RFC 9113 6.5", [frame(SETTINGS, 0, 1)]),
        (
            "settings-ack-full",
            "an acknowledgement with a payload",
            "RFC 9113 6.5",
            [frame(SETTINGS, 1, 0, bytes(6))],
        ),
        (
            "settings-odd",
            "SETTINGS of five bytes",
            "RFC 9113 6.5",
            [frame(SETTINGS, 0, 0, bytes(5))],
        ),
        ("settings-push-2", "ENABLE_PUSH of 2", "RFC 9113 6.5.2", [settings(enable_push=2)]),
        (
            "settings-window",
            "a window of 2^31",
            "RFC 9113 6.5.2",
            [settings(initial_window=1 << 31)],
        ),
        (
            "settings-frame-small",
            "MAX_FRAME_SIZE of 100",
            "RFC 9113 6.5.2",
            [settings(max_frame=100)],
        ),
        (
            "settings-frame-large",
            "MAX_FRAME_SIZE of 2^24",
            "RFC 9113 6.5.2",
            [settings(max_frame=1 << 24)],
        ),
        ("ping-short", "PING of seven bytes", "RFC 9113 6.7", [frame(PING, 0, 0, ping[1:])]),
        ("ping-on-1", "PING on a stream", "RFC 9113 6.7", [frame(PING, 0, 1, ping)]),
        (
            "goaway-on-1",
            "GOAWAY on a stream",
            "RFC 9113 6.8",
            [frame(GOAWAY, 0, 1, bytes(8))],
        ),
        (
            "window-0",
            "WINDOW_UPDATE of 0 on the connection",
            "RFC 9113 6.9",
            [window_update(0, 0)],
        ),
        (
            "window-short",
            "WINDOW_UPDATE of three bytes",
            "RFC 9113 6.9",
            [frame(WINDOW_UPDATE, 0, 0, bytes(3))],
        ),
        (
            "window-overflow",
            "a connection window above 2^31-1",
            "RFC 9113 6.9.1",
            [window_update(0, (1 << 31) - 1)] * 2,
        ),
        (
            "window-on-idle",
            "WINDOW_UPDATE on an idle stream",
            "RFC 9113 5.1",
            [window_update(1, 5)],
        ),
        (
            "continuation-alone",
            "CONTINUATION without HEADERS",
            "RFC 9113 6.10",
            [frame(CONTINUATION, 4, 1, head)],
        ),
        (
            "continuation-late",
            "CONTINUATION after the end of a head",
            "RFC 9113 6.10",
            [headers(1, request(b"/t", b"POST"), False), frame(CONTINUATION, 4, 1, head)],
        ),
        (
            "continuation-other",
            "CONTINUATION of another stream",
            "RFC 9113 6.10",
            [frame(HEADERS, 1, 1, head), frame(CONTINUATION, 4, 3, b"")],
        ),
        (
            "head-interrupted",
            "PING within a head",
            "RFC 9113 6.2",
            [frame(HEADERS, 1, 1, head), frame(PING, 0, 0, ping)],
        ),
        (
            "head-and-data",
            "DATA within a head",
            "RFC 9113 6.2",
            [frame(HEADERS, 0, 1, head), data(1, b"x", is_end=True)],
        ),
        (
            "push-promise",
            "PUSH_PROMISE from a client",
            "RFC 9113 8.4",
            [frame(PUSH_PROMISE, 4, 1, struct.pack(">I", 2) + head)],
        ),
        (
            "frame-too-large",
            "a frame above MAX_FRAME_SIZE",
            "RFC 9113 4.2",
            [headers(1, request(b"/t", b"POST"), False), data(1, bytes(20_000))],
        ),
        (
            "data-padding",
            "padding longer than its frame",
            "RFC 9113 6.1",
            [headers(1, request(b"/t", b"POST"), False), frame(DATA, PADDED, 1, b"\xffabc")],
        ),
        (
            "headers-padding",
            "padding longer than a head",
            "RFC 9113 6.2",
            [frame(HEADERS, 5 | PADDED, 1, b"\xff" + head)],
        ),
        (
            "hpack-index",
            "an index that there is not",
            "RFC 7541 2.3.3",
            [frame(HEADERS, 5, 1, head + number(200, 7, 0x80))],
        ),
        (
            "hpack-index-0",
            "index 0",
            "RFC 7541 6.1",
            [frame(HEADERS, 5, 1, head + b"\x80")],
        ),
        (
            "hpack-cut",
            "a literal that is cut",
            "RFC 7541 5.2",
            [frame(HEADERS, 5, 1, head + b"\x00\x05ab")],
        ),
        (
            "hpack-table-large",
            "a table above what was allowed",
            "RFC 7541 6.3",
            [frame(HEADERS, 5, 1, number(1 << 20, 5, 0x20) + head)],
        ),
        (
            "hpack-huffman-padding",
            "Huffman with padding of zeros",
            "RFC 7541 5.2",
            [frame(HEADERS, 5, 1, head + b"\x00\x01x\x81\x18")],
        ),
        (
            "hpack-integer-endless",
            "an integer without an end",
            "RFC 7541 5.1",
            [frame(HEADERS, 5, 1, head + b"\xff" * 20)],
        ),
    ]
    of_streams: list[tuple[str, str, str, list[bytes]]] = [
        (
            "data-after-end",
            "DATA after END_STREAM",
            "RFC 9113 5.1",
            [get, data(1, b"x", is_end=True)],
        ),
        (
            "headers-after-end",
            "HEADERS after END_STREAM",
            "RFC 9113 5.1",
            [get, get],
        ),
        (
            "window-0-on-stream",
            "WINDOW_UPDATE of 0 on a stream",
            "RFC 9113 6.9",
            [get, window_update(1, 0)],
        ),
        (
            "window-overflow-stream",
            "a stream's window above 2^31-1",
            "RFC 9113 6.9.1",
            [get, window_update(1, (1 << 31) - 1)],
        ),
        (
            "priority-short",
            "PRIORITY of four bytes",
            "RFC 9113 6.3",
            [get, frame(PRIORITY, 0, 1, bytes(4))],
        ),
    ]
    held = answering(then="hold")
    return [
        case(name, title, source, ends(), sends(*sent)) for name, title, source, sent in rows
    ] + [
        case(name, title, source, stream_ends(), sends(*sent), upstream=held)
        for name, title, source, sent in of_streams
    ]


CASES = _frames()
