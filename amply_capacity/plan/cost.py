"""A month's bill for a cluster of nodes, line by line, each with the source and date of its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.nodes import node_types
from amply_capacity.catalog.prices import ENGINES, name_faults, term_months
from amply_capacity.catalog.serverless import amount, rates
from amply_capacity.errors import BadInput, NotOffered, UnknownName
from amply_capacity.plan.bill import HOURS_PER_MONTH, Bill, BillLine, plain
from amply_capacity.plan.extras import CROSS_AZ_NOTE, Extras, cluster_extras, node_faults
from amply_capacity.plan.holdings import Holding, holding_lines, holdings
from amply_capacity.plan.reservations import Reservation
from amply_capacity.plan.savings_plan import SAVINGS_PLAN, is_discounted, savings_plan

__all__ = ["HOURS_PER_MONTH", "MAX_NODES_PER_CLUSTER", "MAX_REPLICAS_PER_SHARD", "Bill", "BillLine",
           "SpecRow", "nodes_bill", "nodes_faults", "spec_table"]

MAX_REPLICAS_PER_SHARD = 5
MAX_NODES_PER_CLUSTER = 90
"""ElastiCache's quotas before an increase is asked for."""

_SPEC_ROWS = (
    ("cache.t3.micro (1 node)", "cache.t3.micro", 0, 13.0),
    ("cache.t3.small (1 node)", "cache.t3.small", 0, 25.0),
    ("cache.t3.micro (1+1 replica)", "cache.t3.micro", 1, 26.0),
)
_REPLICATION_NOTE = "Not in this bill: replication, where AWS bills it: its own texts contradict each other."


@dataclass(frozen=True, slots=True)
class SpecRow:
    """A line of the specification's cost table beside the true price; None where the region lacks it."""

    configuration: str
    spec_usd: float
    true_usd: float | None
    source: str | None
    as_of: str | None

    def as_json(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__slots__}


def nodes_bill(region: str, engine: str, node_type: str, shards: int = 1, replicas: int = 0,
               term: str = "on_demand", extras: Extras | None = None,
               reservation: Reservation | None = None) -> Bill:
    """The bill for `shards` primaries with `replicas` each, and for the extras asked for.

    With a `reservation`, which is paid for in any case, the nodes that it does not cover are on demand.
    Raises UnknownName or BadInput (all faults at once), and NotOffered where no such price is known.

    Example: `nodes_bill("us-east-1", "redis", "cache.t3.micro").usd_per_month` is 12.41.
    """
    asked = extras or Extras()
    refuse(nodes_faults(region, engine, node_type, shards, replicas, term, asked, reservation))
    nodes = shards * (1 + replicas)
    if term == SAVINGS_PLAN:
        raise NotOffered(f"no Database Savings Plan rate of {node_type} is known",
                         got=savings_plan(engine, node_type).reason, do="choose another term")
    held, said = holdings(region, engine, node_type, nodes, term, reservation)
    beside, absent = cluster_extras(asked, region, engine, node_type, nodes)
    lines = [line for one in held for line in holding_lines(one)]
    if is_discounted(engine, node_type) and any(one.price.term == "on_demand" for one in held):
        absent = (*absent, savings_plan(engine, node_type))
    notes = (*said, *_price_notes(held), *_retired_note(node_type), *_left_out(region, engine, nodes, asked))
    return Bill(region, engine, node_type, shards, replicas, term, (*lines, *beside), notes, absent)


def nodes_faults(region: str, engine: str, node_type: str, shards: int = 1, replicas: int = 0,
                 term: str = "on_demand", extras: Extras | None = None,
                 reservation: Reservation | None = None) -> list[BadInput]:
    """All that is wrong with what `nodes_bill` is asked for; empty where it can be answered."""
    known_term = "on_demand" if term == SAVINGS_PLAN else term
    faults = [*name_faults(region, engine, node_type, known_term), *_count_faults(shards, replicas)]
    node = next((node for node in node_types() if node.name == node_type), None)
    if extras is not None:
        faults += node_faults(extras, engine, node, replicas)
    if reservation is not None:
        faults += _reservation_faults(reservation, term)
    return faults


