"""The tables of the notebooks: each a pandas frame made ready to be read, from a plan's JSON or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from amply_capacity.catalog import prices
from amply_capacity.interval import Interval
from amply_capacity.model.footprint import footprint as footprint_of
from amply_capacity.model.latency import operation_table
from amply_capacity.model.ledger import Entry
from amply_capacity.model.ledger import scores as scores_of
from amply_capacity.plan.cost import spec_table
from amply_capacity.report.figures import CONSTRAINTS
from amply_capacity.report.numbers import assumed, plain
from amply_capacity.run.reader import Run

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

__all__ = [
    "assumptions",
    "bill",
    "break_even",
    "excuses",
    "footprint",
    "headroom",
    "months",
    "open_predictions",
    "operations",
    "ranked",
    "scores",
    "server",
    "specification_costs",
    "upgrades",
]

Plan = Mapping[str, Any]


def operations(run: Run) -> Styler:
    """Operations of the measured phase with counts, rates and service times."""
    return _shown(operation_table(run), {
        "operations": "{:,}", "per second": "{:,.1f}",
        "p50 ms": "{:.3g}", "p99 ms": "{:.3g}", "p99.9 ms": "{:.3g}",
    })


def server(run: Run) -> Styler:
    """CloudWatch's metrics in the measured phase: least, median and most; absent ones are left out."""
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)]
    metrics = [name for name in rows.columns if name[0].isupper() and rows[name].notna().any()]
    frame = rows[metrics].agg(["min", "median", "max"]).T
    emulated = run.manifest["emulated"]
    frame.insert(0, "metric", [f"{name} (emulated)" if name in emulated else name for name in metrics])
    return _shown(frame, dict.fromkeys(("min", "median", "max"), plain))


def footprint(run: Run) -> Styler:
    """Bytes per key class and per connection, with the interval of the reading."""
    measured = footprint_of(run)
    values = [(field.name, getattr(measured, field.name)) for field in fields(measured)]
    rows = [{"one": name.removesuffix("_bytes"), "low": value.low, "bytes": value.mid, "high": value.high}
            for name, value in values if isinstance(value, Interval)]
    return _shown(pd.DataFrame(rows), dict.fromkeys(("low", "bytes", "high"), "{:,.0f}"))


def headroom(plan: Plan) -> Styler:
    """Each limit of the chosen type: needed, available, and percent left at the plan's confidence."""
    rows = pd.DataFrame(plan["headroom"])
    frame = pd.DataFrame({
        "limit": [CONSTRAINTS.get(name, name) for name in rows["constraint"]], "unit": rows["unit"],
        "needed, median": rows["needed_mid"], "5 %": rows["needed_low"], "95 %": rows["needed_high"],
        "available": rows["available"], "that is": rows["available_is"], "left": rows["headroom_percent"],
    })
    numbers = dict.fromkeys(("needed, median", "5 %", "95 %", "available"), plain)
    return _shown(frame, {**numbers, "left": "{:.0f} %"})


def ranked(plan: Plan) -> Styler:
    """The node types that fit, cheapest first."""
    columns = ["node_type", "usd_per_month", "probability", "binding", "headroom_percent"]
    return _shown(pd.DataFrame(plan["ranked"])[columns].head(12), {
        "usd_per_month": "${:,.2f}", "probability": "{:.1%}", "headroom_percent": "{:.0f} %"})


def excuses(plan: Plan) -> Styler:
    """Why each other node type was not chosen."""
    return _shown(pd.DataFrame(plan["excuses"], columns=["node_type", "constraint", "reason"]), {})


def break_even(plan: Plan) -> Styler:
    """Where the replica breaks even, one quantity at a time."""
    values = plan["replica"]["break_even"]
    names = [name.replace("_", " ") for name in values]
    frame = pd.DataFrame({"quantity": names, "breaks even at": values.values()})
    return _shown(frame, {"breaks even at": plain})


