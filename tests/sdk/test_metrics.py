"""What `/metrics` says, as Prometheus' own parsers read it."""

import urllib.request
from collections.abc import Iterator

import pytest
from harness.cyan import Cyan
from harness.process import wait_until
from openai import OpenAI
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_classic

READERS = {"text/plain": read_classic, "application/openmetrics-text": read_openmetrics}
BLUE = {"service": "chat", "environment": "blue"}


@pytest.fixture(scope="module")
def cyan(running_mock, tmp_path_factory) -> Iterator[Cyan]:
    """One of its own: cores report once a second, so what other tests asked for might come late."""
    directory = tmp_path_factory.mktemp("cyan")
    with Cyan(directory, {"blue": [running_mock.url]}, {"blue": 100}) as cyan:
        yield cyan


def scrape(cyan, accept: str) -> dict:
    """Every sample, by its name and labels, as the parser for this form sees it."""
    request = urllib.request.Request(f"{cyan.admin}/metrics", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["content-type"].startswith(accept)
        text = answer.read().decode()
    families = list(READERS[accept](text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    samples = [sample for family in families for sample in family.samples]
    by_name = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(by_name) == len(samples), "no sample is there twice"
    return by_name


@pytest.mark.parametrize("accept", READERS)
def test_a_real_parser_reads_every_sample(cyan, mock, accept):
    def value(name: str, **labels: str) -> float:
        return scrape(cyan, accept)[name, frozenset((BLUE | labels).items())]

    def completed() -> float:
        return value("cyan_requests_total", verdict="complete")

    before = completed()
    output = value("gen_ai_client_token_usage_sum", gen_ai_token_type="output")
    gaps = value("gen_ai_client_operation_time_per_output_chunk_seconds_count")
    client = OpenAI(base_url=f"{cyan.url}/v1", api_key="none", max_retries=0, timeout=20)
    question = {"model": "mock-llm", "messages": [{"role": "user", "content": "Hello."}]}
    list(client.chat.completions.create(**question, stream=True))
    wait_until("the stream is counted", lambda: completed() == before + 1)
    assert value("gen_ai_client_token_usage_sum", gen_ai_token_type="output") == output + 20
    assert value("gen_ai_client_operation_time_per_output_chunk_seconds_count") == gaps + 19
    everything = value("gen_ai_server_request_duration_seconds_bucket", le="+Inf")
    assert everything == value("gen_ai_server_request_duration_seconds_count")
