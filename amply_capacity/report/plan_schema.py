"""The JSON schema of a plan, as `amply-capacity plan --json` prints it and `report.json` holds it."""

from __future__ import annotations

from typing import Any

from amply_capacity.catalog.prices import ENGINES, TERMS
from amply_capacity.plan.decision import SCHEMA
from amply_capacity.plan.sizing import UNITS
from amply_capacity.report.replica_schema import replica_schema
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

__all__ = ["plan_schema"]

Schema = dict[str, Any]

_ENGINE, _TERM = {"enum": list(ENGINES)}, {"enum": list(TERMS)}
_CONSTRAINT, _UNIT = {"enum": list(UNITS)}, {"enum": sorted(set(UNITS.values()))}
_QUANTITY = {"anyOf": [NUMBER, INTERVAL]}
_SPAN = thing({"low": NUMBER, "mid": NUMBER, "high": NUMBER})
_OPTION = {
    "kind": {"enum": ["nodes", "serverless"]},
    "node_type": said(maybe(TEXT), "null, as shards and replicas, where it is serverless"), "engine": _ENGINE,
    "shards": said(maybe(WHOLE), "Primaries"), "replicas": said(maybe(WHOLE), "Of each shard"), "term": _TERM,
    "usd_per_month": said(USD, "The bill of a month"),
}
_SCORED = {
    **_OPTION, "region": TEXT,
    "probability": said(maybe(SHARE), "Share of the worlds in which it has enough of everything"),
    "binding": said(maybe(_CONSTRAINT), "What it has least of"),
    "headroom_percent": said(maybe(NUMBER), "What is left of that, at the plan's confidence"),
    "expected_usd_per_month": said(USD, "Nodes and what goes wrong, mean over worlds and months"),
    "expected_node_usd_per_month": USD, "expected_harm_usd_per_month": said(mapping(USD), "By cause"),
    "regret_usd_per_month": said(thing({"expected": USD, "high": USD}),
                                 "More than the best option of each world; high is its 95 % world"),
    "probability_best": said(SHARE, "Share of the worlds in which no other option is cheaper"),
}


def plan_schema() -> Schema:
    """The schema of the object; what it does not name may not be in a plan."""
    return thing({
        "schema": said({"const": SCHEMA}, "Version of the plan"),
        "chosen": thing(_SCORED),
        "ranked": said(array(thing(_SCORED)), "Options that fit, least expected regret first"),
        "excuses": said(array(thing({"node_type": TEXT, "constraint": TEXT, "reason": TEXT,
                                     "engine": _ENGINE})), "Why each other node type was not chosen"),
        "replica": replica_schema(_CONSTRAINT), "months": array(_month()), "evidence": array(_evidence()),
        "upgrades": array(_upgrade()), "headroom": array(_headroom()), "today": _today(),
        "alternatives": array(_alternative()), "strategies": array(_strategy()),
        "influences": said(array(thing({"number": TEXT, "worth_usd_per_month": USD, "how": TEXT})),
                           "Numbers worth knowing better, the most valuable first"),
        "withheld": said(maybe(thing({"reason": TEXT, "settled_by": TEXT})),
                         "Why the choice is not to be acted upon yet, and what would settle it"),
        "runner_up": maybe(thing({**_SCORED, "would_win_if": _reversal()})),
        "review_months": said(WHOLE, "How long what is chosen is held before the plan is made again"),
        "fits_in_month": said(MONTH, "The last month before that: needs, headroom and memory_items are its"),
        "objectives": array(_objective()), "needs": array(_need()),
        "memory_items": array(thing({"what": TEXT, "bytes": WHOLE})), "bill": _bill(),
        "spec_table": array(thing({"configuration": TEXT, "spec_usd": USD, "true_usd": maybe(USD),
                                   "source": maybe(TEXT), "as_of": maybe(TEXT)})),
        "assumptions": array(thing({"what": TEXT, "value": maybe(_QUANTITY), "source": TEXT})),
        "demand": said(mapping({"type": ["object", "array"]}),
                       "The demand file's tables: a known quantity is a number, others an interval"),
        "start": said(TEXT, "ISO date; the first month is the one after"),
        "worlds": WHOLE, "seed": WHOLE,
    })


