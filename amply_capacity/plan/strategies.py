"""Ways through the horizon, world by world: the plan's own, and those that people ask for in the meeting.

Each is a stream of money over the months: nodes or serverless units, and what goes wrong meanwhile, outages
as the choice counts them. They are compared in the same worlds, so that a difference is one of the strategy
and not of chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import numpy as np

from amply_capacity.catalog import nodes
from amply_capacity.catalog.prices import ENGINES, TERMS
from amply_capacity.catalog.serverless import serverless
from amply_capacity.errors import AmplyError, NotOffered
from amply_capacity.interval import Interval
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.demand import Activity, Demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.harm import harm, prices_of
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.needs import Indices, Needs
from amply_capacity.plan.options import Offer, Option, offers
from amply_capacity.plan.search import Way, way_of
from amply_capacity.plan.serverless_need import serverless_need
from amply_capacity.plan.serverless_option import ServerlessOption
from amply_capacity.plan.strategy import Strategy
from amply_capacity.plan.term_prices import term_prices
from amply_capacity.plan.workload import Workload, workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Case", "strategies"]

_LATER = slice(1, None)
_WORLDS = 2_000
"""Of a way that has to be sized anew, or on which much goes wrong."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the strategies are made for."""

    demand: Demand
    figures: Measured
    load: Workload
    need: Needs
    worlds: Worlds
    calibrations: Sequence[Calibration]
    way: Way
    place: int
    """Of the best option of nodes on it."""
    chosen: Option
    """That option, at its own term."""
    months: Sequence[str]
    start: date
    sold: Sequence[Offer]
    serverless: ServerlessOption | None
    """Where the plan chose that."""
    outage_usd: Callable[[int], Floats]
    """By replicas, what outages cost, (worlds, months)."""

    @property
    def plan_usd(self) -> Floats:
        """What the chosen nodes and what comes after them cost, (worlds, months)."""
        return self.usd_with(self.chosen)

    @property
    def first_worlds(self) -> Indices:
        """Enough of them for a way that is not chosen from."""
        return np.arange(min(self.worlds.count, _WORLDS))

    def usd_with(self, first: Option) -> Floats:
        """The same way with the chosen nodes bought at that option's term, (worlds, months)."""
        return self.way.paid_usd(self.place, first, self.demand.plan.review_months)


def strategies(case: Case) -> list[dict[str, Any]]:
    """The plan's own way first. Of each: totals over the horizon, and when it breaks even with the plan's."""
    nodes_what = f"{case.chosen.name}, and up when each world has to"
    if case.chosen.term != case.demand.terms[0]:
        nodes_what = f"{case.chosen.name}, {_in_words(case.chosen.term)}; {_rest(case)}"
    on_nodes = Strategy("plan", nodes_what, case.plan_usd, unserved=case.way.path(case.place).unserved)
    own = [on_nodes]
    if case.serverless is not None:
        own = [Strategy("plan", f"ElastiCache Serverless for {case.serverless.engine}",
                        case.serverless.need.usd, case.serverless.need.note),
               replace(on_nodes, name="stay on nodes")]
    others = [one for way in (_big, _reserved, _other_engine, _serverless, _split) for one in way(case)]
    # Serverless is away as often as the chosen nodes are: so the choice counts it too. So are two clusters
    # together, each with its part of the users' work, as shards are.
    outages = case.outage_usd(case.chosen.replicas)
    own, others = ([replace(one, outage_usd=outages) for one in ways] for ways in (own, others))
    confidence = case.demand.plan.confidence
    return [one.as_json(own[0], case.months, confidence) for one in (*own, *_stay(case), *others)]


def _stay(case: Case) -> Iterator[Strategy]:
    """With what goes wrong: this is the price of doing nothing."""
    cluster = case.demand.cluster
    price = term_prices(cluster.region, cluster.engine, cluster.node_type)[cluster.term]
    what = f"today's {cluster.node_type} throughout, with what its users would suffer"
    if price.usd_per_month is None:
        yield Strategy("stay", what, None, price.reason or "")
        return
    some = case.first_worlds
    wrong = harm(nodes.node_type(cluster.node_type), case.demand, case.need.of_worlds(some),
                 prices_of(case.demand, case.worlds).of_worlds(some), _LATER, replicas=cluster.replicas,
                 engine=cluster.engine).usd
    yield Strategy("stay", what, (1 + cluster.replicas) * price.usd_per_month + wrong,
                   outage_usd=case.outage_usd(cluster.replicas))


def _big(case: Case) -> Iterator[Strategy]:
    """What is enough in the last month, from the first on."""
    confidence = case.demand.plan.confidence
    place = next((place for place, holds in enumerate(case.way.enough)
                  if holds[:, -1].mean() >= confidence), None)
    if place is None:
        yield Strategy("buy big now", "what is enough in the last month, from the first on", None,
                       f"nothing that is offered is enough in {100 * confidence:g} % of the worlds by then")
        return
    yield Strategy("buy big now",
                   f"{case.way.options[place].name} at once, and up where a world needs more",
                   case.way.paid_usd(place), unserved=case.way.path(place).unserved)


