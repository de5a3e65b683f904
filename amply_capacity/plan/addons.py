"""What is charged on top of a node's own price: Extended Support of an old engine, and durability.

Prices of these were read for a few nodes only. Extended Support is a stated share of the on-demand price, so
it can be computed for the others, and the line says so; of durability no share is stated, so it is absent.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.catalog.prices import price
from amply_capacity.catalog.serverless import Rate, amount, node_rate, rates
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.plan.bill import HOURS_PER_MONTH, Absent, BillLine, exact, line, plain
from amply_capacity.plan.versions import parsed_version, support_year

__all__ = ["DURABILITIES", "durability", "durability_faults", "extended_support"]

DURABILITIES = ("sync", "async")
_DURABLE_FAMILIES = frozenset({"r6g", "r7g", "r8g", "m6g", "m7g", "m8g", "c7gn", "c8gn"})
_DURABLE_VERSION = (9, 0)
"""Both of AWS, "Durability in ElastiCache", Limitations (copy of 2026)."""
_ASYNC_SOURCE = ("AWS, What's New: asynchronous writes at no additional cost, "
                 "https://aws.amazon.com/about-aws/whats-new/2026/10/elasticache-changing-durability/")
_ASYNC_AS_OF = "2026-10-27"
_MOST_NAMED = 6


def extended_support(region: str, node_type: str, nodes: int, version: str,
                     month: date) -> BillLine | Absent | None:
    """The surcharge on nodes that still run that version of Redis OSS; None in standard support.

    A reservation does not discount it. Source: AWS, "ElastiCache Extended Support charges".
    """
    parsed = parsed_version(version)
    year = support_year(parsed, month) if parsed else 0
    if not year:
        return None
    years = "Yr1_Yr2" if year < 3 else "Yr3"
    what = f"{nodes} × {node_type}, {region}: Extended Support of Redis OSS {version}, year {year}"
    sampled = node_rate(f"extended_support_surcharge_{years}", region, node_type)
    node_hours = nodes * HOURS_PER_MONTH
    if sampled is not None:
        return line(what, node_hours, "node-hour", amount(sampled), sampled.source, sampled.as_of)
    rule = _support_rule(year)
    try:
        on_demand = price(region, "redis", node_type)
    except NotOffered:
        reason = (f"it is {plain(amount(rule))} × the on-demand price, and none of {node_type} for redis in "
                  f"{region} is known")
        return Absent(f"Extended Support of Redis OSS {version}", reason)
    rate = amount(rule) * exact(on_demand.effective_hourly_usd)
    source = f"{plain(amount(rule))} × the on-demand price ({rule.detail}); {on_demand.source}"
    return line(what, node_hours, "node-hour", rate, source, on_demand.as_of)


def durability(region: str, node_type: str, nodes: int, mode: str) -> BillLine | Absent:
    """What writing through a Multi-AZ log costs: `sync` or `async`."""
    what = f"{nodes} × {node_type}, {region}: durability, {mode} writes"
    node_hours = nodes * HOURS_PER_MONTH
    if mode == "async":
        return line(what, node_hours, "node-hour", Decimal(), _ASYNC_SOURCE, _ASYNC_AS_OF)
    found = node_rate("sync_durability_addon", region, node_type)
    if found is None:
        known = [f"{rate.detail.partition(';')[0]} in {rate.region}" for rate in sorted(
            rates("sync_durability_addon"), key=lambda rate: rate.region != region)]
        more = f" and {len(known) - _MOST_NAMED:,} more" if len(known) > _MOST_NAMED else ""
        share = "about 0.18 of the Valkey node's price there"
        return Absent("durability, sync writes",
                      f"its price is known for {', '.join(known[:_MOST_NAMED])}{more} only; {share}")
    return line(what, node_hours, "node-hour", amount(found), found.source, found.as_of)


def durability_faults(mode: str, engine: str, node: NodeType | None, replicas: int,
                      version: str | None) -> list[BadInput]:
    """Why that durability cannot be had."""
    if mode not in DURABILITIES:
        return [BadInput("unknown durability", got=repr(mode), do=f"take {' or '.join(DURABILITIES)}")]
    needs = []
    if engine != "valkey":
        needs.append("engine valkey")
    if node is not None and node.family not in _DURABLE_FAMILIES:
        needs.append(f"a node type of the families {', '.join(sorted(_DURABLE_FAMILIES))}")
    if replicas == 0:
        needs.append("a replica for each shard")
    parsed = parsed_version(version) if version is not None else None
    if parsed is not None and parsed < _DURABLE_VERSION[:len(parsed)]:
        needs.append("Valkey 9.0 or newer")
    if not needs:
        return []
    got = f"{engine}{'' if version is None else ' ' + version}, {replicas} replicas"
    return [BadInput("durability is not to be had so", got=got if node is None else f"{node.name}, {got}",
                     do=f"take {', and '.join(needs)}")]


def _support_rule(year: int) -> Rate:
    wanted = "year 3" if year == 3 else "years 1 and 2"
    return next(rule for rule in rates("extended_support_rule") if rule.detail.startswith(wanted))
