"""What the page says when nobody answers, when somebody answers again, and who may only read."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from browser.stage import Stage, settled


@pytest.fixture(scope="module")
def ramping(tmp_path_factory) -> Iterator[Stage]:
    """A stage that each test leaves ramping, but for the last one."""
    with Stage(tmp_path_factory.mktemp("ramping")) as stage:
        stage.start()
        yield stage


def test_a_killed_cyan_is_missed_within_three_seconds_and_welcomed_back(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    stage.kill()
    expect(page.locator("#word")).to_have_text("DISCONNECTED", timeout=3000)
    expect(page.locator("#sentence")).to_contain_text("No news from Cyan for")
    expect(page.locator("#age")).to_have_text("no news")
    expect(page.locator("main")).to_have_class("stale")
    assert page.title().startswith("… disconnected")
    buttons = page.locator("#actions button").all_inner_texts()
    assert buttons == ["↩ Roll back", "Try now"]
    stage.restart()
    expect(page.locator("#word")).to_have_text("RAMPING", timeout=3000)
    expect(page.locator("#notice")).to_contain_text("restarted")
    expect(page.locator("main")).not_to_have_class("stale")


def test_a_cyan_that_hangs_is_missed_too(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    stage.cyan.process.pause()
    try:
        expect(page.locator("#word")).to_have_text("DISCONNECTED", timeout=4000)
    finally:
        stage.cyan.process.resume()
    expect(page.locator("#word")).to_have_text("RAMPING", timeout=5000)


class Buffering:
    """A proxy that holds every answer back until it is whole, as some networks do. Streams never end."""

    def __init__(self, address: str):
        self._to = urlsplit(address).hostname, urlsplit(address).port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._to) as server:
            client.settimeout(20)
            head = client.recv(65536).replace(b"keep-alive", b"close")
            host = f"Host: {self.url.split('/')[2]}".encode()
            head = head.replace(host, f"Host: {self._to[0]}:{self._to[1]}".encode())
            server.sendall(head)
            answer = b""
            while piece := server.recv(65536):
                answer += piece
            client.sendall(answer)

    def close(self) -> None:
        self._listener.close()


def test_behind_a_proxy_that_holds_streams_back_the_page_polls(ramping, browser):
    stage = ramping
    proxy = Buffering(stage.page)
    page = browser.new_page()
    page.goto(proxy.url)
    expect(page.locator("#age")).to_contain_text("polling", timeout=10_000)
    expect(page.locator("#word")).to_have_text("RAMPING")
    stage.act("pause")
    expect(page.locator("#word")).to_have_text("PAUSED", timeout=10_000)
    stage.act("resume")
    page.close()
    proxy.close()


def test_a_hidden_page_closes_its_stream(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    stage.act("pause")
    expect(page.locator("#word")).to_have_text("RAMPING")
    page.evaluate(hide, False)
    expect(page.locator("#word")).to_have_text("PAUSED")
    stage.act("resume")


def test_a_rollback_while_disconnected_is_sent_until_somebody_answers(ramping, open_page):
    stage = ramping
    page = open_page(stage)
    stage.kill()
    expect(page.locator("#word")).to_have_text("DISCONNECTED", timeout=3000)
    button = page.locator("#actions .roll-back")
    button.click()
    page.wait_for_timeout(400)  # it is armed for 350 ms before it takes the second press
    button.click()
    expect(page.locator("#result")).to_contain_text("sent until somebody does")
    stage.restart()
    stage.wait_for("rolled_back")
    expect(page.locator("#word")).to_have_text("ROLLED BACK")


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> Iterator[Stage]:
    """A stage with tokens: one that may look, one that may act."""
    tokens = """
        [admin.tokens.wall]
        token = { file = "WALL" }
        role = "read"
        [admin.tokens.ana]
        token = { file = "ANA" }
        role = "operate"
    """
    directory = tmp_path_factory.mktemp("closed")
    for name, token in (("WALL", "only-look"), ("ANA", "may-act-too")):
        file = directory / name
        file.write_text(token)
        tokens = tokens.replace(f'"{name}"', json.dumps(str(file)))
    with Stage(directory, more=tokens) as stage:
        yield stage


def test_a_token_becomes_a_cookie_and_its_role_decides_about_buttons(closed, browser):
    page = browser.new_page()
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(closed.page)
    form = page.locator("dialog[open]")
    form.get_by_label("Token").fill("guess")
    form.get_by_role("button", name="Enter").click()
    expect(form.get_by_role("alert")).to_have_text("That is not the token.")
    form.get_by_label("Token").fill("only-look")
    form.get_by_role("button", name="Enter").click()
    settled(page)
    expect(page.locator("#role")).to_have_text("read only: wall")
    expect(page.locator("#actions button")).to_have_count(0)
    expect(page.locator("#environments button")).to_have_count(0)
    expect(page.locator("#reader")).to_contain_text("An operator can run cyan rollback chat")
    page.keyboard.press("s")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert not any("only-look" in url for url in requested)
    assert page.evaluate("document.cookie") == ""
    status = page.evaluate(
        """async () => (await fetch("/v1/services/chat/rollback", { method: "POST" })).status"""
    )
    assert status == 403
    page.close()


def test_what_an_operator_does_is_written_down_with_the_name_of_the_token(closed, browser):
    page = browser.new_page()
    page.goto(closed.page)
    page.locator("dialog[open]").get_by_label("Token").fill("may-act-too")
    page.keyboard.press("Enter")
    settled(page)
    expect(page.locator("#role")).to_have_text("operate: ana")
    page.keyboard.press("s")
    page.get_by_role("button", name="Start rollout", exact=True).click()
    expect(page.locator("#journal")).to_contain_text("dashboard (token ana)")
    request = urllib.request.Request(f"{closed.cyan.admin}/v1/journal?limit=50")
    request.add_header("authorization", "Bearer only-look")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert "may-act-too" not in json.dumps(json.load(answer))
    page.close()
