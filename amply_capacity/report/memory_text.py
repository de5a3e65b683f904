"""A memory prediction for a terminal: the bill as a table with shares, the peaks, the dates, the leak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["memory_text"]

_MB = 1e6


def memory_text(found: Mapping[str, Any]) -> str:
    """Megabytes are of 10^6 bytes. The lines add up; bounds do not, since not all are reached at once."""
    lines = [_title(found), "", f"{'bytes':>15} {'low':>15} {'high':>15} {'share':>7} {'keys':>11}  what"]
    lines += [_row(item, found["used_memory_bytes"]) for item in found["items"]]
    total = {"bytes": found["used_memory_bytes"], "low": found["low"], "high": found["high"]}
    lines.append(f"{_numbers(total)} {1:>7.1%} {'':>11}  used_memory")
    lasting = {"bytes": found["unevictable_bytes"], "low": found["unevictable_low"],
               "high": found["unevictable_high"]}
    lines.append(f"{_numbers(lasting)} {lasting['bytes'] / total['bytes']:>7.1%} {'':>11}  "
                 "of it never evicted by a volatile policy")
    if found["peaks"]:
        lines += ["", "Beside it, at times"]
        lines += [f"{_numbers(peak)}  {peak['what']}; {peak['where']}" for peak in found["peaks"]]
    if found.get("headroom"):
        lines += ["", *_headroom_lines(found["headroom"], found["node_type"])]
    if found.get("outlook"):
        lines += ["", *_outlook_lines(found)]
    if found.get("leak"):
        lines += ["", *_leak_lines(found)]
    if found.get("checks"):
        lines += ["", "Bytes of a key: computed from lengths, and as the run's pre-fill measured them, where "
                  "a hash table in motion counts in"]
        lines += [f"  {one['what']:<14} {one['computed_mid']:>9,.1f}  {one['measured_mid']:>9,.1f}"
                  f"{'' if one['agrees'] else '  DIFFERS'}" for one in found["checks"]]
    return "\n".join([*lines, "", *(f"note: {note}" for note in found["notes"])])


def _title(found: Mapping[str, Any]) -> str:
    whose = f"{found['users']:,} users" if found["users"] is not None else found["source"]
    unverified = "" if found["verified_on"] else " (UNVERIFIED)"
    return (f"used_memory of {whose}: {found['used_memory_bytes'] / _MB:,.1f} MB "
            f"({found['low'] / _MB:,.1f} to {found['high'] / _MB:,.1f}) on {found['layout']}{unverified}, "
            f"jemalloc {found['allocator']}")


def _numbers(value: Mapping[str, Any]) -> str:
    return f"{value['bytes']:>15,} {value['low']:>15,} {value['high']:>15,}"


def _row(item: Mapping[str, Any], total: int) -> str:
    keys = f"{item['keys']:,}" if item["keys"] else ""
    return f"{_numbers(item)} {item['bytes'] / total:>7.1%} {keys:>11}  {item['what']}"


def _headroom_lines(room: Mapping[str, Any], node: str | None) -> list[str]:
    where = f"maxmemory {room['maxmemory_bytes']:,} bytes{f' ({node})' if node else ''}, {room['policy']}"
    words = ("writes fail" if room["writes_fail_now"] else "keys are evicted" if room["evicts_now"]
             else "it fits")
    return [f"{where}: {words}; free {room['free_bytes']:,} bytes ({room['free_low']:,} to "
            f"{room['free_high']:,})"]


def _outlook_lines(found: Mapping[str, Any]) -> list[str]:
    outlook, fixed = found["outlook"], found["outlook_with_fix"]
    lines = [f"On {found['node_type']}, maxmemory {outlook['maxmemory_bytes']:,} bytes, {outlook['policy']}: "
             f"days between which it happens in nine of ten worlds, within {found['horizon_months']} months",
             f"  {'':<28} {'early':<12} {'middle':<12} {'late':<12} probability"]
    names = {"memory_full": "memory is full", "evictions_start": "evictions start",
             "writes_fail": "writes fail"}
    for name, words in names.items():
        lines.append(f"  {words:<28} {_days(outlook[name])}")
        if name == "writes_fail":
            lines.append(f"  {'  with a TTL on the index':<28} {_days(fixed[name])}")
    return lines


def _days(when: Mapping[str, Any] | None) -> str:
    if when is None:
        return "never, by this policy"
    days = " ".join(f"{when[name] or 'not within':<12}" for name in ("low", "mid", "high"))
    return f"{days} {when['probability_within_horizon']:.0%}"


def _leak_lines(found: Mapping[str, Any]) -> list[str]:
    leak = found["leak"]
    later, fixed = leak["index_bytes_at_horizon"], leak["unevictable_bytes_at_horizon_with_fix"]
    last = found["months"][-1]
    return [
        "The leak: user_sessions:* has no TTL, so it is never evicted, and keeps ids of expired sessions",
        f"  today {leak['index_bytes_per_user']:,.0f} bytes a user, "
        f"{leak['stale_members_per_user']:.1f} stale ids; in {found['horizon_months']} months "
        f"{leak['index_bytes_per_user_at_horizon']:,.0f} and "
        f"{leak['stale_members_per_user_at_horizon']:.1f}",
        f"  all indexes in {last['month']}: {later['mid'] / _MB:,.1f} MB ({later['low'] / _MB:,.1f} to "
        f"{later['high'] / _MB:,.1f}); never evicted then: {last['unevictable_mid'] / _MB:,.1f} MB",
        f"  with EXPIRE user_sessions:… 604800 at every SADD: {fixed['mid'] / _MB:,.1f} MB "
        f"({fixed['low'] / _MB:,.1f} to {fixed['high'] / _MB:,.1f}) are never evicted then",
    ]
