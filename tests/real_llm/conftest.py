"""Blue, green and bad as real servers, once per run, and a fresh Cyan before them for each test."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import models
import pytest
from harness.cyan import Cyan
from llama_server import LlamaServer

MODEL_FILES = Path(os.environ["CYAN_MODELS"])
"""Where the model files are kept between runs; `./test --real-llm` names it."""


@pytest.fixture(scope="session")
def model_files() -> dict[str, Path]:
    """The file of each model."""
    written = (models.BLUE, models.GREEN, models.BAD)
    return {model.name: models.write(model, MODEL_FILES) for model in written}


@pytest.fixture(scope="session")
def servers(model_files, tmp_path_factory) -> Iterator[dict[str, LlamaServer]]:
    """Blue, green and bad, ready. Tests that end a server start one of their own."""
    logs = tmp_path_factory.mktemp("llama-server")
    with ExitStack() as running:
        yield {
            name: running.enter_context(LlamaServer(name, file, logs))
            for name, file in model_files.items()
        }


@pytest.fixture
def proxy(servers, tmp_path) -> Iterator[Callable[..., Cyan]]:
    """Starts Cyan before the three servers with these weights: `proxy(blue=95, green=5)`."""
    with ExitStack() as running:

        def start(candidate: str | None = None, **weights: int) -> Cyan:
            upstreams = {name: [server.url] for name, server in servers.items()}
            cyan = Cyan(tmp_path, upstreams, weights, candidate=candidate)
            return running.enter_context(cyan)

        yield start
