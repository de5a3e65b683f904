"""What master and workers tell each other, inside Locust's own messages."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from amply_capacity.load.campaign import Campaign
from amply_capacity.load.options import read_options
from amply_capacity.load.recorder import Batch
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


def pack(batch: Batch, data: dict[str, Any]) -> None:
    """Add a batch to the data of Locust's report to the master."""
    data[_KEY] = {"requests": _to_bytes(batch.requests), "accesses": _to_bytes(pd.DataFrame(batch.accesses)),
                  "events": batch.events}


def unpack(data: dict[str, Any]) -> Batch | None:
    """The batch in a worker's report; None where there is none."""
    packed = data.get(_KEY)
    if packed is None:
        return None
    accesses: list[dict[str, Any]] = _from_bytes(packed["accesses"]).to_dict("records")  # type: ignore[assignment]
    return Batch(_from_bytes(packed["requests"]), accesses, packed["events"])


def _to_bytes(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _from_bytes(packed: bytes) -> pd.DataFrame:
    with pa.ipc.open_stream(packed) as stream:
        frame: pd.DataFrame = stream.read_all().to_pandas()
    return frame