def upgrades(plan: Plan) -> Styler:
    """The upgrades of the median world."""
    columns = ["month", "from", "to", "act_by", "constraint"]
    frame = pd.DataFrame(plan["upgrades"], columns=columns).rename(columns={"act_by": "be ready by",
                                                                           "constraint": "runs short of"})
    return _shown(frame, {})


def months(plan: Plan) -> Styler:
    """The bill of each month: 5 %, median and 95 % world."""
    frame = pd.DataFrame(plan["months"])
    money = dict.fromkeys(("usd_low", "usd_mid", "usd_high"), "${:,.2f}")
    return _shown(frame, {**money, "nothing_fits": "{:.1%}"})


def bill(plan: Plan) -> Styler:
    """The lines of the first month's bill, with their sources."""
    return _shown(pd.DataFrame(plan["bill"]["lines"]), {"usd": "${:,.2f}", "quantity": "{:,}"})


def assumptions(plan: Plan) -> Styler:
    """Everything that was neither measured nor a price, with its source."""
    rows = [{"what": one["what"], "value": assumed(one["value"]), "source": one["source"]}
            for one in plan["assumptions"]]
    return _shown(pd.DataFrame(rows), {})


def scores(entries: Sequence[Entry]) -> Styler:
    """The track record by quantity: how often intervals held, and how far predictions were off."""
    judged = scores_of(entries)
    frame = pd.DataFrame({
        "quantity": [one.quantity for one in judged], "measured": [one.measured for one in judged],
        "held": [one.inside if one.measured else None for one in judged],
        "stated": [one.confidence for one in judged],
        "median error": [one.median_error for one in judged], "bias": [one.bias for one in judged],
        "worst error": [one.worst_error for one in judged], "open": [one.open for one in judged],
    }).astype({"held": "Int64", **dict.fromkeys(("median error", "bias", "worst error"), "float64")})
    return _shown(frame, {"held": "{:d}", "stated": "{:.0%}", "median error": "{:.2%}", "bias": "{:+.2%}",
                          "worst error": "{:.2%}"})


def open_predictions(entries: Sequence[Entry]) -> Styler:
    """What was predicted and has not been measured yet, oldest first."""
    rows = [{"predicted at": entry.predicted_at[:16].replace("T", " "), "quantity": entry.quantity,
             "case": entry.case, "unit": entry.unit, "low": entry.predicted.low,
             "predicted": entry.predicted.mid, "high": entry.predicted.high}
            for entry in sorted(entries, key=lambda one: one.predicted_at) if entry.measured is None]
    frame = pd.DataFrame(rows, columns=["predicted at", "quantity", "case", "unit", "low", "predicted",
                                        "high"])
    return _shown(frame, dict.fromkeys(("low", "predicted", "high"), plain))


def specification_costs() -> Styler:
    """The specification's three configurations at the true Redis prices of every region, dollars a month."""
    rows: dict[str, dict[str, float | None]] = {}
    for region in prices.regions():
        for row in spec_table(region):
            rows.setdefault(region, {})[row.configuration] = row.true_usd
    stated = {row.configuration: row.spec_usd for row in spec_table("us-east-1")}
    table = {"the specification says": stated, **rows}
    frame = pd.DataFrame.from_dict(table, orient="index").reset_index(names="region")
    return _shown(frame, dict.fromkeys(stated, "${:,.2f}"))


def _shown(frame: pd.DataFrame, formats: Mapping[str, Any]) -> Styler:
    """The frame as a table; `formats`: a format string or function by column. Numbers go to the right."""
    sides = ["right" if pd.api.types.is_numeric_dtype(frame[name]) else "left" for name in frame.columns]
    return (
        frame.style.format(dict(formats), na_rep="not known", escape="html").hide(axis="index")
        .apply(lambda _: [f"text-align: {side}" for side in sides], axis="columns")
        .set_table_styles([{"selector": "th", "props": "text-align: left"}])
    )