def _month() -> Schema:
    quantiles = {f"usd_{name}": said(maybe(USD), f"Of the {percent} % world; null where that is not known")
                 for name, percent in (("low", 5), ("mid", 50), ("high", 95), ("lower", 25), ("upper", 75))}
    return thing({
        "month": MONTH, "node_type": said(TEXT, "Of the median world"), "shards": maybe(WHOLE), **quantiles,
        "nothing_fits": said(SHARE, "Share of the worlds in which nothing that is offered is enough")})


def _evidence() -> Schema:
    return thing({
        "run_id": TEXT, "recorded_at": TEXT, "scenario": TEXT, "verdict": TEXT, "server": TEXT,
        "allocator": TEXT, "seconds": NUMBER, "warnings": TEXTS,
        "figures": said(TEXTS, "Figures taken from this run"),
    })


def _upgrade() -> Schema:
    return thing({"month": MONTH, "from": TEXT, "to": TEXT, "constraint": _CONSTRAINT, "act_by": MONTH,
                  "probability_by_month": mapping(SHARE, MONTH)})


def _headroom() -> Schema:
    return thing({
        "constraint": _CONSTRAINT, "unit": _UNIT, "needed_low": NUMBER, "needed_mid": NUMBER,
        "needed_high": NUMBER, "needed": said(NUMBER, "At the plan's confidence"), "available": maybe(NUMBER),
        "available_is": TEXT, "headroom_percent": maybe(NUMBER), "probability": maybe(SHARE),
    })


def _today() -> Schema:
    return thing({
        "node_type": TEXT, "engine": _ENGINE, "replicas": WHOLE, "term": _TERM, "usd_per_month": USD,
        "fits": maybe({"type": "boolean"}), "probability": SHARE, "constraint": _CONSTRAINT, "reason": TEXT,
        "short_from": maybe(MONTH), "probability_by_month": mapping(SHARE, MONTH),
        "headroom": array(_headroom()),
    })


def _alternative() -> Schema:
    return thing({"engine": _ENGINE, "node_type": TEXT, "replicas": WHOLE, "term": _TERM,
                  "usd_per_month": USD, "difference_usd": USD, "note": TEXT})


def _strategy() -> Schema:
    return said(thing({
        "name": TEXT, "what": TEXT,
        "usd_first_month": said(maybe(USD), "Expected; all figures have the outages in them"),
        "usd_total": maybe(_SPAN), "usd_total_expected": maybe(USD),
        "usd_outages_expected": said(maybe(USD), "Of usd_total_expected"),
        "unserved": said(maybe(SHARE), "Of the worlds: nothing that is offered is enough in some month"),
        "difference_expected": said(maybe(USD), "Against the plan's own way"),
        "probability_cheaper": maybe(SHARE), "break_even_month": maybe(MONTH),
        "changes": said(TEXT, "What the application or a contract has to change"), "note": TEXT,
    }), "A way through the months; null where it is not known, with the reason in note")


def _reversal() -> Schema:
    return thing({"price_fall_percent": NUMBER, "number": maybe(TEXT), "threshold": maybe(NUMBER),
                  "wins": maybe({"enum": ["above", "below"]})})


def _objective() -> Schema:
    return thing({"what": TEXT, "target": NUMBER, "unit": TEXT, "measured": maybe(NUMBER),
                  "met": maybe({"type": "boolean"}), "run_id": maybe(TEXT)})


def _need() -> Schema:
    return thing({"month": MONTH, "constraint": _CONSTRAINT, "unit": _UNIT, "low": NUMBER, "mid": NUMBER,
                  "high": NUMBER})


def _bill() -> Schema:
    line = thing({"what": TEXT, "quantity": NUMBER, "unit": TEXT, "usd": USD, "source": TEXT, "as_of": TEXT,
                  "usd_per_unit": maybe(USD)})
    return thing({**_OPTION, "gb": NUMBER, "ecpus_per_second": NUMBER, "lines": array(line), "region": TEXT,
                  "hours_per_month": NUMBER, "notes": TEXTS,
                  "absent": array(thing({"what": TEXT, "reason": TEXT}))},
                 optional=("node_type", "shards", "replicas", "term", "gb", "ecpus_per_second"))
