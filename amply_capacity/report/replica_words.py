"""What the numbers behind the verdict on a replica are called, in figures, tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amply_capacity.report.money import usd
from amply_capacity.report.numbers import plain

__all__ = ["amount_of", "cheapest_of", "listed", "number_name", "rounded", "setup_lines",
           "setup_named", "setup_words", "turning"]

_NAMES: Mapping[str, tuple[str, str]] = {
    "failures.per_node_year": ("failures of a node a year", ""),
    "failures.minutes_single": ("time to a new node", " min"),
    "failures.minutes_replica": ("time to a failover", " min"),
    "failures.reconnect_seconds": ("time to reconnect", " s"),
    "failures.replication_lag_seconds": ("replication lag", " s"),
    "failures.refill_seconds": ("time to refill the cache", " s"),
    "money.usd_per_downtime_minute": ("cost of a minute away", " USD"),
    "money.usd_per_lost_session": ("cost of a lost session", " USD"),
    "money.usd_per_breached_slo_minute": ("cost of a slow minute", " USD"),
    "users.registered": ("registered users", ""),
    "users.sessions_per_user": ("live sessions of a user", ""),
    "activity.logins_per_user_day": ("log-ins of a user a day", ""),
}


_SETUPS: Mapping[str, str] = {
    "single node": "a single node",
    "single node, snapshots": "a single node whose snapshot is restored",
    "one replica, same zone": "a replica in the same zone",
    "one replica, Multi-AZ": "a replica in another zone",
    "two replicas, Multi-AZ": "two replicas in other zones",
}


def setup_words(name: str) -> str:
    """A set-up within a sentence."""
    return _SETUPS.get(name, name)


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def number_name(path: str) -> str:
    """A number of the demand as a person says it."""
    return _NAMES.get(path, (path.partition(".")[2].replace("_", " "), ""))[0]


def amount_of(path: str, value: float) -> str:
    """A value of it, with its unit."""
    digits = 2 if value < 100.0 else 3
    return f"{plain(float(f'{value:.{digits}g}'))}{_NAMES.get(path, ('', ''))[1]}"


def rounded(value: float) -> str:
    """An expected count or time, of any size: two digits that mean something, no exponent."""
    if value <= 0.0:
        return "0"
    if value < 0.005:
        return "< 0.01"
    if value < 0.995:
        return f"{value:.2f}"
    return f"{value:,.1f}" if value < 9.95 else f"{value:,.0f}"


def setup_named(plan: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One of the plan's set-ups."""
    return next(one for one in plan["replica"]["setups"] if one["name"] == name)


def cheapest_of(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """The set-up of the least expected cost, nodes and outages together."""
    return min(plan["replica"]["setups"], key=lambda one: float(one["total_usd"]["expected"]))


def turning(plan: Mapping[str, Any]) -> list[str]:
    """Names of the numbers that turn the verdict by themselves, the widest swing first."""
    return [number_name(one["number"]) for one in plan["replica"]["sensitivity"] if one["flips"]]


def setup_lines(plan: Mapping[str, Any]) -> list[str]:
    """The set-ups as a table for a terminal; none of a draft."""
    rows = plan["replica"]["setups"]
    if not rows:
        return []
    head = f"{'minutes away':>18} {'sessions lost':>22} {'outages':>9} {'in all':>9}"
    return [f"  {'expected in a month':<24} {head}"] + [
        f"  {one['name']:<24} {_span(one['downtime_minutes']):>18} {_span(one['lost_sessions']):>22} "
        f"{usd(one['outage_usd']['expected']):>9} {usd(one['total_usd']['expected']):>9}" for one in rows]


def _span(values: Mapping[str, float]) -> str:
    return f"{rounded(values['mid'])} ({rounded(values['low'])}–{rounded(values['high'])})"
