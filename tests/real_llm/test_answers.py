"""An answer through Cyan is the server's own answer, for each client and each way to ask."""

import asyncio

import pytest
from anthropic import Anthropic, AsyncAnthropic
from conversation import PROMPT, ask
from llama_server import async_openai_client, openai_client

ENVIRONMENTS = ["blue", "green"]

CHANGING = {"id": ..., "created": ..., "timings": ..., "usage": {"prompt_tokens_details"}}
"""What differs between two equal answers of the same server."""


@pytest.fixture(params=ENVIRONMENTS)
def both(request, proxy, servers) -> tuple[str, str, str]:
    """An environment, its server's own URL, and the URL of a Cyan that sends all traffic there."""
    name = request.param
    shares = {other: 100 if other == name else 0 for other in ENVIRONMENTS}
    return name, servers[name].url, proxy(**shares).url


def test_whole_chat_answers_are_identical(both):
    name, direct, through = both
    expected = ask(openai_client(direct), tokens=400)
    answer = ask(openai_client(through), tokens=400)
    assert answer.environment == name
    assert expected.environment is None
    assert (answer.text, answer.finish_reason, answer.usage) == (
        expected.text,
        expected.finish_reason,
        expected.usage,
    )


def test_streamed_chat_answers_are_identical(both):
    def streamed(url: str) -> list[tuple]:
        events = openai_client(url).chat.completions.create(
            model="any",
            messages=PROMPT,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        return _without_ids(list(events))

    _, direct, through = both
    assert streamed(through) == streamed(direct)


def test_async_chat_answers_are_identical(both):
    # A connection for each: the server itself may close one at rest, and nobody asks again here.
    async def whole(url: str) -> str:
        async with async_openai_client(url) as client:
            answer = await client.chat.completions.create(
                model="any", messages=PROMPT, temperature=0
            )
            return answer.choices[0].message.content

    async def streamed(url: str) -> str:
        async with async_openai_client(url) as client:
            stream = await client.chat.completions.create(
                model="any", messages=PROMPT, temperature=0, stream=True
            )
            pieces = [event async for event in stream]
            return "".join(c.delta.content or "" for event in pieces for c in event.choices)

    async def gather(url: str) -> list[str]:
        return await asyncio.gather(whole(url), streamed(url))

    _, direct, through = both
    answers = asyncio.run(gather(through))
    assert answers[0] == answers[1]
    assert answers == asyncio.run(gather(direct))


def test_completions_and_responses_are_identical(both):
    def texts(url: str) -> list[str]:
        client = openai_client(url)
        completion = client.completions.create(
            model="any", prompt="Once", max_tokens=50, temperature=0
        )
        response = client.responses.create(model="any", input="Hello.", temperature=0)
        streamed = client.responses.create(model="any", input="Hello.", temperature=0, stream=True)
        events = list(streamed)
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert events[-1].type == "response.completed"
        return [completion.choices[0].text, response.output_text, "".join(deltas)]

    _, direct, through = both
    assert texts(through) == texts(direct)


def test_messages_of_the_anthropic_sdk_are_identical(both):
    question = {"model": "any", "max_tokens": 300, "messages": PROMPT}

    def sync_texts(url: str) -> list[str]:
        client = Anthropic(base_url=url, api_key="none", max_retries=0)
        whole = client.messages.create(**question)
        with client.messages.stream(**question) as stream:
            streamed = stream.get_final_message()
        assert streamed.stop_reason == whole.stop_reason == "end_turn"
        assert streamed.usage.output_tokens == whole.usage.output_tokens
        return [whole.content[0].text, streamed.content[0].text]

    async def async_text(url: str) -> str:
        async with (
            AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client,
            client.messages.stream(**question) as stream,
        ):
            return "".join([text async for text in stream.text_stream])

    name, direct, through = both
    answers = [*sync_texts(through), asyncio.run(async_text(through))]
    assert answers == [*sync_texts(direct), asyncio.run(async_text(direct))]
    assert answers[0].startswith(f"{name} v")


def test_the_clients_mistakes_come_back_as_the_server_puts_them(both):
    """A status, a body and a typed exception, as without a proxy."""

    def mistake(url: str) -> tuple:
        with pytest.raises(Exception) as raised:
            openai_client(url).chat.completions.create(model="any", messages=None)
        error = raised.value
        return type(error), error.status_code, error.body

    _, direct, through = both
    assert mistake(through) == mistake(direct)


def _without_ids(events: list) -> list[dict]:
    """What is the same each time: not ids, not times, not what a server found in its cache."""
    return [event.model_dump(exclude=CHANGING) for event in events]
