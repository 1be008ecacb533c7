"""Cyan as its users meet it: a config file, the program, its command line and its admin API."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

from harness.process import Process, free_port

PROGRAM = Path(os.environ["CYAN_PROGRAM"])
"""The `cyan` under test; `./test` builds it and names it."""


class Cyan:
    """`cyan serve` with one service named `chat`. A context manager.

    `environments` maps each name to the URLs of its upstreams, `weights` to percent.
    """

    def __init__(
        self,
        directory: Path,
        environments: dict[str, list[str]],
        weights: dict[str, int],
        idle: str = "30s",
    ):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.admin = f"http://127.0.0.1:{free_port()}"
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "cyan.toml"
        self.config.write_text(self._config_text(directory, environments, weights, idle))
        arguments = [str(PROGRAM), "serve", "--config", str(self.config)]
        self.process = Process("cyan", arguments, directory / "cyan.log")

    def __enter__(self) -> "Cyan":
        try:
            self.process.wait_ready(f"{self.admin}/readyz")
        except BaseException:
            self.process.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def cli(self, *arguments: str) -> str:
        """Runs one command to its end; a failure shows what it said."""
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            env=os.environ | {"CYAN_ADMIN": self.admin},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = f"cyan {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, f"{said}\n{self.process.log_end()}"
        return done.stdout

    def set_weights(self, **percent: int) -> None:
        self.cli(
            "weights", "chat", *(f"{name}={share}" for name, share in percent.items()), "--yes"
        )

    def switch(self, to: str) -> None:
        self.cli("switch", "chat", to, "--yes")

    def rollback(self) -> None:
        self.cli("rollback", "chat")

    def drain(self, environment: str, deadline: str) -> None:
        """Starts a drain and returns; `environment()` then shows how it goes."""
        path = f"/v1/services/chat/environments/{environment}/drain"
        self.ask("POST", path, {"deadline": deadline})

    def environment(self, name: str) -> dict:
        """What the admin API says of an environment now."""
        return self.ask("GET", f"/v1/services/chat/environments/{name}")

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """One call of the admin API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.admin + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def _config_text(self, directory: Path, environments, weights, idle: str) -> str:
        text = f"""
            state_dir = "{directory}/state"
            [listen]
            http = "{self.url.removeprefix("http://")}"
            [admin]
            listen = "{self.admin.removeprefix("http://")}"
        """
        for name, upstreams in environments.items():
            text += f"""
                [service.chat.environment.{name}]
                upstreams = {json.dumps(upstreams)}
                weight = {weights.get(name, 0)}
                timeouts.idle = "{idle}"
            """
        return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"
