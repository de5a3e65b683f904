"""The plan: from measured runs and a demand to the node type, the replica, the upgrades and the money.

First form: one shard of nodes in today's engine and term. Everything that it rests on is in it: the runs, the
assumptions, and why each other node type was not chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from amply_capacity.catalog import nodes, prices
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.assumptions import Assumption, assumptions
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.candidates import Excuse, bill_for, candidates
from amply_capacity.plan.cost import Bill, SpecRow, spec_table
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.fit import Fit, fit_of
from amply_capacity.plan.measured import Measured, measured
from amply_capacity.plan.objectives import Objective, objectives
from amply_capacity.plan.projection import Month, Upgrade, month_names, path, projection, upgrades
from amply_capacity.plan.replicas import ReplicaDecision, avoided_usd_per_month, decide
from amply_capacity.plan.sizing import UNITS, Needs, fits, needs
from amply_capacity.plan.today import Today, today
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds

__all__ = ["SCHEMA", "Plan", "Ranked", "make_plan"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node type that fits, with what it costs at the chosen number of replicas."""

    fit: Fit
    bill: Bill

    def as_json(self) -> dict[str, Any]:
        left = self.fit.binding.share_left
        return {
            "kind": "nodes",
            "node_type": self.bill.node_type,
            "engine": self.bill.engine,
            "shards": self.bill.shards,
            "replicas": self.bill.replicas,
            "term": self.bill.term,
            "usd_per_month": self.bill.usd_per_month,
            "region": self.bill.region,
            "probability": round(self.fit.probability, 4),
            "binding": self.fit.binding.constraint,
            "headroom_percent": None if left is None else round(100.0 * left, 2),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """`ranked[0]` is the chosen one; `fit` of each is that of the first month."""

    ranked: tuple[Ranked, ...]
    excuses: tuple[Excuse, ...]
    replica: ReplicaDecision
    months: tuple[Month, ...]
    upgrades: tuple[Upgrade, ...]
    today: Today
    alternatives: tuple[dict[str, Any], ...]
    objectives: tuple[Objective, ...]
    assumptions: tuple[Assumption, ...]
    needs: Needs
    figures: Measured
    demand: Demand
    spec_table: tuple[SpecRow, ...]
    start: date
    worlds: Worlds

    @property
    def chosen(self) -> Ranked:
        return self.ranked[0]

    def as_json(self) -> dict[str, Any]:
        """The object that `amply-capacity plan --json` prints."""
        return {
            "schema": SCHEMA,
            "chosen": self.chosen.as_json(),
            "ranked": [ranked.as_json() for ranked in self.ranked],
            "excuses": [excuse.as_json() for excuse in self.excuses],
            "replica": self.replica.as_json(),
            "months": [month.as_json() for month in self.months],
            "evidence": self.figures.as_json(),
            "upgrades": [upgrade.as_json() for upgrade in self.upgrades],
            "headroom": [headroom.as_json() for headroom in self.chosen.fit.constraints],
            "today": self.today.as_json(),
            "alternatives": list(self.alternatives),
            "objectives": [objective.as_json() for objective in self.objectives],
            "needs": self._needs_by_month(),
            "memory_items": self._memory_items(),
            "bill": self.chosen.bill.as_json(),
            "spec_table": [row.as_json() for row in self.spec_table],
            "assumptions": [assumption.as_json() for assumption in self.assumptions],
            "demand": self.demand.as_json(),
            "start": self.start.isoformat(),
            "worlds": self.worlds.count,
            "seed": self.worlds.seed,
        }

    def _needs_by_month(self) -> list[dict[str, Any]]:
        """The 5 %, 50 % and 95 % worlds' needs of each constraint on the chosen type, month by month."""
        node = nodes.node_type(self.chosen.bill.node_type)
        bands = {name: np.quantile(self.needs.of(node, name), [0.05, 0.5, 0.95], axis=0) for name in UNITS}
        return [
            {"month": month.month, "constraint": name, "unit": UNITS[name]}
            | {key: float(f"{bands[name][row, m + 1]:.6g}") for row, key in enumerate(("low", "mid", "high"))}
            for name in bands for m, month in enumerate(self.months)
        ]

    def _memory_items(self) -> list[dict[str, Any]]:
        """What fills the memory in the first month, each item's own median, biggest first."""
        medians = {name: float(np.median(values[:, 1])) for name, values in self.needs.memory_items.items()}
        biggest_first = sorted(medians.items(), key=lambda item: -item[1])
        return [{"what": name, "bytes": round(value)} for name, value in biggest_first]


def make_plan(evidences: Sequence[Evidence], demand: Demand, *, start: date, worlds: int = 10_000,
              seed: int = 1, calibrations: Sequence[Calibration] = ()) -> Plan:
    """Sizes, prices and projects the demand on the evidence; the first month is the one after `start`.

    The same inputs and seed give the same plan, byte for byte. Raises BadInput where no run is given or
    nothing that is sold fits (with the nearest miss), and BadRun where the runs lack a figure that the demand
    needs.
    """
    figures, drawn = measured(evidences), Worlds(worlds, seed)
    load = workload(demand, drawn)
    need = needs(demand, figures, load, drawn, calibrations)
    sold, excuses = candidates(demand)
    first_fits = [fit_of(candidate.node, demand, need, 1) for candidate in sold]
    start_at = next((i for i, fit in enumerate(first_fits) if fit.is_enough), None)
    if start_at is None:
        raise _nothing_fits(first_fits)

    names = [candidate.node.name for candidate in sold]
    months = month_names(start, demand.plan.horizon_months)
    taken = path([fits(candidate.node, demand, need)[:, 1:] for candidate in sold], start_at)
    node_usd = np.array([candidate.node_usd_per_month for candidate in sold])
    avoided = avoided_usd_per_month(demand, load, drawn)[:, 1:]
    pays = (avoided > node_usd[taken.types]).mean(axis=0)
    replica = decide(demand, sold[start_at].node_usd_per_month, avoided[:, 0],
                     list(zip(months, map(float, pays), strict=True)))

    bills = [bill_for(demand, name, replica.replicas) for name in names]

    def short_of(name: str, row: int) -> str:
        return fit_of(nodes.node_type(name), demand, need, row + 1).binding.constraint

    ranked = tuple(Ranked(fit, bill) for fit, bill in zip(first_fits, bills, strict=True) if fit.is_enough)
    rows = projection(taken, names, [bill.usd_per_month for bill in bills], months)
    return Plan(
        ranked=ranked,
        excuses=(*_excuses(first_fits, bills, ranked[0].bill), *excuses),
        replica=replica,
        months=rows,
        upgrades=upgrades(taken, rows, names, names[start_at], demand.plan.confidence, short_of),
        today=today(demand, need, months),
        alternatives=_alternatives(demand, ranked[0].bill),
        objectives=objectives(demand, figures),
        assumptions=assumptions(demand, figures, calibrations),
        needs=need,
        figures=figures,
        demand=demand,
        spec_table=spec_table(demand.cluster.region),
        start=start,
        worlds=drawn,
    )


def _nothing_fits(tried: Sequence[Fit]) -> BadInput:
    nearest = max(tried, key=lambda fit: (fit.probability, fit.binding.least_left))
    return BadInput("no node type that may be chosen carries this demand on one shard",
                    got=f"nearest is {nearest.node_type}, which {nearest.reason}",
                    do="allow more node types, lower reserved_memory_percent or slo.free_memory_percent, "
                       "or split the users over several clusters")


def _excuses(tried: Sequence[Fit], bills: Sequence[Bill], chosen: Bill) -> list[Excuse]:
    excuses = []
    for fit, bill in zip(tried, bills, strict=True):
        if bill.node_type == chosen.node_type:
            continue
        if fit.is_enough:
            more = bill.usd_per_month - chosen.usd_per_month
            reason = (f"fits, but costs {more:,.2f} USD a month more" if more > 0.0
                      else "fits at the same price, with no more memory")
            excuses.append(Excuse(fit.node_type, "price", reason))
        else:
            excuses.append(Excuse(fit.node_type, fit.binding.constraint, fit.reason))
    return excuses


def _alternatives(demand: Demand, chosen: Bill) -> tuple[dict[str, Any], ...]:
    """The chosen node type in the other engine, where the region sells that."""
    found = []
    for engine in prices.ENGINES:
        if engine == chosen.engine:
            continue
        try:
            usd = bill_for(demand, chosen.node_type, chosen.replicas, engine).usd_per_month
        except NotOffered:
            continue
        found.append({
            "engine": engine,
            "node_type": chosen.node_type,
            "replicas": chosen.replicas,
            "term": chosen.term,
            "usd_per_month": usd,
            "difference_usd": round(usd - chosen.usd_per_month, 4),
            "note": f"no run was made on {engine}: its bytes per key and CPU per command are not measured",
        })
    return tuple(found)
