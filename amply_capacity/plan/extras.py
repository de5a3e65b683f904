"""What a bill has beside its nodes or serverless cache: backups, traffic, and what is charged on nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.catalog.serverless import amount, rates
from amply_capacity.errors import BadInput
from amply_capacity.plan.addons import durability, durability_faults, extended_support
from amply_capacity.plan.bill import Absent, BillLine, exact, line, plain
from amply_capacity.plan.versions import version_faults

__all__ = ["CROSS_AZ_NOTE", "MOST_RETAINED_DAYS", "Extras", "cluster_extras", "common_extras",
           "common_faults", "node_faults"]

MOST_RETAINED_DAYS = 35
"""ElastiCache's limit on the retention of automatic snapshots."""
CROSS_AZ_NOTE = "The rate of cross-AZ traffic is of secondary sources, and not confirmed for every region."


@dataclass(frozen=True, slots=True)
class Extras:
    """What is to be on the bill beside nodes or a serverless cache; None is not asked for."""

    snapshots_retained_days: int | None = None
    """Automatic daily snapshots stand for so many days: so many of them are kept."""
    snapshot_gb: float | None = None
    """Size of one snapshot, in units of 2^30 bytes."""
    cross_az_gb: float | None = None
    """Between the application and its nodes in other Availability Zones, both directions, in a month."""
    engine_version: str | None = None
    month: date | None = None
    """Which month is billed: what an old engine costs depends on it."""
    durability: str | None = None
    """`sync` or `async`: Valkey's writes through a Multi-AZ log."""


def common_faults(extras: Extras) -> list[BadInput]:
    """What is wrong with the extras that nodes and serverless caches have in common."""
    faults = []
    days, gb = extras.snapshots_retained_days, extras.snapshot_gb
    if days is not None and not (type(days) is int and 0 <= days <= MOST_RETAINED_DAYS):
        faults.append(BadInput("impossible retention of snapshots", got=f"{days!r} days",
                               do=f"give whole days, 0 to {MOST_RETAINED_DAYS}"))
    for what, value in (("size of a snapshot", gb), ("cross-AZ traffic", extras.cross_az_gb)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            faults.append(BadInput(f"impossible {what}", got=f"{value!r} GB", do="give gigabytes, 0 or more"))
    if gb is not None and days is None:
        faults.append(BadInput("snapshots have a size and no retention", got=f"{gb!r} GB",
                               do="say for how many days they are retained"))
    return faults


def node_faults(extras: Extras, engine: str, node: NodeType | None, replicas: int) -> list[BadInput]:
    """What is wrong with all extras of a cluster of nodes; `node` is None where its facts are not known."""
    faults = common_faults(extras)
    if extras.snapshots_retained_days and extras.snapshot_gb is None:
        faults.append(BadInput("the size of a snapshot is not known",
                               got=f"{extras.snapshots_retained_days} days",
                               do="give the gigabytes of one snapshot"))
    if extras.engine_version is not None:
        faults += version_faults(engine, extras.engine_version, node, extras.month)
    if extras.durability is not None:
        faults += durability_faults(extras.durability, engine, node, replicas, extras.engine_version)
    return faults


def cluster_extras(extras: Extras, region: str, engine: str, node_type: str,
                   nodes: int) -> tuple[tuple[BillLine, ...], tuple[Absent, ...]]:
    """The lines of what was asked for beside the nodes, and what of it no source prices."""
    found: list[BillLine | Absent | None] = []
    if engine == "redis" and extras.engine_version is not None and extras.month is not None:
        found.append(extended_support(region, node_type, nodes, extras.engine_version, extras.month))
    if extras.durability is not None:
        found.append(durability(region, node_type, nodes, extras.durability))
    lines = [one for one in found if isinstance(one, BillLine)]
    return ((*lines, *common_extras(extras, region, engine, free_snapshots=1)),
            tuple(one for one in found if isinstance(one, Absent)))


def common_extras(extras: Extras, region: str, engine: str, *, free_snapshots: int) -> tuple[BillLine, ...]:
    """Backups and traffic between zones, as asked for."""
    lines = []
    if extras.snapshots_retained_days is not None:
        size = exact(extras.snapshot_gb or 0.0)
        count = extras.snapshots_retained_days
        billed = max(count - free_snapshots, 0)
        rate = rates("backup_storage", region, engine)[0]
        free = ", one of them free" if free_snapshots and count else ""
        lines.append(line(f"backups: {count} daily snapshots of {plain(size)} GB kept{free}", billed * size,
                          "GB-month", amount(rate), rate.source, rate.as_of))
    if extras.cross_az_gb is not None:
        rate = rates("data_transfer_cross_az_client", region, engine)[0]
        lines.append(line("traffic across Availability Zones, billed to the application's EC2 side (rate of "
                          "secondary sources)", exact(extras.cross_az_gb), "GB", amount(rate), rate.source,
                          rate.as_of))
    return tuple(lines)
