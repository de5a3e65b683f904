"""What stands beside the verdict on a replica, in sentences that every format shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.document import month_text
from amply_capacity.report.figures import CONSTRAINTS
from amply_capacity.report.money import usd
from amply_capacity.report.replica_words import (
    amount_of,
    cheapest_of,
    listed,
    number_name,
    rounded,
    setup_named,
    setup_words,
)

__all__ = ["beside_the_verdict", "headline"]

Plan = Mapping[str, Any]


def headline(plan: Plan) -> str:
    """The decision in one sentence: the verdict, how sure it is, and what would turn it."""
    replica = plan["replica"]
    limit = replica["break_even_notes"].get("allowed")
    begins = {"add": f"A replica would pay, but {limit}" if limit else "Add a replica",
              "do not add": "Do not add a replica",
              "undecided": "Whether a replica pays is undecided" + (f", and {limit}" if limit else ""),
              }[replica["verdict"]]
    said = (f"{begins}: it saves more than its {usd(replica['usd_per_month'])} a month in "
            f"{100 * replica['probability']:.0f} % of the worlds")
    even = replica["break_even"]["failures_per_year"]
    if even is None:
        return f"{said}, and at no failure rate at the medians."
    return (f"{said}, and breaks even at {rounded(even)} failures of a node a year, where "
            f"{rounded(replica['medians']['failures_per_year'])} are thought likely.")


def beside_the_verdict(plan: Plan) -> dict[str, str]:
    """By topic: turn, setups, after_failover, reads, shards, learned; none of a draft."""
    replica = plan["replica"]
    if not replica["setups"]:
        return {}
    said = {"turn": _turn(replica), "setups": _setups(plan), "after_failover": _after_failover(replica),
            "reads": _reads(replica), "shards": _shards(plan), "learned": _learned(replica)}
    return {topic: sentence for topic, sentence in said.items() if sentence}


def _turn(replica: Plan) -> str:
    month = replica["flips_in"]
    if month is None:
        return f"The verdict stays so for all {len(replica['months'])} months."
    verdict = next(row["verdict"] for row in replica["months"] if row["month"] == month)
    return f"The verdict turns to “{verdict}” in {month_text(month)}."


def _setups(plan: Plan) -> str:
    best, single = cheapest_of(plan), setup_named(plan, "single node")
    said = (f"Nodes and outages together, {setup_words(best['name'])} is expected to cost least: "
            f"{usd(best['total_usd']['expected'])} a month; it does so in "
            f"{100 * best['probability_cheapest']:.0f} % of the worlds.")
    if best["snapshots"]:
        failures = plan["demand"]["failures"]
        said += (f" Somebody has to restore it, into a new cluster: {_mid(failures['minutes_restore']):g} "
                 f"minutes, against {_mid(failures['minutes_single']):g} until there is an empty node; and "
                 "every log-out since the snapshot is undone.")
    elif best["nodes_per_shard"] > 1:
        said += (f" {rounded(best['lost_sessions']['mid'])} sessions a month are then lost instead of "
                 f"{rounded(single['lost_sessions']['mid'])}, at the median.")
    return said


def _mid(value: Any) -> float:
    return float(value["mid"] if isinstance(value, Mapping) else value)


def _after_failover(replica: Plan) -> str:
    after = replica["after_failover"]
    does = "carries" if after["carries"] else "does not carry"
    said = (f"After a failover the node that is left {does} the whole load, in "
            f"{100 * after['probability']:.1f} % of the worlds (tightest: "
            f"{CONSTRAINTS.get(after['binding'], after['binding']).lower()})")
    if after["resync_seconds"] is not None:
        said += (f"; the next replica has the data after {after['resync_seconds']:,.0f} s at the network's "
                 "baseline")
    return f"{said}.{_sentence(after['note'])}"


def _reads(replica: Plan) -> str:
    reads = replica["read_scaling"]
    share, lag = f"{100 * reads['read_share']:.0f} %", reads["lag_seconds"]
    if reads["cpu_short_from"] is None:
        memory = reads["memory_short_from"]
        why = "the node has CPU enough in every month" if memory is None else (
            f"memory runs out first, in {month_text(memory)}")
        return (f"Reads from replicas are no reason for one: {why}; {share} of the commands are reads that "
                f"one could answer, with what was true up to {lag['high']:.2g} s before.")
    told = listed([f"{one['replicas']} would be enough in {100 * one['probability']:.0f} % of the worlds, "
                   f"in {100 * one['probability_without_one']:.0f} % with one of them lost"
                   for one in reads["relieved"]])
    reason = ("are a reason of their own for replicas" if reads["is_a_reason"] else
              "would not put that off safely")
    return (f"CPU runs out in {month_text(reads['cpu_short_from'])} though memory would do. Reads from "
            f"replicas {reason}: {share} of the commands are reads that they could answer, and {told}. What "
            f"they answer is {lag['mid']:.2g} s old, up to {lag['high']:.2g} s.")


def _shards(plan: Plan) -> str:
    if plan["demand"]["application"]["cluster_mode"]:
        return ""
    broken = [f"{one['what']} ({one['breaks']})" for one in plan["replica"]["cluster_mode"]]
    return f"More than one shard would break {listed(broken)}."


def _learned(replica: Plan) -> str:
    known = [f"{number_name(one['number'])} from {_interval(one['number'], one['before'])} to "
             f"{_interval(one['number'], one['now'])} ({one['how']})" for one in replica["learned"]]
    return f"Known better than the priors: {'; '.join(known)}." if known else ""


def _interval(number: str, interval: Mapping[str, float]) -> str:
    bounds = " – ".join(amount_of("", interval[name]) for name in ("low", "high"))
    return f"{amount_of(number, interval['mid'])} ({bounds})"


def _sentence(note: str) -> str:
    return f" {note[0].upper()}{note[1:]}." if note else ""
