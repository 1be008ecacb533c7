"""The quality gate with a real suite: pytest asks the candidate through Cyan, and Cyan reads its report."""

import json
import sys

import pytest
from harness.cyan import Cyan
from harness.process import wait_until
from mock_llm import MockLlm

SUITE = """
import os

import pytest
from openai import OpenAI

client = OpenAI(
    api_key="none",
    base_url=os.environ["CYAN_BASE_URL"] + "/v1",
    default_headers={os.environ["CYAN_FORCE_HEADER"]: os.environ["CYAN_FORCE_VALUE"]},
)


@pytest.mark.parametrize("number", range(20))
def test_answer(number):
    question = [{"role": "user", "content": f"What is {number} + 1?"}]
    answer = client.chat.completions.create(model="mock", messages=question)
    words = answer.choices[0].message.content
    assert words if number else words == "an answer that no emulated model gives"
"""


@pytest.mark.parametrize(
    ("options", "form"),
    [(["--json-report", "--json-report-file"], "pytest"), (["--junitxml"], "junit")],
)
def test_pytest_evaluates_the_candidate(options, form, tmp_path):
    suite, result = tmp_path / "test_suite.py", tmp_path / "result"
    suite.write_text(SUITE)
    arguments = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", *options, str(result)]
    program = [sys.executable, "-m", "pytest", *arguments, str(suite)]
    service = f"""
        force.secret = "a secret of thirty-two characters"
        rollout.quality.exec = {json.dumps(program)}
        rollout.quality.result_file = "{result}"
        rollout.quality.cases_min = 20
    """
    with (
        MockLlm("blue", tmp_path) as blue,
        MockLlm("green", tmp_path) as green,
        Cyan(
            tmp_path / "cyan",
            {"blue": [blue.url], "green": [green.url]},
            {"blue": 100, "green": 0},
            candidate="green",
            service=service,
        ) as cyan,
    ):
        report = json.loads(cyan.cli("evaluate", "green", "--json"))
        assert report["outcome"] == "passed", report
        assert report["explanation"] == "0.95, 19 of 20 cases passed, 0.85 needed"
        expected = {"format": form, "score": 0.95, "cases": 20, "passed": 19}
        assert report["evaluation"]["result"] == expected
        environment = "/v1/services/chat/environments/{}"

        def requests(name: str) -> int:
            stats = cyan.ask("GET", environment.format(name) + "/stats?window=start")
            return stats["requests"]

        wait_until("green is counted", lambda: requests("green") == 20)
        assert requests("blue") == 0, "the candidate was asked and nobody else"
        cohorts = cyan.ask("GET", environment.format("green") + "/cohorts")["cohorts"]
        assert sum(cohort["began"] for cohort in cohorts) == 0, "none of it is evidence"
