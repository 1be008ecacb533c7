"""Whatever a client does and whatever the server does: through Cyan it is the same as without.

Each call is made twice, once at the emulated server itself and once through Cyan, and what the SDK made of it
is compared: the answer, every event of the stream, or the exception with its type, status and words. Cyan has to
have understood it, too: its verdict on the exchange is held against what the server was told to do.
"""

import itertools
import json
from collections.abc import Callable

import anthropic
import openai
import pytest

PROMPT = [{"role": "user", "content": "Hello."}]
NUMBERS = itertools.count()

CALLS: dict[str, Callable] = {
    "chat": lambda o, a: o.chat.completions.create(model="m", messages=PROMPT),
    "chat streamed": lambda o, a: o.chat.completions.create(
        model="m", messages=PROMPT, stream=True, stream_options={"include_usage": True}
    ),
    "completions": lambda o, a: o.completions.create(model="m", prompt="Once"),
    "completions streamed": lambda o, a: o.completions.create(model="m", prompt="Once", stream=True),
    "responses": lambda o, a: o.responses.create(model="m", input="Hi"),
    "responses streamed": lambda o, a: o.responses.create(model="m", input="Hi", stream=True),
    "messages": lambda o, a: a.messages.create(model="m", messages=PROMPT, max_tokens=50),
    "messages streamed": lambda o, a: a.messages.create(
        model="m", messages=PROMPT, max_tokens=50, stream=True
    ),
    "embeddings": lambda o, a: o.embeddings.create(model="m", input="one"),
}

FAULTS = {
    "none": ({}, {"complete"}),
    "status 400": ({"status": 1.0, "status_code": 400}, {"http_error"}),
    "status 429": ({"status": 1.0, "status_code": 429}, {"http_error"}),
    "status 503": ({"status": 1.0, "status_code": 503}, {"http_error"}),
    "an error at first": ({"error_first": 1.0}, {"error_in_band"}),
    "an error midway": ({"error_midway": 1.0}, {"error_in_band"}),
    "cut": ({"cut": 1.0}, {"truncated"}),
    "reset": ({"reset": 1.0}, {"aborted_by_server", "truncated"}),
    "ended too early": ({"truncate": 1.0}, {"truncated"}),
    "empty": ({"empty": 1.0}, {"empty"}),
}

NOT_STREAMED_WORDS = {"embeddings"}
"""The emulator answers these with a status or a vector; faults of words do not concern it."""

BROKEN = {"ReadError", "RemoteProtocolError"}
"""Two names for a connection that broke: reset, or closed before the end. Cyan passes on that, not which."""

CHANGING = {"id", "created", "created_at", "item_id", "response_id", "_request_id", "obfuscation"}


def plain(value: object) -> object:
    """A model of an SDK as plain values, without what differs between two equal answers."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", warnings=False)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in CHANGING}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def outcome(url: str, call: Callable, request_id: str) -> tuple:
    """What an SDK makes of one call: everything that came, and how it ended."""
    headers = {"x-request-id": request_id}
    common = {"api_key": "none", "max_retries": 0, "timeout": 20, "default_headers": headers}
    events: list = []
    with openai.OpenAI(base_url=f"{url}/v1", **common) as first:
        with anthropic.Anthropic(base_url=url, **common) as second:
            try:
                answer = call(first, second)
                if hasattr(answer, "__next__"):
                    events.extend(plain(event) for event in answer)
                    return events, "whole"
                return [plain(answer)], "whole"
            except Exception as error:  # whatever it is, it has to be the same
                status = getattr(error, "status_code", None)
                body = json.dumps(plain(getattr(error, "body", None)), sort_keys=True)
                kind = type(error).__name__
                return events, ("broken" if kind in BROKEN else kind, status, body)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_it_is_the_same_as_without(cyan, mock, call, fault):
    faults, verdicts = FAULTS[fault]
    if call in NOT_STREAMED_WORDS and "status" not in faults:
        faults, verdicts = FAULTS["none"]
    mock.set_faults(**faults)
    name = f"same-{next(NUMBERS)}"
    direct = outcome(mock.url, CALLS[call], name)
    assert outcome(cyan.url, CALLS[call], name) == direct
    line = cyan.request(name)
    assert line["verdict"] in verdicts, (line, direct[1])
