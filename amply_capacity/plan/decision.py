"""The plan: from measured runs and a demand to the cluster, the replica, the upgrades and the money.

Chosen is what regrets least (`regret`) among all that fits until the plan is made again. Everything that it
rests on is in it: the runs, the assumptions, what decides it, and why each other node type was not chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from amply_capacity.catalog import prices
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.assumptions import Assumption, assumptions
from amply_capacity.plan.bill import ServerlessBill
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.commitment import Commitment
from amply_capacity.plan.cost import Bill, SpecRow, nodes_bill, spec_table
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.excuses import excuses_of
from amply_capacity.plan.failure_knowledge import learn
from amply_capacity.plan.influence import Influence, Reversal, influences, reversal
from amply_capacity.plan.measured import Measured, measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.objectives import Objective, objectives
from amply_capacity.plan.options import Excuse, Offer, Option, offers, shard_counts
from amply_capacity.plan.outages import outage_usd_per_month
from amply_capacity.plan.projection import Month, Upgrade, month_names, projection, upgrades
from amply_capacity.plan.ranked import Ranked, option_fit, ranked_of
from amply_capacity.plan.regret import Choice, scored
from amply_capacity.plan.replica_case import replica_case
from amply_capacity.plan.replicas import ReplicaDecision, decide
from amply_capacity.plan.search import Found, search
from amply_capacity.plan.serverless_option import (
    ServerlessOption,
    serverless_months,
    serverless_options,
)
from amply_capacity.plan.sizing import UNITS
from amply_capacity.plan.strategies import Case, strategies
from amply_capacity.plan.today import Today, today
from amply_capacity.plan.withholding import Withheld, withheld
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["SCHEMA", "Plan", "make_plan"]

SCHEMA = 2
_RANKED, _RANKED_IN_A_DRAFT = 10, 3
"""So many of the least expected cost are scored in any case, for a runner-up and the excuses."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`ranked[0]` is the chosen one; `fit` of each is that of the last month before the review."""

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
    influences: tuple[Influence, ...]
    runner_up: Ranked | None
    reversal: Reversal | None
    strategies: tuple[dict[str, Any], ...]
    """Empty in a draft, as the excuses are."""
    withheld: Withheld | None
    nodes: Option
    """The best one of nodes: what is chosen, but where that is serverless. Needs are of it."""

    @property
    def chosen(self) -> Ranked:
        return self.ranked[0]

    @property
    def _review(self) -> int:
        """The last month before it, counted from today's."""
        return min(self.demand.plan.review_months, len(self.months))

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
            "headroom": [] if self.chosen.fit is None else [
                headroom.as_json() for headroom in self.chosen.fit.constraints],
            "today": self.today.as_json(),
            "alternatives": list(self.alternatives),
            "strategies": list(self.strategies),
            "influences": [one.as_json() for one in self.influences],
            "withheld": None if self.withheld is None else self.withheld.as_json(),
            "runner_up": self._runner_up(),
            "review_months": self.demand.plan.review_months,
            "fits_in_month": self.months[self._review - 1].month,
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

    def _runner_up(self) -> dict[str, Any] | None:
        if self.runner_up is None or self.reversal is None:
            return None
        return {**self.runner_up.as_json(), "would_win_if": self.reversal.as_json()}

    def _needs_by_month(self) -> list[dict[str, Any]]:
        """The 5 %, 50 % and 95 % worlds' needs of each constraint on the best type, month by month."""
        held = self.nodes
        bands = {name: np.quantile(self.needs.of(held.node, name, shards=held.shards, replicas=held.replicas,
                                                 engine=held.engine), [0.05, 0.5, 0.95], axis=0)
                 for name in UNITS}
        return [
            {"month": month.month, "constraint": name, "unit": UNITS[name]}
            | {key: float(f"{bands[name][row, m + 1]:.6g}") for row, key in enumerate(("low", "mid", "high"))}
            for name in bands for m, month in enumerate(self.months)
        ]

    def _memory_items(self) -> list[dict[str, Any]]:
        """What fills the memory in the last month before the review: medians, biggest first."""
        medians = {name: float(np.median(values[:, self._review]))
                   for name, values in self.needs.memory_items.items()}
        biggest_first = sorted(medians.items(), key=lambda item: -item[1])
        return [{"what": name, "bytes": round(value)} for name, value in biggest_first]


