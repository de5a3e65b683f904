"""What master and workers tell each other, inside Locust's own messages."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from amply_capacity.load.campaign import Campaign
from amply_capacity.load.options import read_options
from amply_capacity.load.wire import RawBatch
from amply_capacity.target.guard import resolve
from amply_capacity.traffic.population import PopulationShape

if TYPE_CHECKING:
    from locust.env import Environment

__all__ = ["campaign_of_worker", "instruct_workers", "pack", "unpack"]

_KEY = "amply_capacity"


def instruct_workers(parsed: Namespace, campaign: Campaign) -> None:
    """Put what a worker has to know into the options that Locust sends with every spawn. Never a secret."""
    parsed.amply_instructions = json.dumps({
        "url": campaign.endpoint.url, "shape": asdict(campaign.shape),
        "workers": int(parsed.expect_workers), "clients": int(parsed.num_users or 1),
    })


def campaign_of_worker(environment: Environment) -> Campaign:
    """The campaign that the master's instructions describe, for this worker's share of the population."""
    parsed = environment.parsed_options
    instructions = json.loads(parsed.amply_instructions)
    return Campaign(
        read_options(parsed), resolve(instructions["url"]).endpoint, PopulationShape(**instructions["shape"]),
        worker_index=environment.runner.worker_index % instructions["workers"],
        worker_count=instructions["workers"], clients=instructions["clients"],
    )


def pack(batch: RawBatch, data: dict[str, Any]) -> None:
    """Add a batch to the data of Locust's report to the master."""
    data[_KEY] = asdict(batch)


def unpack(data: dict[str, Any]) -> RawBatch | None:
    """The batch in a worker's report; None where there is none."""
    packed = data.get(_KEY)
    if packed is None:
        return None
    return RawBatch(
        labels=[tuple(label) for label in packed["labels"]],
        seconds=[(second, samples) for second, samples in packed["seconds"]],
        accesses=[tuple(access) for access in packed["accesses"]],
        errors=[tuple(error) for error in packed["errors"]],
        events=packed["events"],
    )
