"""Weights, switch, rollback and drain while answers are being generated: nobody loses a token."""

import asyncio
import time

import pytest
from conversation import Stream, ask
from harness.process import wait_until
from llama_server import async_openai_client, openai_client
from openai import APIConnectionError, APIError

STREAMS = 3
"""One slot of the server stays free for short answers."""


async def running_streams(cyan) -> list[Stream]:
    """Streams that blue has begun to answer."""
    client = async_openai_client(cyan.url)
    streams = [await Stream.open(client, f"user-{number}") for number in range(STREAMS)]
    for stream in streams:
        assert stream.environment == "blue"
        await stream.read(5)
    return streams


async def finish(streams: list[Stream], changed_at: float, expected: str) -> None:
    """Reads all streams to a clean end and compares each with what blue says without a proxy."""
    await asyncio.gather(*(stream.read_all() for stream in streams))
    for stream in streams:
        assert stream.finish_reason == "length"
        assert stream.text == expected
        assert stream.last_piece_at > changed_at, "the answer was over before anything changed"


@pytest.fixture(scope="module")
def blue_text(servers) -> str:
    """What a long answer of blue is, asked directly."""

    async def read() -> str:
        client = async_openai_client(servers["blue"].url)
        return (await (await Stream.open(client, "direct")).read_all()).text

    return asyncio.run(read())


def test_a_weight_change_cuts_no_stream(proxy, blue_text):
    async def change(cyan) -> None:
        streams = await running_streams(cyan)
        for share in (20, 60, 100):
            cyan.set_weights(blue=100 - share, green=share)
        changed_at = time.monotonic()
        assert ask(openai_client(cyan.url)).environment == "green"
        await finish(streams, changed_at, blue_text)

    asyncio.run(change(proxy(blue=100, green=0)))


def test_streams_finish_where_they_began_when_traffic_switches(proxy, blue_text):
    async def switch(cyan) -> None:
        streams = await running_streams(cyan)
        cyan.switch("green")
        changed_at = time.monotonic()
        for number in range(20):
            answer = ask(openai_client(cyan.url), f"user-{number}")
            assert answer.environment == "green"
            assert answer.text.startswith("green v1.3.0")
        await finish(streams, changed_at, blue_text)

    asyncio.run(switch(proxy(blue=100, green=0)))


def test_rollback_returns_to_the_environment_before_and_cuts_nothing(proxy, blue_text):
    async def roll_back(cyan) -> None:
        streams = await running_streams(cyan)
        cyan.switch("green")
        assert ask(openai_client(cyan.url), "user-1").environment == "green"
        cyan.rollback()
        changed_at = time.monotonic()
        assert ask(openai_client(cyan.url), "user-1").environment == "blue"
        await finish(streams, changed_at, blue_text)

    asyncio.run(roll_back(proxy(blue=100, green=0)))


def test_a_drain_counts_down_and_ends_when_the_last_stream_does(proxy, blue_text):
    async def drain(cyan) -> None:
        streams = await running_streams(cyan)
        cyan.switch("green")
        command = cyan.begin_drain("blue", deadline="60s")
        wait_until("blue is draining", lambda: drain_of(cyan).get("state") == "draining")
        assert cyan.environment("blue")["in_flight"] == STREAMS
        assert command.poll() is None, "it waits for the streams"
        await streams[0].close()
        wait_until("one left", lambda: cyan.environment("blue")["in_flight"] == STREAMS - 1)
        await finish(streams[1:], time.monotonic(), blue_text)
        assert "blue is drained: nothing is in flight" in cyan.finish(command)
        assert cyan.environment("blue")["in_flight"] == 0
        assert (drain_of(cyan)["state"], drain_of(cyan)["ended"]) == ("drained", 0)

    asyncio.run(drain(proxy(blue=100, green=0)))


def test_a_drain_past_its_deadline_ends_streams_and_never_as_if_they_were_whole(proxy):
    async def drain(cyan) -> None:
        streams = await running_streams(cyan)
        cyan.switch("green")
        command = cyan.begin_drain("blue", deadline="200ms")
        for stream in streams:
            with pytest.raises((APIConnectionError, APIError)):
                await stream.read_all()
            assert stream.finish_reason is None
        assert f"the deadline ended the {STREAMS} exchanges" in cyan.finish(command)
        assert (drain_of(cyan)["state"], drain_of(cyan)["ended"]) == ("ended", STREAMS)

    asyncio.run(drain(proxy(blue=100, green=0)))


def drain_of(cyan) -> dict:
    """How blue's drain goes; empty when there is none."""
    return cyan.environment("blue")["drain"] or {}