def make_plan(evidences: Sequence[Evidence], demand: Demand, *, start: date, worlds: int = 10_000,
              seed: int = 1, calibrations: Sequence[Calibration] = (), is_draft: bool = False) -> Plan:
    """Sizes, prices and projects the demand on the evidence; the first month is the one after `start`.

    A draft leaves out the strategies, the excuses and what decides between the options, and ranks fewer. The
    same inputs and seed give the same plan, byte for byte. Raises BadInput where no run is given or nothing
    that is sold fits (with the nearest miss), and BadRun where the runs lack a figure that the demand needs.
    """
    stated, (demand, learned) = demand, learn(demand, evidences)
    figures, drawn = measured(evidences), Worlds(worlds, seed, demand.correlated)
    load = workload(demand, drawn, start)
    need = needs(demand, figures, load, drawn, calibrations)
    sold, excuses = offers(demand)
    months = month_names(start, demand.plan.horizon_months)

    @functools.cache
    def outage_usd(replicas: int) -> Floats:
        return outage_usd_per_month(demand, load, drawn, replicas)[:, 1:]

    found, replica = _decided(sold, demand, need, drawn, months, outage_usd,
                              _RANKED_IN_A_DRAFT if is_draft else _RANKED)
    way, taken, nodes = found.way, found.way.path(found.place), found.option
    choice = _beside_serverless(found, serverless_options(demand, figures, load, need), demand, outage_usd)
    ranked = ranked_of(choice, demand, need)
    chosen = choice.chosen.option
    serverless = chosen if isinstance(chosen, ServerlessOption) else None

    def short_of(option: Option, row: int) -> str:
        return option_fit(option, demand, need, row + 1).binding.constraint

    place_of = {one.option: rank for rank, one in enumerate(choice.scored)}
    second = choice.runner_up
    case = Case(demand, figures, load, need, drawn, calibrations, way, found.place, nodes, months, start,
                sold, serverless, outage_usd)
    return Plan(
        ranked=ranked,
        excuses=() if is_draft else (*excuses_of(sold, demand, need, ranked, nodes), *excuses),
        replica=replica if is_draft else replace(
            replica, beside=replica_case(case, replica, option_fit(nodes, demand, need, min(
                demand.plan.review_months, demand.plan.horizon_months)), evidences, learned).as_json()),
        months=(serverless_months(serverless, months) if serverless
                else projection(taken, way.options, months, case.plan_usd)),
        upgrades=() if serverless else upgrades(taken, way.options, months, found.place,
                                                demand.plan.confidence, short_of),
        today=today(demand, need, months),
        alternatives=_alternatives(demand, figures, ranked[0].bill),
        objectives=objectives(demand, figures),
        assumptions=assumptions(demand, figures, calibrations, learned),
        needs=need,
        figures=figures,
        demand=stated,
        spec_table=spec_table(demand.cluster.region),
        start=start,
        worlds=drawn,
        influences=() if is_draft else influences(choice, demand, figures, drawn),
        runner_up=None if second is None else ranked[place_of[second.option]],
        reversal=None if is_draft else reversal(choice, demand, figures, need, drawn),
        strategies=() if is_draft else tuple(strategies(case)),
        withheld=None if is_draft else withheld(way, demand, figures, drawn),
        nodes=nodes,
    )


