"""`cyan mock-llm` as a process: an LLM server whose faults a test chooses."""

import json
import urllib.request
from pathlib import Path

from harness.cyan import PROGRAM
from harness.process import Process, free_port


class MockLlm:
    """One emulated server on a free port. A context manager."""

    def __init__(self, name: str, directory: Path, tokens: int = 20, gap: str = "2ms"):
        port = free_port()
        self.name, self.url = name, f"http://127.0.0.1:{port}"
        options = {
            "--listen": f"127.0.0.1:{port}",
            "--name": name,
            "--tokens": tokens,
            "--ttft": "5ms",
            "--gap": gap,
            "--seed": 1,
        }
        words = [str(word) for option in options.items() for word in option]
        # The same request id gets the same words, so that a call can be made twice and compared.
        words.append("--seed-by-request-id")
        log = directory / f"mock-{name}.log"
        self.process = Process(name, [str(PROGRAM), "mock-llm", *words], log)

    def __enter__(self) -> "MockLlm":
        try:
            self.process.wait_ready(f"{self.url}/ready")
        except BaseException:
            self.process.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def set_faults(self, **faults: object) -> None:
        """Replaces all faults; rates are shares of requests."""
        data = json.dumps(faults).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/mock/faults", data, headers)
        urllib.request.urlopen(request, timeout=5).close()

    def stats(self) -> dict:
        """What it has seen."""
        with urllib.request.urlopen(f"{self.url}/mock/stats", timeout=5) as answer:
            return json.load(answer)
