"""The scripted upstream: a raw socket that writes down what it is sent and answers as a case wants.

It reads requests more strictly than any server has to, and notes every rule that one breaks: what
reaches it unclean could be read in two ways further on, which is how requests are smuggled.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.wire import (
    Ended,
    Fields,
    Reader,
    field_lines,
    read_chunks,
    reset,
    values,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SENTINEL = b"/sentinel"
"""The target of the request that each case ends with; it is always answered by `OK`."""


@dataclass
class Request:
    """One request as the upstream read it."""

    line: bytes
    fields: Fields
    flaws: list[str]
    connection: int
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    is_whole: bool = False
    is_chunked: bool = False
    head: bytes = b""

    @property
    def method(self) -> bytes:
        return self.line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1] if self.line.count(b" ") > 1 else b""

    @property
    def is_sentinel(self) -> bool:
        return self.target.endswith(SENTINEL)

    def values(self, name: str) -> list[bytes]:
        return values(self.fields, name)

    def value(self, name: str) -> bytes | None:
        """The value of a header that stands there once."""
        found = self.values(name)
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Script:
    """What the upstream does with a request of the case.

    It writes `pieces`, each for itself, then keeps the connection, closes or resets it, or holds it
    until the proxy lets go. `is_early`: without reading the body. `act` does anything else.
    """

    pieces: tuple[bytes, ...] = (OK,)
    then: str = "keep"
    is_early: bool = False
    act: Callable[["Line", Request], None] | None = None


def answering(*pieces: bytes, then: str = "keep") -> Script:
    return Script(pieces, then)


@dataclass
class Take:
    """What the upstream has seen in one case."""

    script: Script
    seconds: float
    requests: list[Request] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    released: int = 0
    """Connections that the proxy let go of while the upstream held them."""
    may_go_on: bool = False
    """The client's side lets a script go on that waits for it."""

    def add(self, request: Request) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def go_on(self) -> None:
        """Lets a script go on that waits for `may_go_on`."""
        with self.changed:
            self.may_go_on = True
            self.changed.notify_all()

    def wait(self, holds: Callable[["Take"], bool]) -> bool:
        """Waits for a state of this take, until the case's deadline."""
        with self.changed:
            return self.changed.wait_for(lambda: holds(self), self.seconds)


class Line:
    """One connection from the proxy."""

    def __init__(self, sock: socket.socket, number: int, take: Callable[[], Take]):
        self.sock, self.number, self._take = sock, number, take
        self.is_settling = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.reader = Reader(sock, 0)

    @property
    def take(self) -> Take:
        return self._take()

    def settle(self) -> None:
        """What has come is still read; then it is over."""
        self.is_settling = True
        try:
            self.sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # it has ended already

    def send(self, data: bytes) -> None:
        self.sock.settimeout(self.take.seconds)
        self.sock.sendall(data)

    def wait_released(self) -> None:
        """Waits until the proxy closes or resets the connection, and notes that it did."""
        try:
            while True:
                self.reader.fill()
                self.reader.buffer = b""
        except Ended as ended:
            if ended.how != "late" and not self.is_settling:
                with self.take.changed:
                    self.take.released += 1
                    self.take.changed.notify_all()

    def _serve(self) -> None:
        try:
            while self._serve_one():
                pass
        except (Ended, OSError):
            pass
        finally:
            self.sock.close()

    def _serve_one(self) -> bool:
        # A connection may rest from case to case; a case that waits has a deadline of its own.
        self.reader.deadline = time.monotonic() + 600
        while not self.reader.buffer:
            self.reader.fill()
        take = self.take
        self.reader.deadline = time.monotonic() + take.seconds
        request = self._read_head()
        script = Script() if request.is_sentinel else take.script
        take.add(request)
        if not script.is_early:
            if request.values("expect"):
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.read_body(request)
        if request.flaws:
            self.send(b"HTTP/1.1 400 Unclean\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        if script.act:
            script.act(self, request)
        for piece in script.pieces:
            self.send(piece)
        return self._end(script.then)

    def _end(self, then: str) -> bool:
        if then == "reset":
            reset(self.sock)
        elif then == "hold":
            self.wait_released()
        elif then == "close":
            # Closing with unread bytes would be a reset.
            self.sock.shutdown(socket.SHUT_WR)
            self.wait_released()
        return then == "keep"

    def _read_head(self) -> Request:
        head = self.reader.until(b"\r\n\r\n")
        line, _, block = head[:-4].partition(b"\r\n")
        fields, flaws = field_lines(block) if block else ([], [])
        request = Request(line, fields, flaws, self.number, head=head)
        if line.count(b" ") != 2 or not line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            flaws.append(f"bad request line {line[:40]!r}")
        lengths, codings = request.values("content-length"), request.values("transfer-encoding")
        if lengths and codings:
            flaws.append("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or any(not length.isdigit() for length in lengths):
            flaws.append(f"bad Content-Length {lengths}")
        if codings and [coding.lower() for coding in codings] != [b"chunked"]:
            flaws.append(f"bad Transfer-Encoding {codings}")
        if len(request.values("host")) > 1:
            flaws.append("more than one Host")
        return request

    def read_body(self, request: Request) -> None:
        """Reads the body; `is_whole` stays false when it does not end as announced."""
        if request.flaws:
            return
        try:
            if request.values("transfer-encoding"):
                request.is_chunked = True
                read_chunks(self.reader, request)
            elif lengths := request.values("content-length"):
                request.body = self.reader.exactly(int(lengths[0]))
        except Ended:
            request.body += self.reader.take(len(self.reader.buffer))
            with self.take.changed:
                self.take.changed.notify_all()
            raise
        with self.take.changed:
            request.is_whole = True
            self.take.changed.notify_all()


class Upstream:
    """Listens on a free loopback port. A context manager."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._take = Take(Script(), 5)
        self._lines: list[Line] = []
        self._count = 0
        self._latest: object = None
        """Who was accepted last."""
        self._lock = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake a thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def play(self, script: Script, seconds: float) -> Take:
        """From here on requests are answered by this script, and written down in what is returned."""
        self._take = Take(script, seconds)
        return self._take

    def settle(self) -> None:
        """Reads what has come and ends all connections, so that the next case begins on new ones."""
        # They are accepted in the order in which they came: with this one, all that the kernel held.
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            name = last.getsockname()
            with self._lock:
                self._lock.wait_for(lambda: self._latest == name, self._take.seconds)
        self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.settle()
        for line in lines:
            line.thread.join(self._take.seconds)

    def _accept(self) -> None:
        while True:
            try:
                sock, name = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._count += 1
                line = Line(sock, self._count, lambda: self._take)
                self._lines.append(line)
                line.thread.start()
                self._latest = name
                self._lock.notify_all()
