"""HTTP/2 frame by frame: a client that writes whatever a case wants, and notes what comes back.

Headers are written as literals without Huffman, so that any bytes can be sent; what comes back is read
with the `hpack` package.
"""

import struct
from dataclasses import dataclass, field

from conformance.wire import LATE, Client, Ended
from hpack import Decoder, HPACKError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_LIST = range(1, 7)

CODES = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
]

Pairs = list[tuple[bytes, bytes]]


@dataclass
class Stream:
    """What came back on a stream."""

    headers: Pairs = field(default_factory=list)
    trailers: Pairs = field(default_factory=list)
    body: bytes = b""
    is_ended: bool = False
    code: int | None = None
    """Of the RST_STREAM that ended it."""
    interim: list[int] = field(default_factory=list)

    @property
    def status(self) -> int | None:
        return int(dict(self.headers).get(b":status", b"0")) or None

    @property
    def is_over(self) -> bool:
        return self.is_ended or self.code is not None

    def text(self) -> str:
        parts = [str(self.status)] if self.status else []
        if self.code is not None:
            parts.append(f"RST {code_name(self.code)}")
        elif not self.is_ended:
            parts.append("waits")
        return " ".join(parts)


def code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else str(code)


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is not indexed (RFC 7541, section 6.2.2), with any bytes."""
    return b"\x00" + _text(name) + _text(value)


def block(fields: Pairs) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def _text(text: bytes) -> bytes:
    return number(len(text), 7) + text


def number(value: int, bits: int, first: int = 0) -> bytes:
    """An integer with a prefix of so many bits (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    encoded = bytes([first | most])
    value -= most
    while value >= 128:
        encoded += bytes([value % 128 | 128])
        value //= 128
    return encoded + bytes([value])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; names as above, in lower case."""
    known = {"enable_push": 2, "max_streams": 3, "initial_window": 4, "max_frame": 5, "table": 1}
    pairs = [struct.pack(">HI", known[name], value) for name, value in values.items()]
    return frame(SETTINGS, 0, 0, b"".join(pairs))


def request(path: bytes = b"/t", method: bytes = b"GET", *more: tuple[bytes, bytes]) -> Pairs:
    head = [
        (b":method", method),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"a.test"),
    ]
    return head + list(more)


def headers(stream: int, fields: Pairs, is_end: bool = True) -> bytes:
    """A whole head in one frame."""
    flags = END_HEADERS | (END_STREAM if is_end else 0)
    return frame(HEADERS, flags, stream, block(fields))


def data(stream: int, payload: bytes, is_end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if is_end else 0, stream, payload)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


class Conversation:
    """A connection on which frames are sent, and everything that comes back is noted."""

    def __init__(
        self,
        client: Client,
        first: bytes | None = None,
        is_reading: bool = True,
        preface: bytes = PREFACE,
    ):
        self.client = client
        self.streams: dict[int, Stream] = {}
        self.settings: dict[int, int] = {}
        self.goaway: int | None = None
        self.end: str | None = None
        self.pongs: list[bytes] = []
        self.grown: dict[int, int] = {}
        """By which each window has grown, by stream."""
        self.is_acked = False
        self.is_reading = is_reading
        self._decoder = Decoder(max_header_list_size=1 << 20)
        self._pending: tuple[int, int, bytes] | None = None
        self.send(preface + (settings() if first is None else first))

    def send(self, *frames: bytes) -> bool:
        return self.client.send(b"".join(frames))

    @property
    def is_over(self) -> bool:
        """Whether the proxy ends the connection for a fault."""
        return self.end not in (None, LATE) or self.goaway not in (None, 0)

    def until(self, holds) -> bool:
        """Reads until a state is reached, the connection has ended, or the case's time is over."""
        while self.end is None and not holds(self):
            try:
                self._read_one()
            except Ended as ended:
                self.end = ended.how
        return bool(holds(self))

    def until_over(self, stream: int = 1) -> None:
        """Until the stream has ended, or the connection."""
        self.until(lambda c: c.is_over or c.stream(stream).is_over)

    def until_closed(self) -> None:
        """Until the proxy ends the connection."""
        self.until(lambda c: c.is_over)

    def stream(self, number: int) -> Stream:
        return self.streams.setdefault(number, Stream())

    def goes_on(self, number: int = 101) -> bool:
        """Whether a further request is served."""
        self.send(headers(number, request(b"/sentinel")))
        self.until_over(number)
        return self.stream(number).status == 200

    def notes(self, number: int = 1, **more: object) -> dict[str, object]:
        """What is left to say, and the end of the connection."""
        stream = self.stream(number)
        words = [stream.text()] if number in self.streams and stream.text() != "waits" else []
        if self.goaway is not None:
            words.append(f"GOAWAY {code_name(self.goaway)}")
        if self.end and self.end != LATE and not (self.goaway or stream.is_over):
            words.append(self.end)
        try:
            self.client.sock.shutdown(2)
        except OSError:
            pass  # it has ended already
        self.client.reader.buffer = b""
        text = ", ".join(words) or "waits"
        return {"text": text, "stream": stream, "connection": self, **more}

    def _read_one(self) -> None:
        head = self.client.reader.exactly(9)
        length = int.from_bytes(head[:3], "big")
        kind, flags = head[3], head[4]
        number = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        payload = self.client.reader.exactly(length)
        if kind in (HEADERS, CONTINUATION):
            self._head(kind, flags, number, payload)
        elif kind == DATA:
            self._data(flags, number, payload)
        elif kind == RST_STREAM:
            self.stream(number).code = int.from_bytes(payload, "big")
        elif kind == SETTINGS:
            self._settings(flags, payload)
        elif kind == PING:
            if flags & ACK:
                self.pongs.append(payload)
            else:
                self.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self.grown[number] = self.grown.get(number, 0) + int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self.stream(number)
        stream.body += payload
        stream.is_ended |= bool(flags & END_STREAM)
        if payload and self.is_reading:
            self.send(window_update(0, len(payload)), window_update(number, len(payload)))

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            self.is_acked = True
            return
        for at in range(0, len(payload) - 5, 6):
            name, value = struct.unpack(">HI", payload[at : at + 6])
            self.settings[name] = value
        self.send(frame(SETTINGS, ACK, 0))

    def _head(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == HEADERS:
            self._pending = (number, flags, payload)
        elif self._pending:
            self._pending = (self._pending[0], self._pending[1], self._pending[2] + payload)
        if not flags & END_HEADERS or not self._pending:
            return
        number, flags, encoded = self._pending
        self._pending = None
        try:
            pairs = [(bytes(n), bytes(v)) for n, v in self._decoder.decode(encoded, raw=True)]
        except HPACKError:
            self.end = "bad HPACK"
            return
        stream = self.stream(number)
        status = int(dict(pairs).get(b":status", b"0"))
        if 100 <= status < 200:
            stream.interim.append(status)
            return
        if stream.headers:
            stream.trailers = pairs
        else:
            stream.headers = pairs
        stream.is_ended |= bool(flags & END_STREAM)
