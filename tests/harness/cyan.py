"""Cyan as its users meet it: a config file, the program, its command line and its admin API."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

from harness.process import Process, free_port, wait_until

PROGRAM = Path(os.environ["CYAN_PROGRAM"])
"""The `cyan` under test; `./test` builds it and names it."""


class Cyan:
    """`cyan serve` with one service named `chat`. A context manager.

    `environments` maps each name to the URLs of its upstreams, `weights` to percent. The heaviest
    is active; a rollback takes the candidate's traffic back. `service` are further keys of the
    service, `tables` are written below the others.
    """

    def __init__(
        self,
        directory: Path,
        environments: dict[str, list[str]],
        weights: dict[str, int],
        idle: str = "30s",
        candidate: str | None = None,
        tables: str = "",
        versions: dict[str, str] | None = None,
        service: str = "",
    ):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.admin = f"http://127.0.0.1:{free_port()}"
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "cyan.toml"
        self.access_log = directory / "access.log"
        text = self._config_text(
            directory, environments, weights, idle, candidate, versions or {}, service
        )
        self.config.write_text(text + _unindented(tables))
        self._log = directory / "cyan.log"
        self.process = self._begun()

    def _begun(self) -> Process:
        arguments = [str(PROGRAM), "serve", "--config", str(self.config)]
        return Process("cyan", arguments, self._log)

    def __enter__(self) -> "Cyan":
        try:
            self.process.wait_ready(f"{self.admin}/readyz")
        except BaseException:
            self.process.end()
            raise
        return self

    def start_again(self) -> None:
        """A new process with the same config and state, once the one before has ended."""
        self.process = self._begun()
        self.process.wait_ready(f"{self.admin}/readyz")

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def cli(self, *arguments: str) -> str:
        """Runs one command to its end and returns what it printed; a failure shows what it said."""
        return self.finish(self.begin(*arguments))

    def begin(self, *arguments: str) -> subprocess.Popen:
        """Starts a command that takes its time, such as a drain."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            env=os.environ | {"CYAN_ADMIN": self.admin},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, command: subprocess.Popen, seconds: float = 60) -> str:
        """Waits for a command and returns what it printed; a failure shows what it said."""
        try:
            stdout, stderr = command.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
        said = f"{command.args}: {command.returncode}\n{stdout}{stderr}"
        assert command.returncode == 0, f"{said}\n{self.process.log_end()}"
        return stdout

    def set_weights(self, **percent: int) -> None:
        self.cli(
            "weights", "chat", *(f"{name}={share}" for name, share in percent.items()), "--yes"
        )

    def switch(self, to: str) -> None:
        self.cli("switch", "chat", to, "--yes")

    def rollback(self) -> None:
        self.cli("rollback", "chat")

    def begin_drain(self, environment: str, deadline: str) -> subprocess.Popen:
        """Starts a drain; `environment()` shows how it goes, `finish()` waits for it."""
        return self.begin("drain", "chat", environment, "--deadline", deadline, "--yes")

    def environment(self, name: str) -> dict:
        """What the admin API says of an environment now."""
        return self.ask("GET", f"/v1/services/chat/environments/{name}")

    def request(self, request_id: str) -> dict:
        """What the access log says of a request, which has ended or is about to."""

        def lines() -> list[dict]:
            text = self.access_log.read_text() if self.access_log.exists() else ""
            known = [json.loads(line) for line in text.splitlines()]
            return [line for line in known if line["request_id"] == request_id]

        wait_until(f"{request_id} is in the log", lambda: len(lines()) > 0)
        (line,) = lines()
        return line

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """One call of the admin API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.admin + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def _config_text(
        self, directory: Path, environments, weights, idle, candidate, versions, service
    ) -> str:
        text = f"""
            state_dir = "{directory}/state"
            [listen]
            http = "{self.url.removeprefix("http://")}"
            [access_log]
            path = "{self.access_log}"
            [admin]
            address = "{self.admin.removeprefix("http://")}"
            [service.chat]
            active = "{max(weights, key=weights.get)}"
            {service}
        """
        if candidate:
            text += f'candidate = "{candidate}"'
        for name, upstreams in environments.items():
            text += f"""
                [service.chat.environment.{name}]
                upstreams = {json.dumps(upstreams)}
                weight = {weights.get(name, 0)}
                timeouts.idle = "{idle}"
            """
            if name in versions:
                text += f'version = "{versions[name]}"'
        return _unindented(text)


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"
