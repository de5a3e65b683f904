"""What master and workers tell each other, inside Locust's own messages."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from amply_capacity.load.campaign import Campaign
from amply_capacity.load.options import read_options
from amply_capacity.load.wire import Batch
from amply_capacity.target.guard import resolve
from amply_capacity.traffic.population import PopulationShape

if TYPE_CHECKING:
    from locust.env import Environment

__all__ = ["campaign_of_worker", "clients_and_through", "instruct_workers", "pack", "sent_s", "unpack"]

_KEY = "amply_capacity"


def instruct_workers(parsed: Namespace, campaign: Campaign, count: int, shares: Mapping[str, int]) -> None:
    """Put what a worker has to know into the options that Locust sends with every spawn. Never a secret.

    The population is divided into `count` shares; `shares` says which a worker plays, by Locust's id of it.
    """
    parsed.amply_instructions = json.dumps({
        "url": campaign.target.endpoint.url, "topology": campaign.topology,
        "shape": asdict(campaign.shape), "workers": count,
        "shares": dict(shares), "clients": int(parsed.num_users or 1),
        "peak_to_mean": campaign.peak_to_mean, "day_seconds": campaign.options.day_seconds,
        "rate": campaign.rate,
    })


def campaign_of_worker(environment: Environment) -> Campaign:
    """The campaign that the master's instructions describe, for this worker's share of the population.

    Raises AmplyError where this host cannot use the target, e.g. without its password.
    """
    parsed, runner = environment.parsed_options, environment.runner
    instructions = json.loads(parsed.amply_instructions)
    share = instructions["shares"].get(runner.client_id, runner.worker_index % instructions["workers"])
    # Of Locust's own options it sends none: a day as long as the run would be one of the default here.
    options = replace(read_options(parsed), day_seconds=instructions["day_seconds"],
                      rate=instructions["rate"])  # which a search may have changed before it joined
    return Campaign(
        options, resolve(instructions["url"]), PopulationShape(**instructions["shape"]),
        topology=instructions["topology"], worker_index=share, worker_count=instructions["workers"],
        clients=instructions["clients"],
        peak_to_mean=instructions["peak_to_mean"],
    )


def pack(batch: Batch, data: dict[str, Any], clients: int = 0, through: int = 0) -> None:
    """Add a batch to the data of Locust's report to the master, and when it was sent.

    Of so many `clients` that the worker has started, so many are `through` with their share of
    `--iterations`.
    """
    # Not `asdict`: it copies every field of every access, 6 ms a second in which the clients would wait.
    fields_of = {one.name: getattr(batch, one.name) for one in fields(batch)}
    data[_KEY] = {"sent_s": time.time(), "clients": clients, "through": through, **fields_of}


def unpack(data: dict[str, Any]) -> Batch | None:
    """The batch in a worker's report; None where there is none."""
    packed = data.get(_KEY)
    if packed is None:
        return None
    # What was a tuple before msgpack made it a list.
    tuples = {name: list(map(tuple, packed[name])) for name in ("counts", "accesses", "errors", "offered")}
    labels = [tuple(map(tuple, label)) for label in packed["labels"]]
    return Batch(labels=labels, events=packed["events"], **tuples)


def sent_s(data: dict[str, Any]) -> float | None:
    """When the report was sent, Unix time by the worker's clock; None where it does not say."""
    return (data.get(_KEY) or {}).get("sent_s")


def clients_and_through(data: dict[str, Any]) -> tuple[int, int]:
    """How many clients the worker that sent the report has, and how many have played their share."""
    packed = data.get(_KEY) or {}
    return int(packed.get("clients", 0)), int(packed.get("through", 0))
