"""A real gRPC server, Cyan before it, and a real gRPC client."""

from collections.abc import Iterator

import grpc
import pytest
from harness.cyan import Cyan
from rpc.service import LARGE, Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def channel(service: Service, tmp_path) -> Iterator[grpc.Channel]:
    """To Cyan, which speaks HTTP/2 in plain text on both sides."""
    environments, weights = {"blue": [service.url]}, {"blue": 100}
    with Cyan(tmp_path, environments, weights, tables='protocol = "http2"') as cyan:
        with grpc.insecure_channel(cyan.url.removeprefix("http://"), options=LARGE) as channel:
            yield channel
