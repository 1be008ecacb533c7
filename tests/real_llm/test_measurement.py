"""What Cyan says of a real server's answers is what the server says itself."""

import pytest
from conversation import PROMPT
from harness.process import wait_until
from llama_server import openai_client


@pytest.fixture
def cyan(proxy):
    return proxy(blue=100)


def chat(cyan, name: str, **options):
    client = openai_client(cyan.url).with_options(default_headers={"x-request-id": name})
    return client.chat.completions.create(model="any", messages=PROMPT, temperature=0, **options)


def test_tokens_are_those_of_the_usage(cyan):
    usage = {"include_usage": True}
    events = list(chat(cyan, "streamed", stream=True, stream_options=usage))
    line, said = cyan.request("streamed"), events[-1].usage
    assert (line["tokens_in"], line["tokens_out"]) == (said.prompt_tokens, said.completion_tokens)
    assert (line["verdict"], line["finish"], line["inspection"]) == ("complete", "stop", "read")
    assert 0 < line["ttft_ms"] <= line["total_ms"]
    answer = chat(cyan, "whole")
    line, said = cyan.request("whole"), answer.usage
    assert (line["tokens_in"], line["tokens_out"]) == (said.prompt_tokens, said.completion_tokens)
    assert line["verdict"] == "complete"


def test_without_usage_the_timings_of_llama_cpp_tell_the_tokens(cyan):
    usage = {"include_usage": True}
    asked = list(chat(cyan, "asked", stream=True, stream_options=usage))[-1].usage
    list(chat(cyan, "not-asked", stream=True))
    line = cyan.request("not-asked")
    assert line["tokens_out"] == asked.completion_tokens
    assert not line["tokens_out_estimated"]


def test_an_answer_cut_by_the_clients_own_limit_is_length(cyan):
    list(chat(cyan, "cut", stream=True, max_tokens=3))
    chat(cyan, "cut-whole", max_tokens=3)
    for name in ("cut", "cut-whole"):
        line = cyan.request(name)
        assert (line["verdict"], line["finish"]) == ("length", "length")


def test_a_client_that_leaves_is_no_fault_of_the_server(cyan):
    stream = chat(cyan, "left", stream=True, extra_body={"ignore_eos": True, "n_predict": 2000})
    next(iter(stream))
    stream.close()
    wait_until("nothing is in flight", lambda: cyan.environment("blue")["in_flight"] == 0)
    assert cyan.request("left")["verdict"] == "client_gone"
