"""llama.cpp's `llama-server` with one of our models: the upstream that these tests care about."""

import ctypes
import json
import os
import signal
import urllib.request
from pathlib import Path

from harness.process import Process, answers_ok, free_port, wait_until
from openai import AsyncOpenAI, OpenAI

PROGRAM = Path(os.environ["LLAMA_SERVER"])
"""`./test --real-llm` builds it and names it."""

SLOTS = 4
CONTEXT_PER_SLOT = 4096


class LlamaServer:
    """One server on a free port. A context manager."""

    def __init__(self, name: str, model: Path, directory: Path):
        self.name = name
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = {
            "--model": model,
            "--host": "127.0.0.1",
            "--port": port,
            "--parallel": SLOTS,
            "--ctx-size": SLOTS * CONTEXT_PER_SLOT,
            "--threads": 1,
        }
        words = [str(word) for option in options.items() for word in option]
        directory.mkdir(parents=True, exist_ok=True)
        log = directory / f"{name}-{port}.log"
        self.process = Process(name, [str(PROGRAM), *words, "--slots", "--no-warmup"], log)

    def __enter__(self) -> "LlamaServer":
        try:
            self.process.wait_ready(f"{self.url}/health", seconds=60)
        except BaseException:
            self.process.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def busy_slots(self) -> int:
        """How many answers it is generating."""
        with urllib.request.urlopen(f"{self.url}/slots", timeout=5) as answer:
            return sum(slot["is_processing"] for slot in json.load(answer))

    def terminate(self) -> None:
        """SIGTERM, as when somebody deploys; returns when new connections are refused.

        What it was saying then stops without an end: most often it freezes for as long as its
        client stays, sometimes the connection is cut. The signal goes to an idle thread, because
        with the main thread the server now and then hung and kept accepting (1 of 12 times), which
        is another story. If it hangs all the same, it is killed, as whoever deploys does in the end.
        """
        threads = os.listdir(f"/proc/{self.process.pid}/task")
        idle = max(int(thread) for thread in threads)
        failed = ctypes.CDLL(None).tgkill(self.process.pid, idle, signal.SIGTERM)
        assert not failed, "the thread is gone"
        try:
            self._wait_refused()
        except TimeoutError:
            os.kill(self.process.pid, signal.SIGKILL)
            self._wait_refused()

    def _wait_refused(self) -> None:
        wait_until("connections are refused", lambda: not answers_ok(f"{self.url}/health"))

    def client(self) -> OpenAI:
        """A client that talks to this server without a proxy."""
        return openai_client(self.url)


def openai_client(url: str) -> OpenAI:
    """One that does not hide failures by asking again."""
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)


def async_openai_client(url: str) -> AsyncOpenAI:
    """One that does not hide failures by asking again."""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
