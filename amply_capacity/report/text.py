"""Plans and runs as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from amply_capacity.interval import Interval
from amply_capacity.model.evidence import Evidence
from amply_capacity.report.bought import node_name, would_win
from amply_capacity.report.document import conclusion
from amply_capacity.report.money import usd
from amply_capacity.report.replica_sentences import beside_the_verdict
from amply_capacity.report.replica_words import setup_lines

__all__ = ["evidence_text", "plan_text"]

_WIDTH = 108


def plan_text(plan: Mapping[str, Any]) -> str:
    """The decision first, then the limits, the replica, the months, and why other types were not chosen."""
    lines = [conclusion(plan)]
    if plan["headroom"]:
        lines += ["", f"Limits of the chosen type in {plan['fits_in_month']}, before the next review"]
    for row in plan["headroom"]:
        percent = row["headroom_percent"]
        left = "unknown" if percent is None else f"{percent:.0f} % left"
        lines.append(f"  {row['constraint']:<14} {left:<10} {row['available_is'] or ''}")
    replica = plan["replica"]
    even = replica["break_even"]
    lines += ["", f"Replica: {replica['verdict']} (probability {replica['probability']:.2f} that it saves "
                  f"more than its {usd(replica['usd_per_month'])} a month)"]
    known = [f"{value:,.3g} {name.replace('_', ' ')}" for name, value in even.items() if value is not None]
    lines.append("  breaks even at " + ", or ".join(known) if known else "  cannot break even")
    lines += setup_lines(plan)
    lines += [f"  {line}" for sentence in beside_the_verdict(plan).values()
              for line in textwrap.wrap(sentence, _WIDTH, subsequent_indent="  ")]
    lines += ["", "Month     node type             low       mid      high"]
    lines += [f"{row['month']}   {row['node_type']:<18} {usd(row['usd_low']):>8}  {usd(row['usd_mid']):>8}  "
              f"{usd(row['usd_high']):>8}" for row in plan["months"]]
    lines += ["", *_ways(plan), "", "Not chosen"]
    lines += [f"  {excuse['node_type']:<20} {excuse['constraint']:<12} {excuse['reason']}"
              for excuse in plan["excuses"][:12]]
    more = len(plan["excuses"]) - 12
    return "\n".join([*lines, f"  … and {more} more (--json lists all)"] if more > 0 else lines)


def _ways(plan: Mapping[str, Any]) -> list[str]:
    """What other ways come to, and what decides."""
    months = len(plan["months"])
    lines = [f"Other ways, with outages        {months} months   against the plan"]
    for one in plan["strategies"]:
        if one["usd_total_expected"] is None:
            known = "not priced" if one["unserved"] is None else "not known"
            lines.append(f"  {one['name']:<28} {known}: {one['note']}")
        else:
            beside = one["difference_expected"]
            difference = "" if one["name"] == "plan" or beside is None else f"{beside:+,.0f}"
            lines.append(f"  {one['name']:<26} {usd(one['usd_total_expected']):>12} {difference:>10}  "
                         f"{'; '.join(filter(None, (one['changes'], one['note'])))}")
    second = plan["runner_up"]
    if second is not None:
        lines += ["", f"Runner-up: {node_name(second)}, {second['engine']}; "
                      f"{would_win(second['would_win_if'])}"]
    lines += [f"Worth knowing: {one['number']} ({usd(one['worth_usd_per_month'])} a month): {one['how']}"
              for one in plan["influences"][:3]]
    return lines


def evidence_text(evidence: Evidence, operations: pd.DataFrame) -> str:
    """What one run says."""
    lines = [f"{evidence.run_id}: {evidence.scenario}, {evidence.verdict}, {evidence.server} "
             f"({evidence.allocator}), {evidence.seconds:.0f} s"]
    lines += [f"  warning: {warning}" for warning in evidence.warnings]
    table = operations.to_string(index=False, float_format=lambda value: f"{value:,.3g}")
    lines += ["", table, "", "Bytes of used_memory"]
    for field in fields(evidence.footprint):
        value = getattr(evidence.footprint, field.name)
        if isinstance(value, Interval):
            lines.append(f"  {field.name.removesuffix('_bytes'):<11} {value.mid:>10,.0f}  "
                         f"({value.low:,.0f} to {value.high:,.0f})")
    hit = "not measured" if evidence.hit_rate is None else f"{100 * evidence.hit_rate:.1f} %"
    lines += ["", f"Hit rate of cached reads: {hit}", f"Server CPU per command: {_cpu_text(evidence)}"]
    return "\n".join(lines)


def _cpu_text(evidence: Evidence) -> str:
    cpu = evidence.cpu_us_per_command
    if cpu is None:
        return "not measured"
    return (f"{cpu.mid:.1f} µs ({cpu.low:.1f} to {cpu.high:.1f}) at {evidence.commands_per_second:,.0f} "
            "commands a second")
