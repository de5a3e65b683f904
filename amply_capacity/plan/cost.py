"""A month's bill for a cluster of nodes, line by line, each with the source and date of its price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.nodes import node_types
from amply_capacity.catalog.prices import Price, name_faults, price, term_months
from amply_capacity.catalog.serverless import rates
from amply_capacity.errors import BadInput, NotOffered

__all__ = ["HOURS_PER_MONTH", "Bill", "BillLine", "SpecRow", "nodes_bill", "spec_table"]

HOURS_PER_MONTH = 730
"""AWS's own convention: a month is 730 hours, and an upfront fee is spread over 12 or 36 months."""

MAX_REPLICAS_PER_SHARD = 5
MAX_NODES_PER_CLUSTER = 90
"""ElastiCache's quotas before an increase is asked for."""

_SPEC_ROWS = (
    ("cache.t3.micro (1 node)", "cache.t3.micro", 0, 13.0),
    ("cache.t3.small (1 node)", "cache.t3.small", 0, 25.0),
    ("cache.t3.micro (1+1 replica)", "cache.t3.micro", 1, 26.0),
)


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a monthly bill; `usd` is rounded to a hundredth of a cent."""

    what: str
    quantity: float
    unit: str
    usd: float
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Bill:
    """What a cluster costs in one month, and in `notes` what this bill leaves out."""

    region: str
    engine: str
    node_type: str
    shards: int
    replicas: int
    """Per shard."""
    term: str
    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]

    @property
    def usd_per_month(self) -> float:
        """The sum of the lines as they are printed."""
        return float(sum((_exact(line.usd) for line in self.lines), Decimal()))

    def as_json(self) -> dict[str, Any]:
        """The object that `amply-capacity cost --json` prints."""
        keys = BillLine.__slots__
        return {
            "usd_per_month": self.usd_per_month,
            "lines": [{key: getattr(line, key) for key in keys} for line in self.lines],
            "region": self.region,
            "engine": self.engine,
            "node_type": self.node_type,
            "shards": self.shards,
            "replicas": self.replicas,
            "term": self.term,
            "hours_per_month": HOURS_PER_MONTH,
            "notes": list(self.notes),
        }


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
               term: str = "on_demand") -> Bill:
    """The bill for `shards` primaries with `replicas` each.

    Raises UnknownName or BadInput (all faults at once), and NotOffered where no such price is known.

    Example: `nodes_bill("us-east-1", "redis", "cache.t3.micro").usd_per_month` is 12.41.
    """
    refuse([*name_faults(region, engine, node_type, term), *_count_faults(shards, replicas)])
    nodes = _nodes(shards, replicas)
    found = price(region, engine, node_type, term)
    return Bill(region, engine, node_type, shards, replicas, term, _lines(found, nodes), _notes(found, nodes))


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


def _lines(found: Price, nodes: int) -> tuple[BillLine, ...]:
    is_said = not found.basis or found.basis == found.source
    source = found.source if is_said else f"{found.source} ({found.basis})"
    label = f"{nodes} × {found.node_type}, {found.engine}, {found.region}, {found.term}"
    node_hours = nodes * HOURS_PER_MONTH

    def hours(rate_usd: float, kind: str) -> BillLine:
        usd = _rounded(_exact(rate_usd) * node_hours)
        what = f"{label}: {kind} {_plain(rate_usd)} USD per node-hour"
        return BillLine(what, node_hours, "node-hour", usd, source, found.as_of)

    months = term_months(found.term)
    if found.hourly_usd is None or found.upfront_usd is None:
        return (hours(found.effective_hourly_usd, "effective rate"),)
    lines = [hours(found.hourly_usd, "hourly rate")] if found.hourly_usd > 0 or not found.upfront_usd else []
    if found.upfront_usd and months is not None:
        usd = _rounded(_exact(found.upfront_usd) * nodes / months)
        what = f"{label}: upfront fee {_plain(found.upfront_usd)} USD a node, spread over {months} months"
        lines.append(BillLine(what, nodes, "node-month", usd, source, found.as_of))
    return tuple(lines)


def _notes(found: Price, nodes: int) -> tuple[str, ...]:
    notes = []
    if found.inferred:
        notes.append(f"This price is inferred, not observed in full: {found.basis}.")
    if found.hourly_usd is None:
        notes.append("The source gives this reservation's effective rate; what is paid upfront is not known.")
    if months := term_months(found.term):
        notes.append(f"A reservation binds for {months} months and cannot be cancelled.")
    if found.node_type not in {node.name for node in node_types() if node.new_clusters}:
        notes.append(f"{found.node_type} is of a previous generation: AWS makes no new clusters of it.")
    backup = rates("backup_storage", found.region, found.engine)[0]
    rate = f" ({_plain(backup.amount)} {backup.unit})" if backup.amount is not None else ""
    notes.append(f"Not in this bill: backups beyond one free snapshot of each cluster{rate}.")
    replication = " and, where AWS bills it, replication" if nodes > 1 else ""
    notes.append("Not in this bill: data transfer across Availability Zones, between the application and the "
                 f"nodes{replication}.")
    if found.engine == "redis":
        notes.append("Not in this bill: the Extended Support surcharge on Redis 6 and older.")
    return tuple(notes)


def _count_faults(shards: int, replicas: int) -> list[BadInput]:
    faults: list[BadInput] = []
    # bool is an int to Python, and True shards are nobody's intent: hence `type(…) is int`.
    if not (type(shards) is int and shards >= 1):
        faults.append(BadInput("impossible number of shards", got=repr(shards),
                               do="give a whole number of shards, 1 or more"))
    if not (type(replicas) is int and 0 <= replicas <= MAX_REPLICAS_PER_SHARD):
        faults.append(BadInput("impossible number of replicas", got=repr(replicas),
                               do=f"give a whole number of replicas a shard, 0 to {MAX_REPLICAS_PER_SHARD}"))
    if not faults and (nodes := _nodes(shards, replicas)) > MAX_NODES_PER_CLUSTER:
        faults.append(BadInput("too many nodes for one cluster", got=f"{nodes} nodes",
                               do=f"keep shards × (1 + replicas) at {MAX_NODES_PER_CLUSTER} or less"))
    return faults


def _nodes(shards: int, replicas: int) -> int:
    return shards * (1 + replicas)


def _exact(usd: float) -> Decimal:
    """The decimal number that was written in the price file, free of the binary fraction's error."""
    return Decimal(repr(usd))


def _rounded(usd: Decimal) -> float:
    return float(usd.quantize(Decimal("0.0001"), ROUND_HALF_UP))


def _plain(usd: float) -> str:
    return format(_exact(usd).normalize(), "f")
