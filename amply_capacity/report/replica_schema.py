"""The JSON schema of the replica in a plan: the verdict, and what stands beside it."""

from __future__ import annotations

from typing import Any

from amply_capacity.report.schema_parts import (
    INTERVAL,
    MONTH,
    NUMBER,
    SHARE,
    TEXT,
    TEXTS,
    USD,
    WHOLE,
    array,
    mapping,
    maybe,
    said,
    thing,
)

__all__ = ["replica_schema"]

Schema = dict[str, Any]

_VERDICT = {"enum": ["add", "do not add", "undecided"]}
_YES = {"type": "boolean"}
_SPAN = thing({"low": NUMBER, "mid": NUMBER, "high": NUMBER})
_EXPECTED = thing({"low": NUMBER, "mid": NUMBER, "high": NUMBER, "expected": NUMBER})
"""`mid` is the median of the worlds, `expected` their mean."""


def replica_schema(constraint: Schema) -> Schema:
    """Of the plan's `replica`; `constraint` is the schema of a constraint's name."""
    return thing({
        "verdict": _VERDICT,
        "probability": said(SHARE, "Share of the parameter worlds in which it saves more than it costs"),
        "break_even": said(mapping(maybe(NUMBER)), "At the medians; null where it never pays"),
        "break_even_notes": mapping(TEXT),
        "medians": said(mapping(NUMBER), "The numbers of the break-evens, with what was learned of them"),
        "replicas": WHOLE, "usd_per_month": USD, "avoided_usd_per_month": _EXPECTED,
        "add_from": maybe(MONTH),
        "flips_in": said(maybe(MONTH), "The first month with another verdict than the first month's"),
        "months": array(thing({"month": MONTH, "probability": SHARE, "verdict": _VERDICT})),
        **_beside_the_verdict(constraint),
    })


def _beside_the_verdict(constraint: Schema) -> dict[str, Schema]:
    """Empty or null in a draft."""
    setup = thing({
        "name": TEXT, "node_type": TEXT, "shards": WHOLE, "nodes_per_shard": WHOLE, "multi_az": _YES,
        "snapshots": _YES,
        "usd_per_month": said(USD, "Of the nodes"), "downtime_minutes": said(_EXPECTED, "In the first month"),
        "slow_minutes": said(_EXPECTED, "Served, while the cache refills"), "lost_sessions": _EXPECTED,
        "lost_writes": said(_EXPECTED, "Acknowledged ones whose outcome should still stand"),
        "outage_usd": _EXPECTED, "total_usd": said(_EXPECTED, "Nodes and outages"),
        "probability_cheapest": SHARE, "promised_percent": said(NUMBER, "AWS' service level agreement"),
        "promised_minutes": said(NUMBER, "A month, that it allows"), "promise_source": TEXT})
    learned = thing({"number": TEXT, "before": INTERVAL, "now": INTERVAL, "how": TEXT, "runs": TEXTS})
    drill = thing({
        "run": TEXT, "kind": TEXT, "topology": TEXT, "on_elasticache": _YES,
        "unavailable_seconds": maybe(NUMBER), "noticed_seconds": maybe(NUMBER),
        "reconnect_seconds": maybe(NUMBER), "refill_seconds": maybe(NUMBER), "lost_writes": maybe(WHOLE),
        "lost_by_law": said(maybe(NUMBER), "Rate × delay"), "lost_sessions": maybe(WHOLE),
        "narrowed": TEXTS, "not_taken": mapping(TEXT)})
    after = thing({
        "carries": said(_YES, "Whether one node a shard is enough in as many worlds as the plan asks"),
        "probability": SHARE, "binding": constraint, "by_constraint": mapping(maybe(SHARE)),
        "resync_seconds": maybe(NUMBER), "note": TEXT})
    reads = thing({
        "is_a_reason": _YES, "read_share": said(SHARE, "Of the commands, that replicas could answer"),
        "cpu_short_from": said(maybe(MONTH), "CPU is not enough though memory would be"),
        "memory_short_from": maybe(MONTH),
        "relieved": array(thing({"replicas": WHOLE, "probability": SHARE, "probability_without_one": SHARE})),
        "lag_seconds": _EXPECTED, "stale_share": said(SHARE, "Of a session's reads")})
    swing = thing({
        "number": TEXT, "low_value": NUMBER, "high_value": NUMBER, "probability_at_low": SHARE,
        "probability_at_high": SHARE, "verdict_at_low": _VERDICT, "verdict_at_high": _VERDICT,
        "flips": _YES})
    pays = thing({
        "usd_per_downtime_minute": array(NUMBER), "failures_per_year": array(NUMBER),
        "probability": said(array(array(SHARE)), "A row a failure rate, a column a cost"),
        "point": said(array(NUMBER), "The medians: cost, rate"),
        "region": said(array(array(NUMBER)), "Around it: 90 % of the worlds lie within")})
    refill = thing({"seconds": _SPAN, "reads_per_key_hour": NUMBER,
                    "extra_database_queries_per_key": said(NUMBER, "Of one refill")})
    return {
        "setups": said(array(setup), "Ways to run the chosen nodes"), "learned": array(learned),
        "drills": array(drill), "refill": maybe(refill), "after_failover": maybe(after),
        "read_scaling": maybe(reads),
        "cluster_mode": array(thing({"what": TEXT, "breaks": TEXT, "way_out": TEXT, "source": TEXT})),
        "sensitivity": said(array(swing), "The verdict with one number held, the widest swing first"),
        "map": maybe(pays)}
