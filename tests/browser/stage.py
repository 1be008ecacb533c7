"""Cyan between two emulated LLM servers, with users and a short plan: a service in the state a test wants.

States are reached as they are in life: by a rollout that runs against servers which do well or badly.
"""

import http.client
import itertools
import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from harness.cyan import Cyan
from harness.process import wait_until
from mock_llm import MockLlm
from playwright.sync_api import Page, expect

SIZES = {"phone": (360, 740), "tablet": (800, 1000), "wide": (1600, 1000)}
"""Of screens, in pixels."""

USERS = 300
WORKERS = 6
PAUSE_S = 0.08
"""Of each worker between two requests: some 60 requests per second in all, on two slow cores."""

RAMP = ["10% 1h", "50% 1h", "100%"]
"""Stays where it is until somebody does something."""


class Users:
    """Users who ask one after the other until they are sent home. A context manager."""

    def __init__(self, url: str):
        self._address = urlsplit(url).netloc
        self._numbers = itertools.count()
        self._is_over = threading.Event()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]

    def __enter__(self) -> "Users":
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_home()

    def go_home(self) -> int:
        """Waits for the last answers; returns how many requests there were."""
        self._is_over.set()
        for worker in self._workers:
            worker.join(timeout=10)
        return next(self._numbers)

    def _work(self) -> None:
        while not self._is_over.wait(PAUSE_S):
            try:
                self._ask()
            except (OSError, http.client.HTTPException):
                continue  # Cyan is being restarted, or a fault cuts answers: users see such things

    def _ask(self) -> None:
        ask(self._address, f"user-{next(self._numbers) % USERS}")


def ask(address: str, user: str) -> None:
    """One question of a user, and all of the answer."""
    connection = http.client.HTTPConnection(address, timeout=10)
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    )
    headers = {"content-type": "application/json", "x-user-id": user}
    connection.request("POST", "/v1/chat/completions", body, headers)
    connection.getresponse().read()
    connection.close()


class Stage:
    """Servers, Cyan and users. A context manager."""

    def __init__(
        self,
        directory: Path,
        steps: list[str] = RAMP,
        more: str = "",
        rules: str = "",
        is_visited: bool = True,
    ):
        directory.mkdir(parents=True, exist_ok=True)
        self.blue = MockLlm("blue", directory, tokens=6)
        self.green = MockLlm("green", directory, tokens=6)
        extra = f"""
            [service.chat.rollout]
            steps = {json.dumps(steps)}
            armed_for = "1h"
            cool_down = "0s"
            {rules}
            {more}
        """
        self._parts: list = [self.blue, self.green]
        environments = {"blue": [self.blue.url], "green": [self.green.url]}
        versions = {"blue": "v41", "green": "v42"}
        self.cyan = Cyan(
            directory, environments, {"blue": 100}, versions=versions, tables=extra
        )
        self._users = Users(self.cyan.url)
        self._parts += [self.cyan, *([self._users] if is_visited else [])]
        self._entered: list = []

    def __enter__(self) -> "Stage":
        try:
            for part in self._parts:
                self._entered.append(part.__enter__())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._entered:
            self._entered.pop().__exit__(None, None, None)

    @property
    def page(self) -> str:
        """The dashboard's address."""
        return f"{self.cyan.admin}/"

    def service(self) -> dict:
        """What the API says now."""
        return self.cyan.ask("GET", "/v1/services/chat")

    def wait_for(self, state: str, seconds: float = 30) -> dict:
        """Waits until the service is in this state, and returns it."""
        wait_until(f"chat is {state}", lambda: self.service()["state"] == state, seconds)
        return self.service()

    def wait_until(self, what: str, holds: Callable[[dict], bool], seconds: float = 30) -> dict:
        """The same for anything else of the service."""
        wait_until(what, lambda: holds(self.service()), seconds)
        return self.service()

    def start(self) -> None:
        """Starts a rollout and waits until users meet green."""
        self.cyan.ask("POST", "/v1/services/chat/rollout", {"candidate": "green"})
        self.wait_for_users()

    def wait_for_users(self) -> None:
        """Waits until a rollout has given green its first users."""

        def has_users(service: dict) -> bool:
            return "rollout" in service and service["rollout"]["share_percent"] > 0

        self.wait_until("green has users", has_users)

    def act(self, action: str, **body: object) -> None:
        """One action of an operator's."""
        self.cyan.ask("POST", f"/v1/services/chat/rollout/{action}", body)

    def ask_once(self) -> None:
        """One request of one user."""
        ask(urlsplit(self.cyan.url).netloc, "somebody")

    def send_users_home(self) -> int:
        """No request comes any more; returns how many came."""
        return self._users.go_home()

    def restart(self) -> None:
        """Cyan begins again where it was killed."""
        self.cyan.start_again()

    def kill(self) -> None:
        """Cyan ends without a word."""
        self.cyan.process.kill()


def reach(stage: Stage, state: str) -> None:
    """Brings a stage to a state, as an operator and a fault would."""
    if state == "idle":
        stage.wait_for("idle")
        return
    stage.start()
    if state in ("ramping", "paused", "done"):
        counted = lambda s: (s["rollout"]["judge"] or {}).get("requests", 0) >= 20  # noqa: E731
        stage.wait_until("green has had requests", counted)
    if state == "paused":
        stage.act("pause", reason="waiting for legal")
    elif state == "held":
        pass  # the plan's `wait_max` is over in a moment
    elif state == "shared":
        stage.blue.set_faults(status=0.6)
        stage.green.set_faults(status=0.6)
    elif state == "rolled_back":
        stage.green.set_faults(status=1.0)
    elif state == "done":
        stage.act("promote", full=True, reason="enough seen")
    if state != "shared":
        stage.wait_for(state, 60)
        return

    def is_shared(service: dict) -> bool:
        # It goes back a step, here to nobody, and lasts as long as blue fails.
        rollout = service["rollout"]
        return rollout["held_by"] == "shared_incident"

    stage.wait_until("both are held to fail alike", is_shared, 60)


RULES = {"held": 'wait_max = "2s"\nbake = "1s"\nrequests_min = 100000'}
STEPS = {"held": ["10%", "100%"]}
"""What the plan of a state differs in."""
STATES = ["idle", "ramping", "paused", "held", "shared", "rolled_back", "done"]
"""Those that last until somebody does something."""


def stage_of(state: str, directory: Path) -> Stage:
    """A stage whose plan leads to this state."""
    return Stage(directory, steps=STEPS.get(state, RAMP), rules=RULES.get(state, ""))


def answer_of(url: str) -> str:
    """A page as it comes over the wire, before any script."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def settled(page: Page) -> None:
    """Waits until the page has drawn what came by the stream."""
    expect(page.locator("#age")).to_contain_text("live", timeout=15_000)
    expect(page.locator("#figures figure")).to_have_count(3)
