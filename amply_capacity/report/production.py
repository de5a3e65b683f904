"""An import of production, its review and its likeness to a load test, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from amply_capacity.report.numbers import plain

__all__ = ["import_text", "likeness_text", "review_text"]

_MOST_REVIEWED = 5
_NAME = 24


def import_text(rows: Sequence[Mapping[str, Any]], left_out: Mapping[str, str]) -> str:
    """Of the runs that were made, and the caches that have none; `rows` as the command's JSON has them."""
    return "\n".join(_imports(rows, left_out))


def review_text(review: Mapping[str, Any]) -> str:
    """Of one review's JSON."""
    return "\n".join(_review(review))


def likeness_text(content: Mapping[str, Any]) -> str:
    """Of a comparison's JSON."""
    return "\n".join(_likeness(content))


def _imports(rows: Sequence[Mapping[str, Any]], left_out: Mapping[str, str]) -> Iterator[str]:
    for row in rows[:_MOST_REVIEWED]:
        yield f"{row['run']}: {row['cache']}, {_span(row)}"
        yield from _review(row["review"])
        yield from (f"assumed: {text}" for text in row["assumptions"])
        yield ""
    for row in rows[_MOST_REVIEWED:]:
        found = len(row["review"]["findings"])
        yield f"{row['run']}: {row['cache']}, {_span(row)}, {found} findings (--json lists them)"
    yield from (f"left out: {name}, {why}" for name, why in left_out.items())


def _span(row: Mapping[str, Any]) -> str:
    begin, end = (str(row[name])[:16].replace("T", " ") for name in ("from", "to"))
    return f"{begin} to {end} UTC, a value every {row['period_s']} s"


def _review(review: Mapping[str, Any]) -> Iterator[str]:
    for one in review["figures"]:
        unit = f" {one['unit']}" if one["unit"] else ""
        bounds = f"  ({plain(one['low'])} to {plain(one['high'])}: {one['range']})"
        spread = "" if one["low"] == one["high"] else bounds
        yield f"  {one['name']:<{_NAME}} {plain(one['mid'])}{unit}{spread}"
    yield from (f"  look at: {text}" for text in review["findings"])


def _likeness(content: Mapping[str, Any]) -> Iterator[str]:
    yield content["conclusion"]
    yield ""
    yield f"{'':<{_NAME}} {'production':>26} {'load test':>26}"
    for row in content["figures"]:
        cells = [_interval(row[name]) for name in ("production", "test")]
        yield f"{row['name']:<{_NAME}} {cells[0]:>26} {cells[1]:>26}  {row['verdict']}"
    yield ""
    yield from (f"{row['name']}: {row['sentence']}" for row in content["figures"])


def _interval(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "not known"
    if value["low"] == value["high"]:
        return plain(value["mid"])
    return f"{plain(value['mid'])} ({plain(value['low'])}–{plain(value['high'])})"
