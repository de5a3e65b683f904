"""The plans of a fleet as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.bought import bought
from amply_capacity.report.money import usd

__all__ = ["fleet_text"]


def fleet_text(fleet: Mapping[str, Any]) -> str:
    """The sum first, then a line a cluster, then what could not be planned."""
    planned = [one for one in fleet["clusters"] if one["error"] is None]
    failed = [one for one in fleet["clusters"] if one["error"] is not None]
    lines = [f"{fleet['planned']:,} clusters: {usd(fleet['usd_per_month'])} a month, "
             f"{usd(fleet['usd_per_month_today'])} today", ""]
    width = max((len(one["cluster"]) for one in planned), default=7)
    lines += [f"{'cluster':<{width}}  {'today':<20} {'chosen':<28} {'USD':>10}  replica       short from"]
    for one in planned:
        chosen, today = one["chosen"], one["today"]
        what = bought(chosen).removeprefix("1 × ")
        lines.append(f"{one['cluster']:<{width}}  {today['node_type']:<20} {what:<28} "
                     f"{usd(chosen['usd_per_month']):>10}  {one['replica']['verdict']:<12}  "
                     f"{today['short_from'] or '-'}")
    if failed:
        lines += ["", f"{len(failed):,} could not be planned"]
        lines += [f"  {one['cluster']}: {one['error']}" for one in failed]
    return "\n".join(lines)
