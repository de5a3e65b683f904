"""The figures of a report, drawn once for all formats that show them: they take most of a report's time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from amply_capacity.report import figures, replica_figures
from amply_capacity.report.document import Document
from amply_capacity.report.look import Picture

__all__ = ["Pictures"]

_OF_PLAN = {
    "memory_bill": figures.memory_bill,
    "memory_by_month": figures.memory_by_month, "cost_by_month": figures.cost_by_month,
    "replica_balance": figures.replica_balance, "replica_by_month": figures.replica_by_month,
}
_OF_REPLICA = {"setups": ("setups", replica_figures.setups), "map": ("map", replica_figures.break_even_map),
               "sensitivity": ("sensitivity", replica_figures.sensitivity)}
"""What of the plan each needs."""
_OF_RUN = {"throughput": figures.throughput, "latency": figures.latency, "knee": figures.knee_of_run}


class Pictures:
    """The figures of one document, drawn when the first is asked for; None for one that it does not have."""

    def __init__(self, document: Document) -> None:
        self._document = document

    @cached_property
    def of_plan(self) -> Mapping[str, Picture | None]:
        """By name."""
        plan = self._document.content["plan"]
        drawn: dict[str, Picture | None] = {name: draw(plan) for name, draw in _OF_PLAN.items()}
        for name, (needed, draw) in _OF_REPLICA.items():
            drawn[f"replica_{name}"] = draw(plan) if plan["replica"][needed] else None
        drawn["headroom"] = figures.headroom(plan) if plan["headroom"] else None
        return drawn | {"strategies": figures.strategies(plan) if plan["strategies"] else None}

    @cached_property
    def of_runs(self) -> Mapping[str, Mapping[str, Picture | None]]:
        """By run, then by name."""
        return {run.name: {name: draw(run) for name, draw in _OF_RUN.items()}
                for run in self._document.recorded}

    def named(self, name: str) -> Picture | None:
        """As a section names it: `headroom`, or `latency of RUN`."""
        figure, _, run = name.partition(" of ")
        return self.of_runs.get(run, {}).get(figure) if run else self.of_plan.get(figure)
