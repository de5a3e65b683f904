"""One local stand-in for AWS per test process, as new for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aws_here import point_at

from bench.aws_server import AwsServer, fleet


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    with AwsServer(fleet(4)) as made:
        yield made


@pytest.fixture
def server(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """Four clusters in whatever region is asked, and nothing that goes wrong."""
    aws_server.reset(fleet(4))
    point_at(monkeypatch, aws_server)
    return aws_server
