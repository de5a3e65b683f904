"""A comparison of two runs or plans, and the list of runs, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["comparison_text", "runs_text"]

_VERDICTS = {"more": "more than noise", "less": "more than noise", "noise": "noise", "same": "",
             "changed": "changed", "not measured": "not measured in both"}
_LONGEST_SETTING = 44
_NO_RUNS = "no runs yet; record one: locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 60s"


def comparison_text(found: Mapping[str, Any]) -> str:
    """The conclusion first, then settings, figures and what the plan makes of them."""
    is_runs = found["kind"] == "runs"
    lines = [found["conclusion"], ""]
    named = [found[side]["run"] if is_runs else found[side]["file"] for side in ("before", "after")]
    lines += [f"before  {named[0]}", f"after   {named[1]}"]
    lines += [f"note: {note}" for note in found["notes"]]
    settings = [(one["what"], _short(one["before"]), _short(one["after"])) for one in found["settings"]]
    if settings:
        lines += ["", *_table(("Set differently" if is_runs else "Made from", "before", "after"), settings)]
    if is_runs:
        lines += ["", *_table(("Figure", "before", "after", "change (90 %)", ""), [_change(one) for one in
                                                                                   found["changes"]])]
    outcomes = found["plan"]["changes"] if is_runs else found["changes"]
    if outcomes:
        lines += ["", *_table(("The plan", "before", "after", ""), [
            (one["what"], _value(one["before"], one["unit"]), _value(one["after"], one["unit"]),
             _VERDICTS[one["verdict"]]) for one in outcomes])]
    return "\n".join(line.rstrip() for line in lines)


def runs_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a run: what it is, its verdict, scenario, rate, p99 and date."""
    if not rows:
        return _NO_RUNS
    shown = [(row["run"], row["verdict"], row["scenario"], _rate(row), _p99(row), _date(row)) for row in rows]
    return "\n".join(line.rstrip() for line in _table(
        ("run", "verdict", "scenario", "operations/s", "p99 ms", "recorded, UTC"), shown))


def _change(one: Mapping[str, Any]) -> tuple[str, ...]:
    change = one["change"]
    unit = "%" if one["change_unit"] == "percent" else "pp"
    moved = "" if change is None else (
        f"{_signed(change['mid'])} {unit} ({_signed(change['low'])} to {_signed(change['high'])})")
    return (one["what"], _value(one["before"], one["unit"]), _value(one["after"], one["unit"]), moved,
            _VERDICTS[one["verdict"]])


def _value(value: Any, unit: str) -> str:
    if value is None:
        return "–"
    if not isinstance(value, int | float):
        return str(value)
    if unit == "share":
        return f"{100.0 * value:.2f} %"
    if unit == "USD":
        return f"${value:,.2f}"
    text = f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"
    return f"{text} {unit.replace('operations per second', '').replace('percent', '%')}".rstrip()


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= _LONGEST_SETTING else f"{text[:_LONGEST_SETTING - 1]}…"


def _rate(row: Mapping[str, Any]) -> str:
    rate = row["operations_per_second"]
    return "–" if rate is None else f"{rate:,.0f}"


def _p99(row: Mapping[str, Any]) -> str:
    p99 = row["p99_ms"]
    return "–" if p99 is None else f"{p99:.3g}"


def _date(row: Mapping[str, Any]) -> str:
    return str(row["started_at"])[:16].replace("T", " ")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their content."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
