"""The admin API keeps to its own document, whatever it is sent.

A fuzzer reads the document and makes up calls that follow it and calls that break it. It looks for
answers that are not described, of another type or form; for 5xx; for calls that should have been
refused and were not, by schema, method, or token.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cyan import Cyan
from mock_llm import MockLlm

SETTINGS = Path(__file__).with_name("schemathesis.toml")
SECONDS_MAX = 110
TOKEN = "a-token-of-the-fuzzer"

# Every call finds something to do: smoke tests, a quality gate, a plan.
TABLES = f"""
    [admin.tokens.fuzzer]
    token = "{TOKEN}"
    role = "operate"
    [service.chat.force]
    trusted = "127.0.0.1"
    [service.chat.rollout]
    steps = ["1%", "100%"]
    [service.chat.rollout.smoke.health]
    path = "/health"
    [service.chat.rollout.quality]
    threshold = 0.5
    exec = ["/bin/echo", '{{"score": 0.9, "cases": 40}}']
"""


@pytest.fixture
def cyan(tmp_path) -> Iterator[Cyan]:
    with MockLlm("blue", tmp_path) as blue, MockLlm("green", tmp_path) as green:
        environments = {"blue": [blue.url], "green": [green.url]}
        with Cyan(tmp_path, environments, {"blue": 100}, tables=TABLES) as cyan:
            yield cyan


def test_the_api_is_as_its_document_says(cyan):
    fuzzer = Path(sys.executable).with_name("schemathesis")
    command = [fuzzer, "--config-file", SETTINGS, "--no-color", "run"]
    command += [f"{cyan.admin}/v1/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"]
    command += ["--checks", "all"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}\n{cyan.process.log_end()}"
    assert cyan.process.is_running
