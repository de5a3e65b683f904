"""The answer of `amply-capacity alarms` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from amply_capacity.ops.alarm_reach import CAN_FIRE, UNKNOWN

__all__ = ["history_text"]

_MOST_TROUBLES = 12
_MOST_HEEDED_PERCENT = 50.0
_MOST_BEST = 5


def history_text(found: Mapping[str, Any]) -> str:
    """What fired and how early, what can tell nothing there, and what is not watched."""
    parts = [_head(found), _troubles(found["troubles"]), _table(found["alarms"]), _reaches(found["alarms"]),
             _missing(found), _best(found["alarms"]), *(f"note: {note}" for note in found["notes"])]
    return "\n\n".join(part for part in parts if part)


def _head(found: Mapping[str, Any]) -> str:
    fired = found["fired"]
    of = len({(one["set"], one["name"]) for one in found["alarms"]})
    text = f"{len(fired)} of {of} alarms would have fired"
    where = f" on {found['node_type']}" if found["node_type"] else ""
    minutes = f"{found['minutes']:,} minute{'s' * (found['minutes'] != 1)}"
    return (f"{text} in {found['run']}{where}: {minutes} from {_time(found['from_s'])}"
            + (": " + ", ".join(f"{one['name']} ({one['set']})" for one in fired) if fired else "."))


def _troubles(troubles: Sequence[Mapping[str, Any]]) -> str:
    if not troubles:
        return "Nothing went wrong that the run shows."
    lines = ["What went wrong"]
    lines += [f"  {_time(one['from_s'])}  {_span(one['until_s'] - one['from_s']):>8}  {one['what']}"
              + (f", {one['node']}" if one["node"] else "") for one in troubles[:_MOST_TROUBLES]]
    more = len(troubles) - _MOST_TROUBLES
    return "\n".join([*lines, f"  … and {more} more, which --json lists"] if more > 0 else lines)


def _table(alarms: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"{'alarm':<30} {'set':<13} {'fired':>6} {'first':<17} {'before the trouble':<19} "
             f"{'breaching':>13}"]
    has_nodes = len({one["node"] for one in alarms}) > 1
    for one in alarms:
        if one["not_evaluated"]:
            lines.append(f"{one['name']:<30} {one['set']:<13} {'–':>6} not evaluated: {one['not_evaluated']}")
            continue
        first = "" if one["first_fired_s"] is None else _time(one["first_fired_s"])
        points = f"{one['breaching']:,} of {one['data_points']:,}"
        lines.append(f"{one['name']:<30} {one['set']:<13} {one['times_fired']:>6} {first:<17} "
                     f"{_lead(one):<19} {points:>13}" + (f"  {one['node']}" if has_nodes else ""))
    return "\n".join(lines)


def _lead(one: Mapping[str, Any]) -> str:
    leads = [warned["lead_s"] for warned in one["warned"]]
    if not leads or not one["times_fired"]:
        return ""
    known = [lead for lead in leads if lead is not None]
    if not known:
        return "none of them"
    least = min(known)
    when = f"{_span(least)} early" if least > 0 else "as it began" if least == 0 else f"{_span(-least)} late"
    return when if len(known) == len(leads) else f"{when}, {len(known)} of {len(leads)}"


def _reaches(alarms: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"  {one['name']} {one['reach']['verdict']}: {one['reach']['why']}" for one in alarms
             if one["reach"] and one["reach"]["verdict"] not in {CAN_FIRE, UNKNOWN}]
    lines += [f"  {one['name']} was in ALARM {one['alarm_percent']:.0f} % of the time: nobody heeds it"
              for one in alarms if (one["alarm_percent"] or 0.0) > _MOST_HEEDED_PERCENT]
    return "\n".join(["What they can tell on this node type", *dict.fromkeys(lines)]) if lines else ""


def _missing(found: Mapping[str, Any]) -> str:
    if not found["missing"]:
        return ""
    lines = ["The specification has no alarm on"]
    for one in found["missing"]:
        alarm = one["proposed"]
        lines.append(f"  {one['metric']}" if alarm is None else
                     f"  {alarm['metric']}: {alarm['statistic']} {_sign(alarm)} {alarm['threshold']:,.10g} "
                     f"in {alarm['datapoints_to_alarm']} of {alarm['evaluation_periods']} periods of "
                     f"{alarm['period_s']} s, for {alarm['why']}")
    if all(one["proposed"] is None for one in found["missing"]):
        lines.append("  --plan plan.json derives their thresholds")
    return "\n".join(lines)


def _sign(alarm: Mapping[str, Any]) -> str:
    return "above" if str(alarm["comparison"]).startswith("Greater") else "below"


def _best(alarms: Sequence[Mapping[str, Any]]) -> str:
    known = [(one, one["best_threshold"]) for one in alarms if one["best_threshold"]]
    known.sort(key=lambda pair: (pair[1]["false_episodes"], pair[1]["alarm_percent"]))
    lines = list(dict.fromkeys(
        f"  {one['metric']} {one['statistic']} {_sign(one)} {best['threshold']:,.10g} in "
        f"{one['datapoints_to_alarm']} of {one['evaluation_periods']}: {best['false_episodes']} false, "
        f"{best['alarm_percent']:g} % of the time" for one, best in known))
    if not lines:
        return ""
    head = f"Thresholds that would have warned of each trouble {_span(known[0][1]['lead_s'])} before"
    return "\n".join([head, *lines[:_MOST_BEST]])


def _time(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M}"


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 2 * 3_600 else f"{seconds / 3_600:.1f} h"
