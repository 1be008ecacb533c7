"""Servers that freeze, clients that leave, connections that a server drops after a stream."""

import asyncio
import time
from collections import Counter

import pytest
from conversation import Stream, ask
from harness.cyan import Cyan
from harness.process import wait_until
from llama_server import LlamaServer, async_openai_client, openai_client
from openai import APIConnectionError, APIError, APIStatusError

IDLE = 2.0
"""How long a silent answer may stay silent, in seconds; the default would be minutes."""

QUICK = 2.0
"""Longer than a short answer takes on a busy machine, in seconds; far below any timeout."""


async def assert_aborted(stream: Stream) -> None:
    """The client learns within the idle timeout that its answer is not whole."""
    started = time.monotonic()
    with pytest.raises((APIConnectionError, APIError)):
        await asyncio.wait_for(stream.read_all(), IDLE + 3)
    assert stream.finish_reason is None
    assert time.monotonic() - started < IDLE + 2


def test_a_frozen_stream_is_aborted_by_the_idle_timeout(model_files, tmp_path):
    async def watch(cyan: Cyan, server: LlamaServer) -> None:
        stream = await Stream.open(async_openai_client(cyan.url), "anyone")
        await stream.read(5)
        server.process.pause()
        frozen_at = time.monotonic()
        await assert_aborted(stream)
        assert time.monotonic() - frozen_at > IDLE - 0.5, "not by the timeout"
        server.process.resume()
        wait_until("the slot is free", lambda: server.busy_slots() == 0)
        assert ask(openai_client(cyan.url)).text.startswith("blue v1.2.3")

    with LlamaServer("blue", model_files["blue"], tmp_path) as server:
        upstreams = {"blue": [server.url]}
        with Cyan(tmp_path / "cyan", upstreams, {"blue": 100}, idle=f"{IDLE:.0f}s") as cyan:
            asyncio.run(watch(cyan, server))


def test_when_an_upstream_is_terminated_the_other_one_serves(model_files, tmp_path):
    async def watch(cyan: Cyan, first: LlamaServer, second: LlamaServer) -> None:
        stream = await Stream.open(async_openai_client(cyan.url), "anyone")
        await stream.read(5)
        gone, other = (first, second) if first.busy_slots() else (second, first)
        gone.terminate()
        for number in range(10):
            started = time.monotonic()
            answer = ask(openai_client(cyan.url), f"user-{number}", tokens=4)
            assert answer.text.startswith("blue v1.2.3")
            assert time.monotonic() - started < QUICK
        assert other.process.is_running
        await assert_aborted(stream)
        # The server waits for its client, which Cyan was: it can go as soon as Cyan has let go.
        gone.process.wait_exit(5)

    file = model_files["blue"]
    with (
        LlamaServer("first", file, tmp_path) as first,
        LlamaServer("second", file, tmp_path) as second,
    ):
        upstreams = {"blue": [first.url, second.url]}
        with Cyan(tmp_path / "cyan", upstreams, {"blue": 100}, idle=f"{IDLE:.0f}s") as cyan:
            asyncio.run(watch(cyan, first, second))


def test_when_the_only_upstream_is_gone_the_answer_is_a_quick_502(model_files, tmp_path):
    async def watch(cyan: Cyan, server: LlamaServer) -> None:
        stream = await Stream.open(async_openai_client(cyan.url), "anyone")
        await stream.read(5)
        server.terminate()
        for _ in range(5):
            started = time.monotonic()
            with pytest.raises(APIStatusError) as refused:
                ask(openai_client(cyan.url))
            assert refused.value.status_code == 502
            assert time.monotonic() - started < QUICK
        await assert_aborted(stream)

    with LlamaServer("blue", model_files["blue"], tmp_path) as server:
        upstreams = {"blue": [server.url]}
        with Cyan(tmp_path / "cyan", upstreams, {"blue": 100}, idle=f"{IDLE:.0f}s") as cyan:
            asyncio.run(watch(cyan, server))


def test_a_client_that_leaves_frees_the_slot(proxy, servers):
    async def leave(cyan: Cyan) -> None:
        stream = await Stream.open(async_openai_client(cyan.url), "anyone")
        await stream.read(5)
        assert servers["blue"].busy_slots() == 1
        await stream.close()
        wait_until("the slot is free", lambda: servers["blue"].busy_slots() == 0, seconds=1)
        wait_until("nothing is in flight", lambda: cyan.environment("blue")["in_flight"] == 0)

    asyncio.run(leave(proxy(blue=100, green=0)))


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_sixty_requests_of_four_clients_meet_no_error(proxy, streamed):
    """llama-server drops each connection after a stream, unannounced: a pool must not be caught."""
    requests, clients = 60, 4

    async def load(url: str) -> Counter:
        outcomes: Counter = Counter()
        numbers = iter(range(requests))
        async with async_openai_client(url) as client:
            await asyncio.gather(*(work(client, numbers, outcomes) for _ in range(clients)))
        return outcomes

    async def work(client, numbers, outcomes: Counter) -> None:
        for number in numbers:
            try:
                outcomes[await one(client, f"user-{number}")] += 1
            except (APIConnectionError, APIError) as error:
                outcomes[repr(error)] += 1

    async def one(client, user: str) -> str:
        if streamed:
            stream = await (await Stream.open(client, user, tokens=60)).read_all()
            assert stream.text.startswith(f"{stream.environment} v")
            return stream.finish_reason
        question = [{"role": "user", "content": "Hello."}]
        answer = await client.chat.completions.create(
            model="any", messages=question, max_tokens=60, user=user
        )
        return answer.choices[0].finish_reason

    assert asyncio.run(load(proxy(blue=50, green=50).url)) == {"length": requests}
