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
from amply_capacity.report import production_tables
from amply_capacity.report.bought import bought
from amply_capacity.report.figures import CONSTRAINTS
from amply_capacity.report.numbers import assumed, plain
from amply_capacity.report.replica_words import amount_of, number_name, rounded
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
    "influences",
    "learned",
    "months",
    "open_predictions",
    "operations",
    "ranked",
    "runs",
    "scores",
    "server",
    "setups",
    "specification_costs",
    "strategies",
    "upgrades",
]

Plan = Mapping[str, Any]
_HEADROOM = ["constraint", "unit", "needed_mid", "needed_low", "needed_high", "available", "available_is",
             "headroom_percent"]


def runs(rows: Sequence[Mapping[str, Any]], chosen: str) -> Styler:
    """Runs at a glance, as `runs list` shows them; `chosen` is the directory of the one that is marked."""
    frame = pd.DataFrame([{
        "": "▶" if row["directory"] == chosen else "", "run": row["run"], "verdict": row["verdict"],
        "scenario": row["scenario"], "operations/s": row["operations_per_second"], "p99 ms": row["p99_ms"],
        "recorded, UTC": str(row["started_at"])[:16].replace("T", " "),
    } for row in rows]).astype(dict.fromkeys(("operations/s", "p99 ms"), "float64"))
    return _shown(frame, {"operations/s": "{:,.0f}", "p99 ms": "{:.3g}"})


def operations(run: Run) -> Styler:
    """Operations of the measured phase with counts, rates and service times; of production its commands."""
    if run.is_production:
        return _shown(production_tables.command_frame(run),
                      dict.fromkeys(("5 %", "median", "95 %"), "{:,.1f}"))
    return _shown(operation_table(run), {
        "operations": "{:,}", "per second": "{:,.1f}",
        "p50 ms": "{:.3g}", "p99 ms": "{:.3g}", "p99.9 ms": "{:.3g}",
    })


def server(run: Run) -> Styler:
    """CloudWatch's metrics in the measured phase: least, median and most; absent ones are left out."""
    if run.is_production:
        return _shown(production_tables.metric_frame(run), {"missing": "{:,}"})
    first, last = run.measured_seconds
    rows = run.server[run.server["second"].between(first, last)]
    metrics = [name for name in rows.columns if name[0].isupper() and rows[name].notna().any()]
    frame = rows[metrics].agg(["min", "median", "max"]).T
    emulated = run.manifest["emulated"]
    frame.insert(0, "metric", [f"{name} (emulated)" if name in emulated else name for name in metrics])
    return _shown(frame, dict.fromkeys(("min", "median", "max"), plain))


def footprint(run: Run) -> Styler:
    """Bytes per key class and per connection, with the interval of the reading."""
    if run.is_production:
        return _shown(production_tables.key_frame(run), dict.fromkeys(("low", "bytes", "high"), "{:,.0f}"))
    measured = footprint_of(run)
    values = [(field.name, getattr(measured, field.name)) for field in fields(measured)]
    rows = [{"one": name.removesuffix("_bytes"), "low": value.low, "bytes": value.mid, "high": value.high}
            for name, value in values if isinstance(value, Interval)]
    return _shown(pd.DataFrame(rows), dict.fromkeys(("low", "bytes", "high"), "{:,.0f}"))


def headroom(plan: Plan) -> Styler:
    """Each limit of the chosen type: needed, available, and percent left at the plan's confidence."""
    rows = pd.DataFrame(plan["headroom"], columns=_HEADROOM)  # none where nothing can be too small
    frame = pd.DataFrame({
        "limit": [CONSTRAINTS.get(name, name) for name in rows["constraint"]], "unit": rows["unit"],
        "needed, median": rows["needed_mid"], "5 %": rows["needed_low"], "95 %": rows["needed_high"],
        "available": rows["available"], "that is": rows["available_is"], "left": rows["headroom_percent"],
    })
    numbers = dict.fromkeys(("needed, median", "5 %", "95 %", "available"), plain)
    return _shown(frame, {**numbers, "left": "{:.0f} %"})


def ranked(plan: Plan) -> Styler:
    """The options that fit, least expected regret first."""
    rows = [{
        "nodes": bought(one), "engine": one["engine"],
        "term": one["term"].replace("_", " "), "now": one["usd_per_month"],
        "expected": one["expected_usd_per_month"], "regret": one["regret_usd_per_month"]["expected"],
        "best in": one["probability_best"], "fits in": one["probability"], "tightest": one["binding"],
    } for one in plan["ranked"][:12]]
    money = dict.fromkeys(("now", "expected", "regret"), "${:,.2f}")
    frame = pd.DataFrame(rows).astype({"fits in": "float64"})
    return _shown(frame, {**money, "best in": "{:.1%}", "fits in": "{:.1%}"})


