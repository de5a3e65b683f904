"""Plans as `amply-capacity plan --json` prints them, as far as the contract goes, to be varied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dotted import change

from amply_capacity.files import DATA_DIR
from amply_capacity.ops.export_plan import PlanFile, read_plan
from amply_capacity.plan.demand import load_demand

CHOSEN: dict[str, Any] = {
    "kind": "nodes", "node_type": "cache.t3.small", "engine": "redis", "shards": 1, "replicas": 1,
    "term": "on_demand", "usd_per_month": 49.64,
}


def plan_json(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The example demand's; `changes` go by dotted path, and None takes a key out."""
    chosen = dict(CHOSEN)
    plan: dict[str, Any] = {
        "chosen": chosen, "ranked": [chosen], "excuses": [],
        "replica": {"verdict": "add", "probability": 0.9, "break_even": {}}, "months": [], "evidence": [],
        "demand": load_demand(DATA_DIR / "demand.example.toml").as_json(),
    }
    return change(plan, changes or {})


def plan_file(directory: Path, changes: dict[str, Any] | None = None) -> Path:
    """The same, as a file."""
    path = directory / "plan.json"
    path.write_text(json.dumps(plan_json(changes)))
    return path


def plan_of(directory: Path, changes: dict[str, Any] | None = None) -> PlanFile:
    """The same, read."""
    return read_plan(plan_file(directory, changes))
