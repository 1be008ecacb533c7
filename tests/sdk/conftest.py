"""An emulated LLM server behind Cyan, started once for all tests of the SDKs."""

from collections.abc import Iterator

import pytest
from harness.cyan import Cyan
from mock_llm import MockLlm


@pytest.fixture(scope="session")
def running_mock(tmp_path_factory) -> Iterator[MockLlm]:
    with MockLlm("blue", tmp_path_factory.mktemp("mock")) as mock:
        yield mock


@pytest.fixture(scope="session")
def cyan(running_mock, tmp_path_factory) -> Iterator[Cyan]:
    directory = tmp_path_factory.mktemp("cyan")
    with Cyan(directory, {"blue": [running_mock.url]}, {"blue": 100}) as cyan:
        yield cyan


@pytest.fixture(scope="session")
def telling_cyan(running_mock, tmp_path_factory) -> Iterator[Cyan]:
    """One that tells of a stream that breaks off, in the words of its API."""
    directory, service = tmp_path_factory.mktemp("telling"), 'stream_errors = "event"'
    with Cyan(directory, {"blue": [running_mock.url]}, {"blue": 100}, service=service) as cyan:
        yield cyan


@pytest.fixture
def mock(running_mock) -> Iterator[MockLlm]:
    """The emulated server, without faults before and after each test."""
    running_mock.set_faults()
    yield running_mock
    running_mock.set_faults()
