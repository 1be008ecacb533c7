"""A real process on loopback that a test starts, watches and is sure to end.

Tests wait for a state with a deadline, never for an amount of time. A process that dies while
somebody waits for it ends the wait at once, with the end of its log in the message.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_handed_out: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, and that this run has not handed out before.

    The kernel may well offer the same port twice in a row while nobody listens on it yet.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def wait_until(state: str, holds: Callable[[], bool], seconds: float = 10.0) -> float:
    """Waits until `holds()`; returns the seconds it took. `state` says what was waited for."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"not within {seconds} s: {state}")
        time.sleep(0.01)
    return time.monotonic() - started


def answers_ok(url: str) -> bool:
    """Whether a GET of this URL is answered by a 2xx now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status < 300
    except (urllib.error.URLError, OSError):
        return False


class Process:
    """A child process whose output goes to a file. A context manager that ends it."""

    def __init__(
        self, name: str, arguments: list[str], log: Path, environment: dict[str, str] | None = None
    ):
        """`environment` is added to this process's own."""
        self.name, self.log = name, log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | (environment or {}),
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def wait_ready(self, url: str, seconds: float = 30.0) -> None:
        """Waits until the URL answers, or the process dies."""

        def ready_or_dead() -> bool:
            return not self.is_running or answers_ok(url)

        try:
            wait_until(f"{self.name} answers at {url}", ready_or_dead, seconds)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.log_end()}") from None
        if not self.is_running:
            code = self._child.returncode
            raise RuntimeError(f"{self.name} ended with code {code}:\n{self.log_end()}")

    @property
    def pid(self) -> int:
        return self._child.pid

    def pause(self) -> None:
        """Stops the process where it stands: its connections stay open and nothing more comes."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused process go on."""
        self._child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends the process without a word, and waits until it is gone."""
        self._child.kill()
        self._child.wait()

    def wait_exit(self, seconds: float) -> int:
        """The exit code, which is there before the deadline."""
        return self._child.wait(timeout=seconds)

    def end(self) -> None:
        """SIGTERM, and SIGKILL for what does not obey."""
        if self.is_running:
            self._child.terminate()
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.kill(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def log_end(self) -> str:
        """The last lines it printed."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-30:])