def strategies(plan: Plan) -> Styler:
    """Ways through the horizon, the expected cheapest first; those that could not be priced last."""
    unknown = float("inf")
    rows = [{
        "way": one["name"], "first month": one["usd_first_month"],
        "expected total": one["usd_total_expected"], "of it outages": one["usd_outages_expected"],
        "against the plan": one["difference_expected"], "cheaper in": one["probability_cheaper"],
        "ahead from": one["break_even_month"] or "", "unserved": one["unserved"],
        "what has to change": one["changes"],
        "note": one["note"],
    } for one in sorted(plan["strategies"], key=lambda one: unknown if one["usd_total_expected"] is None
                        else one["usd_total_expected"])]
    numbers = ("first month", "expected total", "of it outages", "against the plan", "cheaper in",
               "unserved")
    frame = pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))
    return _shown(frame, {"first month": "${:,.2f}", "expected total": "${:,.0f}",
                          "of it outages": "${:,.0f}", "against the plan": "{:+,.0f}",
                          "cheaper in": "{:.0%}", "unserved": "{:.1%}"})


def influences(plan: Plan) -> Styler:
    """What is worth knowing better before deciding."""
    frame = pd.DataFrame(plan["influences"], columns=["number", "worth_usd_per_month", "how"])
    frame = frame.rename(columns={"worth_usd_per_month": "worth a month"})
    return _shown(frame, {"worth a month": "${:,.2f}"})


def excuses(plan: Plan) -> Styler:
    """Why each other node type was not chosen."""
    frame = pd.DataFrame(plan["excuses"], columns=["node_type", "constraint", "reason"])
    return _shown(frame.rename(columns={"node_type": "node type"}), {})


def break_even(plan: Plan) -> Styler:
    """Where the replica breaks even, one quantity at a time."""
    values = plan["replica"]["break_even"]
    names = [name.replace("_", " ") for name in values]
    frame = pd.DataFrame({"quantity": names, "breaks even at": values.values()})
    return _shown(frame, {"breaks even at": plain})


def setups(plan: Plan) -> Styler:
    """Ways to run the chosen nodes, in the first month: medians with the 5–95 % of worlds, dollars expected.
    """
    rows = [{
        "way": one["name"], "nodes": one["usd_per_month"],
        **{name: f"{rounded(one[key]['mid'])} ({rounded(one[key]['low'])} – {rounded(one[key]['high'])})"
           for name, key in (("minutes away", "downtime_minutes"), ("sessions lost", "lost_sessions"),
                             ("writes lost", "lost_writes"))},
        "agreement allows": one["promised_minutes"], "outages": one["outage_usd"]["expected"],
        "in all": one["total_usd"]["expected"], "5 %": one["total_usd"]["low"],
        "95 %": one["total_usd"]["high"], "cheapest in": one["probability_cheapest"],
    } for one in plan["replica"]["setups"]]
    money = dict.fromkeys(("nodes", "outages", "in all", "5 %", "95 %"), "${:,.2f}")
    return _shown(pd.DataFrame(rows), {**money, "agreement allows": "{:.3g} min", "cheapest in": "{:.0%}"})


def learned(plan: Plan) -> Styler:
    """What history and drills have narrowed: low, median and high before and now, and by what."""
    rows = [{"number": number_name(one["number"]),
             **{name: " – ".join(amount_of(one["number"], one[when][key]) for key in ("low", "mid", "high"))
                for name, when in (("believed before", "before"), ("now", "now"))},
             "because of": one["how"], "runs": ", ".join(one["runs"])} for one in plan["replica"]["learned"]]
    return _shown(pd.DataFrame(rows, columns=["number", "believed before", "now", "because of", "runs"]), {})


def upgrades(plan: Plan) -> Styler:
    """The upgrades of the median world."""
    columns = ["month", "from", "to", "act_by", "constraint"]
    frame = pd.DataFrame(plan["upgrades"], columns=columns).rename(columns={"act_by": "be ready by",
                                                                           "constraint": "runs short of"})
    return _shown(frame, {})


def months(plan: Plan) -> Styler:
    """The bill of each month in dollars: the 5, 25, 50, 75 and 95 % worlds."""
    money = {"usd_low": "5 %", "usd_lower": "25 %", "usd_mid": "median", "usd_upper": "75 %",
             "usd_high": "95 %"}
    frame = pd.DataFrame(plan["months"])[["month", "node_type", "shards", *money, "nothing_fits"]]
    frame = frame.astype(dict.fromkeys(money, "float64")).rename(
        columns={**money, "node_type": "node type", "nothing_fits": "nothing fits"})
    return _shown(frame, {**dict.fromkeys(money.values(), "${:,.2f}"), "nothing fits": "{:.1%}"})


def bill(plan: Plan) -> Styler:
    """The lines of the first month's bill, with their sources."""
    frame = pd.DataFrame(plan["bill"]["lines"]).rename(
        columns={"usd": "USD", "usd_per_unit": "USD per unit", "as_of": "as of"})
    return _shown(frame, {"USD": "${:,.2f}", "USD per unit": "${:g}", "quantity": "{:,}"})


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
    shown = (
        frame.style.format(dict(formats), na_rep="not known", escape="html").hide(axis="index")
        .apply(lambda _: [f"text-align: {side}" for side in sides], axis="columns")
        .set_table_styles([{"selector": f"th.col{place}", "props": f"text-align: {side}"}
                           for place, side in enumerate(sides)])
    )
    return shown.set_caption("none") if frame.empty else shown