def _beside_serverless(found: Found, rivals: Iterable[ServerlessOption], demand: Demand,
                       outage_usd: Callable[[int], Floats]) -> Choice:
    """The choice with serverless caches in it: held as long, and then left for the way that worlds go anyway.

    Their copies in other zones count as the nodes' replicas do: where the verdict on these is to keep none,
    they are worth nothing here, so that what is undecided does not turn the choice.
    """
    review = min(demand.plan.review_months, demand.plan.horizon_months)
    outages = outage_usd(found.option.replicas).mean(axis=1)
    later_usd = Commitment(found.way.path(), found.way.options).usd_from(review)
    others = [scored(one, (one.need.usd[:, :review].sum(axis=1) + later_usd) / demand.plan.horizon_months,
                     outages, {}) for one in rivals]
    all_of_them = [*found.choice.scored, *others]
    return Choice.of(all_of_them, len(all_of_them)) if others else found.choice


def _decided(sold: Sequence[Offer], demand: Demand, need: Needs, worlds: Worlds, months: Sequence[str],
             outage_usd: Callable[[int], Floats], ranked: int) -> tuple[Found, ReplicaDecision]:
    """The choice at today's replicas, the verdict on a replica of that, and the choice with its outcome.

    `outage_usd` is by replicas, of a month, (worlds, months).
    """
    def choose(counts: Sequence[int]) -> Found:
        found = search(sold, demand, need, worlds, outage_usd, counts, ranked)
        if found is None:
            raise _nothing_fits(sold, demand, need)
        return found

    today_has = min(demand.cluster.replicas, demand.allowed.replicas)
    found = choose((today_has,))
    # One replica of each shard, of whatever each world has by then.
    option = found.option
    usd = found.way.paid_usd(found.place, option, demand.plan.review_months) / (1 + option.replicas)
    avoided = outage_usd(0) - outage_usd(1)
    pays = (avoided > usd).mean(axis=0)
    verdict = decide(demand, option.shards * option.node_usd_per_month, avoided[:, 0],
                     list(zip(months, map(float, pays), strict=True)))
    if verdict.replicas != today_has:
        found = choose((0,) if verdict.replicas == 0 else tuple(range(1, demand.allowed.replicas + 1)))
        verdict = replace(verdict, replicas=found.option.replicas)
    return found, verdict


def _nothing_fits(sold: Sequence[Offer], demand: Demand, need: Needs) -> BadInput:
    review = min(demand.plan.review_months, demand.plan.horizon_months)
    most = shard_counts(demand, demand.cluster.replicas)[-1]
    tried = [option_fit(one.option(most, 0, demand.terms[0]), demand, need, review) for one in sold]
    nearest = max(tried, key=lambda fit: (fit.probability, fit.binding.least_left))
    where = "one shard" if most == 1 else f"up to {most} shards"
    more = "" if demand.application.cluster_mode else ", let the application run in cluster mode"
    return BadInput(f"no node type that may be chosen carries this demand on {where}",
                    got=f"nearest is {nearest.node_type}, which {nearest.reason}",
                    do="allow more node types, lower reserved_memory_percent or slo.free_memory_percent"
                       f"{more}, or split the users over several clusters")


def _alternatives(demand: Demand, figures: Measured,
                  chosen: Bill | ServerlessBill) -> tuple[dict[str, Any], ...]:
    """The chosen node type in an engine that may not be chosen, where the region sells that."""
    if isinstance(chosen, ServerlessBill):  # the strategies show the other engine
        return ()
    found = []
    for engine in prices.ENGINES:
        if engine in demand.engines:
            continue
        try:
            usd = nodes_bill(demand.cluster.region, engine, chosen.node_type, chosen.shards, chosen.replicas,
                             chosen.term).usd_per_month
        except NotOffered:
            continue
        found.append({
            "engine": engine,
            "node_type": chosen.node_type,
            "replicas": chosen.replicas,
            "term": chosen.term,
            "usd_per_month": usd,
            "difference_usd": round(usd - chosen.usd_per_month, 4),
            "note": f"its bytes per key and CPU per command are {'' if engine == figures.engine else 'not '}"
                    f"measured: the figures are of a run on {figures.engine}",
        })
    return tuple(found)
