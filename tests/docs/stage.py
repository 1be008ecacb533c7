"""What runs beside the commands of a page.

| stage | what there is |
|---|---|
| `empty` | `cyan` on the path, and an empty directory |
| `mocks` | two emulated LLM servers, on 8001 and 8002 |
| `serving` | Cyan between them and 8080, with a service `chat`, blue and green; its admin API on 9901 |
| `users` | 80 requests per second of 200 users to that Cyan |

Ports are those that pages write; `ports.py` puts free ones in their place.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from harness.cyan import PROGRAM
from harness.process import Process

from docs.ports import Ports

REQUESTS_PER_SECOND = 80
USERS = 200

CONFIG = """
state_dir = "state"
[listen]
http = "127.0.0.1:8080"
[admin]
address = "127.0.0.1:9901"
[service.chat]
force.trusted = ["127.0.0.1"]
[service.chat.rollout]
steps = ["10% 2s 10", "50% 2s 30", "100%"]
armed_for = "1h"
[service.chat.rollout.comparison]
latency_p99_margin = "5s"
error_rate = 0.2
[service.chat.rollout.quality]
exec = ["sh", "-c", "echo '{\\"score\\": 0.91, \\"total\\": 40}'"]
[service.chat.rollout.smoke.health]
path = "/health"
[service.chat.environment.blue]
version = "v41"
upstreams = ["http://127.0.0.1:8001"]
[service.chat.environment.green]
version = "v42"
upstreams = ["http://127.0.0.1:8002"]
"""


@contextlib.contextmanager
def stage(name: str, directory: Path, ports: Ports) -> Iterator[None]:
    """Sets a stage up, and takes it down."""
    with contextlib.ExitStack() as running:
        if name in ("mocks", "serving", "users"):
            for mock, port in (("blue", 8001), ("green", 8002)):
                running.enter_context(_mock_llm(mock, ports.real(port), directory))
        if name in ("serving", "users"):
            running.enter_context(_cyan(directory, ports))
        if name == "users":
            running.enter_context(_users(ports.real(8080)))
        elif name not in ("empty", "mocks", "serving"):
            raise ValueError(f"there is no stage `{name}`; see tests/docs/stage.py")
        yield


@contextlib.contextmanager
def _mock_llm(name: str, port: int, directory: Path) -> Iterator[None]:
    arguments = [str(PROGRAM), "mock-llm", "--listen", f"127.0.0.1:{port}", "--name", name]
    quick = ["--ttft", "lognormal:60ms,0.6", "--gap", "1ms", "--tokens", "8"]
    with Process(f"mock {name}", arguments + quick, directory / f"{name}.log") as process:
        process.wait_ready(f"http://127.0.0.1:{port}/health")
        yield


@contextlib.contextmanager
def _cyan(directory: Path, ports: Ports) -> Iterator[None]:
    config = directory / "stage.toml"
    text = ports.replaced(CONFIG)
    config.write_text(text.replace('"state"', json.dumps(str(directory / "state"))))
    with Process("cyan", [str(PROGRAM), "serve", str(config)], directory / "cyan.log") as process:
        process.wait_ready(f"http://127.0.0.1:{ports.real(9901)}/readyz")
        yield


@contextlib.contextmanager
def _users(port: int) -> Iterator[None]:
    """Users who ask at a steady rate until the page is over."""
    over = threading.Event()

    def ask(first_user: int, threads: int) -> None:
        user, began = first_user, time.monotonic()
        while not over.wait(max(0.0, began - time.monotonic())):
            began += threads / REQUESTS_PER_SECOND
            with contextlib.suppress(OSError, http.client.HTTPException):
                _ask_once(port, f"user-{user % USERS}")
            user += threads

    threads = [threading.Thread(target=ask, args=(index, 16), daemon=True) for index in range(16)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask_once(port: int, user: str) -> None:
    body = {"model": "mock-llm", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"content-type": "application/json", "x-user-id": user}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        connection.getresponse().read()
    finally:
        connection.close()