def spec_table(region: str, engine: str = "redis") -> tuple[SpecRow, ...]:
    """The three rows of the specification's section "Cost", beside that region's on-demand prices."""
    refuse(name_faults(region, engine))
    rows = []
    for configuration, node_type, replicas, spec_usd in _SPEC_ROWS:
        try:
            bill = nodes_bill(region, engine, node_type, replicas=replicas)
        except NotOffered:
            rows.append(SpecRow(configuration, spec_usd, None, None, None))
        else:
            line = bill.lines[0]
            rows.append(SpecRow(configuration, spec_usd, bill.usd_per_month, line.source, line.as_of))
    return tuple(rows)


def _price_notes(held: Sequence[Holding]) -> list[str]:
    notes = []
    for found in (one.price for one in held):
        if found.inferred:
            notes.append(f"This price is inferred, not observed in full: {found.basis}.")
        if found.hourly_usd is None:
            notes.append("The source gives this reservation's effective rate; what is paid upfront is not "
                         "known.")
        if months := term_months(found.term):
            notes.append(f"A reservation binds for {months} months and cannot be cancelled.")
    return notes


def _retired_note(node_type: str) -> list[str]:
    if node_type in {node.name for node in node_types() if node.new_clusters}:
        return []
    return [f"{node_type} is of a previous generation: AWS makes no new clusters of it."]


def _left_out(region: str, engine: str, nodes: int, extras: Extras) -> list[str]:
    """What was not asked for, and would cost something; and what those who asked have to know."""
    notes = []
    if extras.snapshots_retained_days is None:
        backup = rates("backup_storage", region, engine)[0]
        notes.append("Not in this bill: backups beyond one free snapshot of each cluster "
                     f"({plain(amount(backup))} {backup.unit}).")
    if extras.cross_az_gb is None:
        also = " and, where AWS bills it, replication" if nodes > 1 else ""
        notes.append("Not in this bill: data transfer across Availability Zones, between the application and "
                     f"the nodes{also}.")
    else:
        notes.append(CROSS_AZ_NOTE)
        notes += [_REPLICATION_NOTE] if nodes > 1 else []
    if engine == "redis" and extras.engine_version is None:
        notes.append("Not in this bill: the Extended Support surcharge on Redis 6 and older.")
    if extras.durability is not None:
        notes.append("Durability needs Valkey 9.0 or newer, Multi-AZ and cluster mode.")
    return notes


def _count_faults(shards: int, replicas: int) -> list[BadInput]:
    faults: list[BadInput] = []
    # bool is an int to Python, and True shards are nobody's intent: hence `type(…) is int`.
    if not (type(shards) is int and shards >= 1):
        faults.append(BadInput("impossible number of shards", got=repr(shards),
                               do="give a whole number of shards, 1 or more"))
    if not (type(replicas) is int and 0 <= replicas <= MAX_REPLICAS_PER_SHARD):
        faults.append(BadInput("impossible number of replicas", got=repr(replicas),
                               do=f"give a whole number of replicas a shard, 0 to {MAX_REPLICAS_PER_SHARD}"))
    if not faults and (nodes := shards * (1 + replicas)) > MAX_NODES_PER_CLUSTER:
        faults.append(BadInput("too many nodes for one cluster", got=f"{nodes} nodes",
                               do=f"keep shards × (1 + replicas) at {MAX_NODES_PER_CLUSTER} or less"))
    return faults


def _reservation_faults(reservation: Reservation, term: str) -> list[BadInput]:
    faults: list[BadInput] = []
    if term != "on_demand":
        faults.append(BadInput("a reservation and a term of the nodes", got=f"term {term!r}",
                               do="give one of them: what a reservation does not cover is on demand"))
    if not (type(reservation.nodes) is int and reservation.nodes >= 1):
        faults.append(BadInput("impossible number of reserved nodes", got=repr(reservation.nodes),
                               do="give a whole number of nodes, 1 or more"))
    if term_months(reservation.term) is None:
        faults.append(BadInput("a reservation has no such term", got=repr(reservation.term),
                               do="give 1yr_no, 1yr_partial, 1yr_all, 3yr_no, 3yr_partial or 3yr_all"))
    known = [node.name for node in node_types()]
    if reservation.node_type not in known:
        faults.append(UnknownName("reserved node type", reservation.node_type, known))
    if reservation.engine not in ENGINES:
        faults.append(UnknownName("engine of a reservation", reservation.engine, ENGINES))
    return faults

