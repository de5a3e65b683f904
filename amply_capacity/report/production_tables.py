"""What the run review shows of production: its tables as frames, its summary, and why it has no plan."""

from __future__ import annotations

from typing import Any

import pandas as pd

from amply_capacity.model.production import primaries, range_of, review_of
from amply_capacity.report.numbers import plain
from amply_capacity.run.reader import Run

__all__ = ["NoPlan", "command_frame", "key_frame", "metric_frame", "summary_markdown"]

_KINDS = ("GetTypeCmds", "SetTypeCmds", "NonKeyTypeCmds", "ProcessedCommands")


class NoPlan(dict[str, Any]):
    """In place of the plan of a run that gives none: asked for anything, it raises BadRun, which says why."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def __missing__(self, key: str) -> Any:
        self._run.need_load()
        raise KeyError(key)


def summary_markdown(run: Run) -> str:
    """A sentence, and what somebody should look at."""
    review = review_of(run)
    known = {one.name: one.value for one in review.figures}
    parts = [f"{known[name].mid:,.0f} {words}" for name, words in (
        ("commands", "commands a second in the median hour"), ("keys", "keys")) if name in known]
    parts += [f"{known['hit rate'].mid:.1f} % of the look-ups hit"] if "hit rate" in known else []
    findings = "".join(f"\n\n> **Look at:** {text}" for text in review.findings)
    return (f"**{review.cache}, {review.days:.1f} days of production: {', '.join(parts) or 'metrics'}**\n\n"
            f"Run `{run.name}`. It plans nothing: it holds no operations, keys or sizes.{findings}")


def command_frame(run: Run) -> pd.DataFrame:
    """Commands by the kinds that CloudWatch tells apart, a second, 5–95 % of the periods."""
    rows = primaries(run)
    found = [(name, range_of(rows[name])) for name in _KINDS if name in rows]
    return pd.DataFrame([{"kind": name, "5 %": value.low, "median": value.mid, "95 %": value.high}
                         for name, value in found if value is not None],
                        columns=["kind", "5 %", "median", "95 %"])


def metric_frame(run: Run) -> pd.DataFrame:
    """Every metric of every node: least, mean and most, and how many periods lack it."""
    return pd.DataFrame([{
        "metric": row["metric"] + (" a second" if row["per_second"] else ""), "node": row["node"],
        "min": plain(row["low"]), "mean": plain(row["mean"]), "max": plain(row["high"]),
        "missing": row["missing"]} for row in run.manifest["imported"]["metrics"]])


def key_frame(run: Run) -> pd.DataFrame:
    """Bytes of all memory per key, which is all that CloudWatch tells of sizes."""
    rows = primaries(run)
    if not {"BytesUsedForCache", "CurrItems"} <= set(rows):
        return pd.DataFrame(columns=["one", "low", "bytes", "high"])
    keys = rows["CurrItems"]
    each = range_of(rows["BytesUsedForCache"][keys > 0.0] / keys[keys > 0.0])
    return pd.DataFrame([] if each is None else [
        {"one": "key, everything else included", "low": each.low, "bytes": each.mid, "high": each.high}],
        columns=["one", "low", "bytes", "high"])
