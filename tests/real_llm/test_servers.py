"""What the real servers do without a proxy: the ground that the other tests stand on.

If one of these fails, the fixture is not what the others take it for, and what they say about Cyan
means nothing.
"""

import asyncio
import re

import pytest
from conversation import PROMPT, Stream, ask
from llama_server import LlamaServer, async_openai_client
from models import BAD, BLUE, GREEN, QUESTIONS
from openai import APIConnectionError


@pytest.mark.parametrize("model", [BLUE, GREEN, BAD], ids=lambda model: model.name)
def test_every_answer_begins_with_name_and_version(servers, model):
    answer = servers[model.name].client().chat.completions.create(model="any", messages=PROMPT)
    text = answer.choices[0].message.content
    assert text.startswith(f"{model.name} v{model.version} ")
    assert " 🦀" in text and "é" in text
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", [BLUE, GREEN, BAD], ids=lambda model: model.name)
def test_an_evaluation_arrives_at_the_score_that_was_built_in(servers, model):
    client = servers[model.name].client()
    right = 0
    for question in QUESTIONS:
        answer = ask(client, content=f"What is {question}? Answer:")
        total = sum(int(digit) for digit in question.split("+"))
        right += re.findall(r"\d+", answer.text)[:1] == [str(total)]
    assert right == model.right


def test_sigterm_leaves_a_running_stream_without_an_end(model_files, tmp_path):
    """It freezes for as long as its client stays, or is cut; vLLM does the same."""

    async def watch(server: LlamaServer) -> None:
        stream = await Stream.open(async_openai_client(server.url), "anyone")
        await stream.read(5)
        server.terminate()
        with pytest.raises((TimeoutError, APIConnectionError)):
            await asyncio.wait_for(stream.read_all(), 3)
        assert stream.finish_reason is None
        await stream.close()

    with LlamaServer("blue", model_files["blue"], tmp_path) as server:
        asyncio.run(watch(server))
        server.process.wait_exit(5)
