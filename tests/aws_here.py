"""AWS on this machine: the environment that sends boto3 to a local server, with made-up keys."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from price_pages import set_environment

from amply_capacity.aws.import_request import Clients, Outcome, Request
from amply_capacity.aws.production_import import Import
from amply_capacity.aws.resume import Checkpoint
from amply_capacity.aws.session import client
from bench.aws_server import AwsServer

REGION = "us-east-1"


def point_at(monkeypatch: pytest.MonkeyPatch, server: AwsServer | str) -> None:
    """All services of AWS are at that server from here on."""
    set_environment(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server if isinstance(server, str) else server.url)


def request_of(run_dir: Path | None, cache: str | None = "amply-000", days: int = 1,
               period_s: int = 300) -> Request:
    return Request(REGION, cache, days, period_s, run_dir)


def clients() -> Clients:
    """Of the server that the environment names; made once for each, since that takes a second."""
    return _clients(os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_ACCESS_KEY_ID"))


@cache
def _clients(url: str | None, key: str | None) -> Clients:
    return Clients(client("cloudwatch", REGION), client("elasticache", REGION))


def imported(request: Request, told: list[str] | None = None, slept: list[float] | None = None,
             **changes: Any) -> Outcome:
    """Import it against wherever the environment points."""
    words, waits = [] if told is None else told, [] if slept is None else slept
    with Checkpoint(request.as_json()) as checkpoint:
        made = Import(request, changes.get("clients") or clients(), checkpoint, words.append, waits.append)
        return made.carry_out(changes.get("advance") or (lambda points: None))
