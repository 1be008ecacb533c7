"""Cyan keeps every MUST of the table, with either engine. The other proxies are for the one command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.cases import CASES
from conformance.peers import Peer


@pytest.fixture(scope="module", params=["cyan", "cyan-hyper"])
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Peer]:
    directory: Path = tmp_path_factory.mktemp("conformance")
    with Peer(request.param, directory) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(peer: Peer, case) -> None:
    if not peer.plays(case):
        return
    result = peer.run(case)
    assert result.problem is None or not case.must, f"{result.problem} (seen: {result.text})"
