"""HTTP/1.1 as bytes: what a client reads, without a library that would hide what is odd.

Everything is bounded by one deadline per case. Reading ends in one of three ways, which cases tell
apart: the other side closed, it reset the connection, or nothing came in time.
"""

import re
import socket
import struct
import time
from dataclasses import dataclass, field

CLOSED, RESET, LATE = "closed", "reset", "late"

Fields = list[tuple[bytes, bytes]]

BYTES_MAX = 64 * 1024 * 1024
"""Most bytes that one side of a case reads."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class Ended(Exception):
    """The bytes ended before what was read for; the argument is CLOSED, RESET or LATE."""

    @property
    def how(self) -> str:
        return self.args[0]


class Reader:
    """Reads a socket up to marks and lengths, until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float):
        self._sock, self.deadline = sock, deadline
        self.buffer = b""
        self.total = 0

    def fill(self) -> None:
        """Waits for more bytes."""
        left = self.deadline - time.monotonic()
        if left <= 0 or self.total > BYTES_MAX:
            raise Ended(LATE)
        try:
            self._sock.settimeout(left)
            piece = self._sock.recv(256 * 1024)
        except TimeoutError:
            raise Ended(LATE) from None
        except OSError:
            raise Ended(RESET) from None
        if not piece:
            raise Ended(CLOSED)
        self.total += len(piece)
        self.buffer += piece

    def until(self, mark: bytes) -> bytes:
        """Up to and with the mark."""
        while (at := self.buffer.find(mark)) < 0:
            self.fill()
        return self.take(at + len(mark))

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.fill()
        return self.take(count)

    def take(self, count: int) -> bytes:
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def field_lines(block: bytes) -> tuple[Fields, list[str]]:
    """Header lines, and which rules of RFC 9112 they break."""
    fields, flaws = [], []
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            flaws.append(f"bad header line {line[:40]!r}")
        elif not _VALUE.fullmatch(value):
            flaws.append(f"bad value {value[:40]!r}")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields, flaws


def values(fields: Fields, name: str) -> list[bytes]:
    wanted = name.lower().encode()
    return [value for known, value in fields if known == wanted]


@dataclass
class Answer:
    """One answer as the client read it. `end` is `whole`, or how it broke off."""

    status: int
    fields: Fields
    flaws: list[str]
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    end: str = "whole"
    is_chunked: bool = False

    @property
    def is_whole(self) -> bool:
        return self.end == "whole"

    def values(self, name: str) -> list[bytes]:
        return values(self.fields, name)

    def value(self, name: str) -> bytes | None:
        """The value of a header that stands there once."""
        found = self.values(name)
        return found[0] if len(found) == 1 else None


class Client:
    """A connection to the proxy. A context manager."""

    def __init__(self, address: tuple[str, int], seconds: float):
        self.deadline = time.monotonic() + seconds
        self.sock = socket.create_connection(address, timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = Reader(self.sock, self.deadline)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> bool:
        """Sends, and says whether the proxy took it all; it may have closed, which reading will tell."""
        self.sock.settimeout(max(0.01, self.deadline - time.monotonic()))
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        return True

    def finish_sending(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leaves with a reset instead of a FIN."""
        reset(self.sock)

    def answer(self, method: str = "GET") -> Answer:
        """Reads one answer, interim ones included; raises `Ended` when none begins."""
        head = self.reader.until(b"\r\n\r\n")
        line, _, block = head[:-4].partition(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.[01] ([0-9]{3})(?: .*)?", line, re.DOTALL)
        fields, flaws = field_lines(block) if block else ([], [])
        if not found:
            return Answer(0, fields, [f"bad status line {line[:40]!r}"])
        answer = Answer(int(found[1]), fields, flaws)
        try:
            self._read_body(answer, method)
        except Ended as ended:
            answer.end = ended.how
            answer.body += self.reader.take(len(self.reader.buffer))
        return answer

    def _read_body(self, answer: Answer, method: str) -> None:
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return
        codings, lengths = answer.values("transfer-encoding"), answer.values("content-length")
        if codings and lengths:
            answer.flaws.append("both Content-Length and Transfer-Encoding")
        if codings:
            answer.is_chunked = True
            read_chunks(self.reader, answer)
        elif lengths:
            if len(lengths) > 1 or not lengths[0].isdigit():
                answer.flaws.append(f"bad Content-Length {lengths}")
                raise Ended(CLOSED)
            self._read_sized(answer, int(lengths[0]))
        else:
            self._read_to_close(answer)

    def _read_sized(self, answer: Answer, length: int) -> None:
        answer.body = self.reader.exactly(length)

    def _read_to_close(self, answer: Answer) -> None:
        try:
            while True:
                self.reader.fill()
        except Ended as ended:
            if ended.how != CLOSED:
                raise
        answer.body = self.reader.take(len(self.reader.buffer))


def read_chunks(reader: Reader, message) -> None:
    """Reads a chunked body into `message.body` and `.trailers`; what is odd goes to `.flaws`."""
    while True:
        line = reader.until(b"\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?\r\n", line):
            message.flaws.append(f"bad chunk line {line[:40]!r}")
            raise Ended(CLOSED)
        size = int(re.match(rb"[0-9A-Fa-f]+", line)[0], 16)
        if size == 0:
            break
        message.body += reader.exactly(size)
        if reader.exactly(2) != b"\r\n":
            message.flaws.append("chunk without its CRLF")
            raise Ended(CLOSED)
    lines = []
    while (line := reader.until(b"\r\n")) != b"\r\n":
        lines.append(line[:-2])
    if lines:
        message.trailers, flaws = field_lines(b"\r\n".join(lines))
        message.flaws.extend(flaws)


def reset(sock: socket.socket) -> None:
    """Closes with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
