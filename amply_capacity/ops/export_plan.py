"""`plan.json`, as `amply-capacity plan --json` prints it: what was chosen, and the demand that it is for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_types
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["NODES", "SERVERLESS", "PlanFile", "Today", "read_plan"]

NODES, SERVERLESS = "nodes", "serverless"
_ENGINES = ("redis", "valkey")
_QUARTER_MONTHS = 3
_MOST = 1e15
_AGAIN = "make it again: amply-capacity plan --run RUN --demand demand.toml --json > plan.json"


@dataclass(frozen=True, slots=True)
class Today:
    """What runs today, by the demand."""

    engine: str
    node_type: str
    replicas: int
    term: str


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What of a plan infrastructure and alarms need. Quantities are intervals, a known one exact."""

    kind: str
    node: NodeType | None
    """None for Serverless."""
    engine: str
    shards: int
    replicas: int
    term: str
    usd_per_month: float
    region: str
    reserved_memory_percent: float
    today: Today
    growth_percent_per_month: Interval
    review_months: int
    """Until the plan is made again."""
    tasks: Interval
    workers_per_task: Interval
    pool_size: Interval
    tasks_grow: bool
    """With the users."""
    hit_rate_percent: Interval
    evictions_per_minute: Interval
    free_memory_percent: Interval
    replication_lag_s: Interval
    p99_ms: Mapping[str, Interval]
    """By use case."""

    @property
    def nodes(self) -> int:
        """Of all shards, replicas included; 0 for Serverless."""
        return self.shards * (1 + self.replicas) if self.kind == NODES else 0


def read_plan(path: Path) -> PlanFile:
    """Raises BadInput, naming all that is wrong, for a file that is none, is broken or of another version."""
    plan = _load(path)
    fields = _Fields(plan)
    kind = fields.text("chosen.kind", (NODES, SERVERLESS))
    on_nodes = kind != SERVERLESS
    found: dict[str, Any] = {
        "kind": kind,
        "node": fields.node_type("chosen.node_type") if on_nodes else None,
        "engine": fields.text("chosen.engine", _ENGINES),
        "shards": fields.whole("chosen.shards", 1, 500) if on_nodes else 0,
        "replicas": fields.whole("chosen.replicas", 0, 5) if on_nodes else 0,
        "term": fields.text("chosen.term"),
        "usd_per_month": fields.quantity("chosen.usd_per_month").mid,
        "region": fields.text("demand.cluster.region"),
        "reserved_memory_percent": fields.quantity("demand.cluster.reserved_memory_percent").mid,
        "today": Today(
            engine=fields.text("demand.cluster.engine", _ENGINES),
            node_type=fields.text("demand.cluster.node_type"),
            replicas=fields.whole("demand.cluster.replicas", 0, 5), term=fields.text("demand.cluster.term")),
        "growth_percent_per_month": fields.quantity("demand.users.growth_percent_per_month", least=-100.0),
        "review_months": fields.whole("demand.plan.review_months", 1, 12, default=_QUARTER_MONTHS),
        "tasks": fields.quantity("demand.connections.tasks"),
        "workers_per_task": fields.quantity("demand.connections.workers_per_task"),
        "pool_size": fields.quantity("demand.connections.pool_size"),
        "tasks_grow": fields.flag("demand.connections.grow_with_users"),
        "hit_rate_percent": fields.quantity("demand.slo.hit_rate_percent", most=100.0),
        "evictions_per_minute": fields.quantity("demand.slo.evictions_per_minute"),
        "free_memory_percent": fields.quantity("demand.slo.free_memory_percent", most=95.0),
        "replication_lag_s": fields.quantity("demand.failures.replication_lag_seconds"),
        "p99_ms": {name: fields.quantity(f"demand.slo.p99_ms.{name}")
                   for name in fields.names("demand.slo.p99_ms")},
    }
    if fields.faults:
        raise BadInput(f"the plan {path} is broken, or was made by another version",
                       got="; ".join(fields.faults), do=_AGAIN)
    return PlanFile(**found)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("there is no such plan", got=str(path), do=_AGAIN) from None
    except OSError as error:
        raise BadInput("the plan cannot be read", got=f"{path}: {error.strerror}",
                       do="name a file that may be read") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadInput("the plan is no JSON", got=f"{path}: {error}", do=_AGAIN) from None
    if not isinstance(plan, dict) or "chosen" not in plan:
        is_report = isinstance(plan, dict) and isinstance(plan.get("plan"), dict)
        what = "is a report: the plan lies in it under plan" if is_report else "says nothing under chosen"
        raise BadInput("this is no plan", got=f"{path} {what}", do=_AGAIN)
    return plan


class _Fields:
    """Reads values by dotted path; what is missing or wrong becomes a fault, and any value of its kind."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan = plan
        self.faults: list[str] = []

    def _at(self, path: str) -> Any:
        value: Any = self._plan
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _fault(self, path: str, wanted: str) -> None:
        value = self._at(path)
        self.faults.append(f"{path} is missing" if value is None
                           else f"{path} is {value!r:.60}, not {wanted}")

    def text(self, path: str, known: tuple[str, ...] = ()) -> str:
        value = self._at(path)
        if isinstance(value, str) and value and (not known or value in known):
            return value
        self._fault(path, " or ".join(known) or "a text")
        return ""

    def node_type(self, path: str) -> NodeType | None:
        found = next((node for node in node_types() if node.name == self._at(path)), None)
        if found is None:
            self._fault(path, "a node type of the catalog")
        return found

    def whole(self, path: str, least: int, most: int, default: int | None = None) -> int:
        value = self._at(path)
        if value is None and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self._fault(path, f"a whole number from {least} to {most}")
        return least

    def flag(self, path: str) -> bool:
        value = self._at(path)
        if not isinstance(value, bool):
            self._fault(path, "true or false")
        return value is True

    def names(self, path: str) -> tuple[str, ...]:
        value = self._at(path)
        if not isinstance(value, dict) or not value:
            self._fault(path, "a table")
            return ()
        return tuple(value)

    def quantity(self, path: str, least: float = 0.0, most: float = math.inf) -> Interval:
        value = self._at(path)
        names = ("low", "mid", "high")
        bounds: list[Any] = [value.get(name) for name in names] if isinstance(value, dict) else [value] * 3
        if all(_is_number(bound) and least <= bound <= most for bound in bounds) and bounds == sorted(bounds):
            return Interval(*map(float, bounds))
        self._fault(path, f"a number from {least:g}" + (f" to {most:g}" if most < math.inf else "")
                    + ", or its low, mid and high")
        return Interval.exact(0.0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST < value < _MOST
