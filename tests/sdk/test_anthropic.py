"""The Anthropic SDK through Cyan: answers, typed errors, broken streams, cancellation."""

import asyncio

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic
from harness.process import wait_until

QUESTION = {
    "model": "mock-llm",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello."}],
}


@pytest.fixture
def client(cyan) -> Anthropic:
    """One that does not hide failures by asking again."""
    return Anthropic(base_url=cyan.url, api_key="none", max_retries=0, timeout=20)


def test_whole_answers_arrive(client, mock):
    raw = client.messages.with_raw_response.create(**QUESTION)
    answer = raw.parse()
    assert raw.headers["x-deployment"] == "blue"
    assert answer.content[0].text.startswith("blue ")
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == 20


def test_streams_arrive_in_pieces_and_whole(client, mock):
    with client.messages.stream(**QUESTION) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) == 20
    assert message.content[0].text == "".join(pieces)
    assert message.stop_reason == "end_turn"


def test_async_streams_run_side_by_side(cyan, mock):
    async def one(client: AsyncAnthropic) -> str:
        async with client.messages.stream(**QUESTION) as stream:
            return await stream.get_final_text()

    async def many() -> list[str]:
        async with AsyncAnthropic(base_url=cyan.url, api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(20)))

    texts = asyncio.run(many())
    assert all(text.startswith("blue ") and len(text.split()) == 20 for text in texts)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_errors_of_the_server_keep_their_type(client, mock, status, error):
    mock.set_faults(status=1.0, status_code=status)
    with pytest.raises(error) as raised:
        client.messages.create(**QUESTION)
    assert raised.value.status_code == status
    assert raised.value.body["error"]["message"], "the server's own words arrive"


def test_an_error_inside_a_200_is_raised(client, mock):
    mock.set_faults(error_midway=1.0)
    with pytest.raises(anthropic.APIStatusError), client.messages.stream(**QUESTION) as stream:
        stream.get_final_message()


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_stream_that_breaks_off_is_an_error_and_never_a_short_answer(client, mock, fault):
    mock.set_faults(**{fault: 1.0})
    broken = pytest.raises((anthropic.APIConnectionError, httpx.TransportError))
    with broken, client.messages.stream(**QUESTION) as stream:
        stream.get_final_message()


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_stream_that_breaks_off_is_the_sdks_own_error_where_cyan_tells(telling_cyan, mock, fault):
    mock.set_faults(**{fault: 1.0})
    client = Anthropic(base_url=telling_cyan.url, api_key="none", max_retries=0, timeout=20)
    with pytest.raises(anthropic.APIStatusError) as raised, client.messages.stream(**QUESTION) as s:
        s.get_final_message()
    assert raised.value.body["error"]["type"] == "api_error"


def test_leaving_a_stream_ends_the_work_at_the_server(client, mock):
    before = mock.stats()["cancelled"]
    mock.set_faults(stall=1.0, stall_for="30s")
    with client.messages.stream(**QUESTION) as stream:
        next(iter(stream.text_stream))
        assert mock.stats()["in_flight"] == 1
    client.close()
    wait_until("the server noticed", lambda: mock.stats()["cancelled"] == before + 1, seconds=2)
