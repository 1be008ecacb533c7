"""The OpenAI SDK through Cyan: answers, typed errors, broken streams, cancellation."""

import asyncio

import httpx2 as httpx
import openai
import pytest
from harness.process import wait_until
from openai import AsyncOpenAI, OpenAI

QUESTION = {"model": "mock-llm", "messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture
def client(cyan) -> OpenAI:
    """One that does not hide failures by asking again."""
    return OpenAI(base_url=f"{cyan.url}/v1", api_key="none", max_retries=0, timeout=20)


def test_whole_answers_arrive(client, mock):
    raw = client.chat.completions.with_raw_response.create(**QUESTION)
    answer = raw.parse()
    assert raw.headers["x-deployment"] == "blue"
    assert answer.choices[0].message.content.startswith("blue ")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 20


def test_streams_arrive_in_pieces_and_whole(client, mock):
    options = {"include_usage": True}
    events = list(client.chat.completions.create(**QUESTION, stream=True, stream_options=options))
    pieces = [c.delta.content for event in events for c in event.choices if c.delta.content]
    assert len(pieces) == 20
    assert "".join(pieces).startswith("blue ")
    assert events[-1].usage.completion_tokens == 20
    reasons = [choice.finish_reason for event in events for choice in event.choices]
    assert reasons[-1] == "stop"


def test_completions_responses_embeddings_and_models_arrive(client, mock):
    completion = client.completions.create(model="mock-llm", prompt="Once")
    assert completion.choices[0].text.startswith("blue ")
    assert client.responses.create(model="mock-llm", input="Hi").output_text.startswith("blue ")
    events = list(client.responses.create(model="mock-llm", input="Hi", stream=True))
    assert events[-1].type == "response.completed"
    vectors = client.embeddings.create(model="mock-llm", input="one")
    assert len(vectors.data[0].embedding) > 1
    assert [model.id for model in client.models.list()] == ["mock-llm"]


def test_async_streams_run_side_by_side(cyan, mock):
    async def one(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(**QUESTION, stream=True)
        return "".join([c.delta.content or "" async for e in stream for c in e.choices])

    async def many() -> list[str]:
        async with AsyncOpenAI(base_url=f"{cyan.url}/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(20)))

    texts = asyncio.run(many())
    assert all(text.startswith("blue ") and len(text.split()) == 20 for text in texts)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_errors_of_the_server_keep_their_type(client, mock, status, error, stream):
    mock.set_faults(status=1.0, status_code=status)
    with pytest.raises(error) as raised:
        client.chat.completions.create(**QUESTION, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.body["message"], "the server's own words arrive"
    assert raised.value.response.headers["x-deployment"] == "blue"


def test_mistakes_of_the_client_are_answered_by_the_server(client, mock):
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="mock-llm", messages=None)
    with pytest.raises(openai.NotFoundError):
        client.get("/nowhere", cast_to=object)


def test_an_error_inside_a_200_is_raised(client, mock):
    mock.set_faults(error_midway=1.0)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**QUESTION, stream=True))


@pytest.mark.parametrize("fault", ["cut", "reset"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_that_breaks_off_is_an_error_and_never_a_short_one(client, mock, fault, stream):
    mock.set_faults(**{fault: 1.0})
    with pytest.raises((openai.APIConnectionError, httpx.TransportError)):
        list(client.chat.completions.create(**QUESTION, stream=stream))


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_stream_that_breaks_off_is_the_sdks_own_error_where_cyan_tells(telling_cyan, mock, fault):
    mock.set_faults(**{fault: 1.0})
    client = OpenAI(base_url=f"{telling_cyan.url}/v1", api_key="none", max_retries=0, timeout=20)
    with pytest.raises(openai.APIError) as raised:
        list(client.chat.completions.create(**QUESTION, stream=True))
    assert raised.value.body["type"] == "proxy_error"
    stream = client.responses.create(model="mock-llm", input="Hello.", stream=True)
    last = list(stream)[-1]
    assert (last.type, last.param) == ("error", None)


def test_a_server_that_closes_without_an_answer_is_a_502(client, mock):
    mock.set_faults(no_answer=1.0)
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(**QUESTION)
    assert raised.value.status_code == 502


def test_closing_a_stream_ends_the_work_at_the_server(client, mock):
    before = mock.stats()["cancelled"]
    stream = client.chat.completions.create(**QUESTION, max_tokens=1, stream=True)
    list(stream)
    assert mock.stats()["cancelled"] == before, "a stream read to its end was not cancelled"
    mock.set_faults(stall=1.0, stall_for="30s")
    stream = client.chat.completions.create(**QUESTION, stream=True)
    next(iter(stream))
    assert mock.stats()["in_flight"] == 1
    stream.close()
    client.close()
    wait_until("the server noticed", lambda: mock.stats()["cancelled"] == before + 1, seconds=2)
    assert mock.stats()["in_flight"] == 0


def test_retries_of_the_sdk_meet_a_server_that_is_well_again(cyan, mock):
    """The SDK asks again by itself after a 503; Cyan neither hinders it nor asks in its place."""
    client = OpenAI(base_url=f"{cyan.url}/v1", api_key="none", max_retries=2, timeout=20)
    mock.set_faults(status=1.0, status_code=503)
    before = mock.stats()["requests"].get("/v1/chat/completions", 0)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**QUESTION)
    assert mock.stats()["requests"]["/v1/chat/completions"] - before == 3
