"""The answer of a drill for people: a paragraph, a timeline in characters, and what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["drill_text"]

_WIDTH = 60
_SHARES = "▁▂▃▄▅▆▇█"
_NOTHING, _ALL_FAILED = " ", "×"
_TOLD = ("drill",)
_LEAST_FAILOVER = ("+odown", "+elected-leader", "+promoted-slave", "+switch-master", "+convert-to-slave",
                   "Failover election won")


def drill_text(answer: Mapping[str, Any]) -> str:
    """From the drill's JSON."""
    lines = [_headline(answer), ""]
    lines += _timeline(answer["timeline"], answer["fault_at_seconds"])
    lines += ["", *_events(answer["events"]), ""]
    lines += _losses(answer)
    lines += _predictions(answer["predicted"])
    lines += [f"{'unknown':<15}{name}: {why}" for name, why in answer["unknown"].items()]
    return "\n".join([*lines, f"{'run':<15}{answer['run']}"])


def _headline(answer: Mapping[str, Any]) -> str:
    what = f"{answer['drill']} on {answer['topology']}"
    if answer["persistence"] != "none":
        what += f", {answer['persistence']} kept"
    seconds = answer["unavailable_seconds"]
    if not answer["completed"]:
        return f"{what}: NOT COMPLETED. {answer['reason']}"
    if seconds is None:
        return f"{what}: how long clients were without it could not be told"
    away = "never away" if seconds == 0 else f"away for {seconds:.2f} s"
    return (f"{what}: {away} as its clients saw it; {answer['failed_operations']:,} operations failed, "
            f"{_count(answer['lost_writes'])} acknowledged writes and "
            f"{_count(answer['lost_sessions'])} sessions are gone")


def _timeline(timeline: Mapping[str, Any], fault_at: float | None) -> list[str]:
    """A line a use case: the height is the share of the usual number of successes, × where all failed."""
    bins = max((len(counts) for counts in timeline["succeeded"].values()), default=0)
    if not bins:
        return ["no operation was recorded"]
    each = -(-bins // _WIDTH)
    lines = []
    for name, succeeded in timeline["succeeded"].items():
        good, bad = _sums(succeeded, each), _sums(timeline["failed"][name], each)
        usual = sorted(good)[len(good) * 3 // 4] or 1
        lines.append(f"{name:<15}" + "".join(map(lambda one, other: _mark(one, other, usual), good, bad)))
    seconds = timeline["bin_seconds"] * each
    axis = "0 s"
    if fault_at is not None:
        axis = axis.ljust(int(fault_at / seconds)) + f"^ {fault_at:.1f} s"
    columns = -(-bins // each)
    return [*lines, f"{'':<15}{axis:<{columns}}  {columns * seconds:.0f} s, {seconds:g} s a column"]


def _sums(counts: Sequence[int], each: int) -> list[int]:
    return [sum(counts[start:start + each]) for start in range(0, len(counts), each)]


def _mark(succeeded: int, failed: int, usual: int) -> str:
    if not succeeded:
        return _ALL_FAILED if failed else _NOTHING
    return _SHARES[min(int(len(_SHARES) * succeeded / usual), len(_SHARES)) - 1 if succeeded < usual
                   else len(_SHARES) - 1]


def _events(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The drill's own, and of a failover the first of each kind that a person wants to know of."""
    lines, seen = [], set()
    for event in events:
        name = event["name"]
        if event["kind"] not in _TOLD:
            if not name.startswith(_LEAST_FAILOVER) or name in seen:
                continue
            seen.add(name)
        detail = {key: value for key, value in event["detail"].items() if key not in {"sentinel", "says"}}
        words = ", ".join(f"{key} {value}" for key, value in detail.items())
        lines.append(f"{event['at_seconds']:>9.3f} s  {name}{f' ({words})' if words else ''}")
    return lines


def _losses(answer: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, one in answer["use_cases"].items():
        delayed = "" if one["delayed"] is None else (
            f", {one['delayed']:,} delayed beyond {one['delayed_from_ms']:g} ms")
        away = "" if one["unavailable_seconds"] is None else f", away for {one['unavailable_seconds']:.2f} s"
        lines.append(f"{name:<15}{one['failed']:,} of {one['operations']:,} operations failed{delayed}{away}")
    for name, label in (("sessions", "sessions by id"), ("celery_results", "celery results")):
        if (tally := answer[name]) is not None:
            lines.append(f"{label:<15}{tally['checked']:,} looked at: {tally['intact']:,} intact, "
                         f"{tally['stale']:,} stale, {tally['lost']:,} lost")
    if (limits := answer["limits"]) is not None:
        lines.append(f"{'rate limits':<15}{limits['reset']:,} of {limits['followed']:,} began anew, "
                     f"{limits['set_back']:,} were set back, {limits['endless']:,} have no end")
    if (cache := answer["cache"]) is not None:
        warm = "not warm again when the load ended" if cache["refill_seconds"] is None else (
            f"warm again after {cache['refill_seconds']:.0f} s")
        lines.append(f"{'cache refill':<15}{warm}, {cache['extra_misses']:,} queries more for the database, "
                     f"{cache['peak_misses_per_second']:,} misses a second at most")
    if (storm := answer["connections"]) is not None:
        lines.append(f"{'connections':<15}{storm['connections']:,} opened from then on, "
                     f"{storm['peak_per_second']:,} in the worst second")
    return lines


def _predictions(predicted: Mapping[str, Any]) -> list[str]:
    return [f"{'predicted':<15}{name.replace('_', ' ')} {one['mid']:,.6g} "
            f"({one['low']:,.6g}–{one['high']:,.6g}), measured "
            f"{'–' if one['measured'] is None else format(one['measured'], ',.6g')}"
            for name, one in predicted.items()]


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"