def _reserved(case: Case) -> Iterator[Strategy]:
    """The chosen nodes reserved once, the same way otherwise."""
    chosen, demand = case.chosen, case.demand
    prices = term_prices(demand.cluster.region, chosen.engine, chosen.node.name)
    for term in TERMS:
        if term in ("on_demand", chosen.term):
            continue
        price = prices[term]
        what = f"{chosen.name}, {_in_words(term)}; {_rest(case)}"
        months = price.months or 0
        if price.usd_per_month is None:
            yield Strategy(f"reserve {term}", what, None, price.reason or "")
        elif months > len(case.months):
            yield Strategy(f"reserve {term}", what, None, f"it binds for {months} months, the horizon has "
                                                          f"{len(case.months)}")
        else:
            held = replace(chosen, term=term, node_usd_per_month=price.usd_per_month)
            yield Strategy(f"reserve {term}", what, case.usd_with(held), price.caveat,
                           changes=f"binds for {months} months and cannot be cancelled",
                           unserved=case.way.path(case.place).unserved)


def _other_engine(case: Case) -> Iterator[Strategy]:
    for engine in ENGINES:
        if engine == case.chosen.engine:
            continue
        name, what = f"go to {engine}", f"the cheapest way on {engine}"
        allowed = replace(case.demand.allowed, engines=[engine])  # type: ignore[list-item]
        sold: Sequence[Offer] = [one for one in case.sold if one.engine == engine]
        try:
            sold = sold or offers(replace(case.demand, allowed=allowed))[0]
        except AmplyError as error:
            yield Strategy(name, what, None, error.what)
            continue
        way = way_of(sold, case.demand, case.need.of_worlds(case.first_worlds), case.chosen.replicas)
        yield Strategy(name, what, way.paid_usd(),
                       "its bytes and CPU are measured" if engine == case.figures.engine else
                       "its bytes and CPU are not measured: a wide prior stands for them",
                       f"test the application on {engine}", unserved=way.path().unserved)


def _serverless(case: Case) -> Iterator[Strategy]:
    for engine in ENGINES:
        if case.serverless is not None and engine == case.serverless.engine:
            continue
        name, what = f"go serverless, {engine}", f"ElastiCache Serverless for {engine}"
        try:
            found = serverless(case.demand.cluster.region, engine)
        except NotOffered as error:
            yield Strategy(name, what, None, error.what)
            continue
        changes = "" if case.demand.application.cluster_mode else (
            "it runs in cluster mode: log out everywhere key by key, keep Celery's results elsewhere")
        need = serverless_need(found, case.figures, case.load, case.need, engine)
        yield Strategy(name, what, need.usd, need.note, changes)


def _split(case: Case) -> Iterator[Strategy]:
    """Two clusters: what is left of this one, and a small one for Celery's results."""
    name, what = "split off Celery", "Celery's results on a small cluster of their own"
    if not case.load.results.any():
        return
    ways = []
    worlds = replace(case.worlds, count=len(case.first_worlds))
    for tasks in (False, True):
        part = _only(case.demand, tasks=tasks)
        load = workload(part, worlds, case.start)
        if tasks:
            load = replace(load, users=np.zeros_like(load.users))  # their indices stay on the other one
        need = needs(part, case.figures, load, worlds, case.calibrations)
        ways.append(way_of(case.sold, part, need, case.chosen.replicas))
    rest, own = ways
    yield Strategy(name, what, rest.paid_usd() + own.paid_usd(),
                   changes="a second endpoint, its own alarms and connections",
                   unserved=rest.path().unserved | own.path().unserved)


def _only(demand: Demand, *, tasks: bool) -> Demand:
    """The demand of Celery's tasks alone, or of all else."""
    none = Interval.exact(0.0)
    kept = {"peak_to_mean", "weekend_to_weekday"}
    of_tasks = {"tasks_per_user_hour", "result_reads_per_task"}
    dropped = {each.name for each in fields(Activity)} - kept
    dropped = dropped - of_tasks if tasks else of_tasks
    activity = replace(demand.activity, **dict.fromkeys(dropped, none))
    if not tasks:
        return replace(demand, activity=activity)
    users = replace(demand.users, sessions_per_user=none, stale_index_members_per_user=none)
    return replace(demand, activity=activity, users=users)


def _rest(case: Case) -> str:
    return f"the rest {_in_words(case.demand.terms[0])}"


def _in_words(term: str) -> str:
    if term == "on_demand":
        return "on demand"
    length, _, paid = term.partition("_")
    return f"{length[0]} year{'s' * (length != '1yr')}, {paid} upfront"
