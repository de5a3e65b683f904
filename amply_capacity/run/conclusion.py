"""What a run's own tables tell about its recording, once it has ended, however it ended."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from amply_capacity.run.bottleneck import bottleneck_rows, bottlenecks
from amply_capacity.run.phase import phase_seconds
from amply_capacity.run.worker_events import LOST, REJOINED

__all__ = ["conclusion", "with_details"]


def conclusion(events: pd.DataFrame, requests: pd.DataFrame,
               arrivals: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts for the manifest, and rows to add to `events`, whose details are JSON as in the table.

    `generator_bound_seconds`: Unix seconds of the measured phase in which the generator was the bottleneck;
    absent where no process noted anything of itself. `lost_workers`: the details of the workers that were
    lost and did not come back.
    """
    events = with_details(events)
    facts: dict[str, Any] = {"lost_workers": _lost_workers(events)}
    phase = phase_seconds(events, requests)
    noted = events[(events["kind"] == "generator") & (events["name"] == "load")]
    if phase is None or noted.empty:
        return facts, []
    found = bottlenecks(events, requests, arrivals, *phase)
    facts["generator_bound_seconds"] = sorted({one.second for one in found})
    return facts, bottleneck_rows(found)


def with_details(events: pd.DataFrame) -> pd.DataFrame:
    """The events with their details as dicts."""
    return events.assign(detail=events["detail"].map(json.loads))


def _lost_workers(events: pd.DataFrame) -> list[dict[str, Any]]:
    lost: dict[str, dict[str, Any]] = {}
    for name, detail in zip(events["name"], events["detail"], strict=True):
        if name == LOST:
            lost[detail["worker_id"]] = detail
        elif name == REJOINED:
            lost.pop(detail["worker_id"], None)
    return list(lost.values())
