"""The answer of `predict throughput` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["throughput_text"]

_MONTHS_SHOWN = (0, 1, 6, 12, 18, 24, 30, 36)
_FEWEST_FAILURES = 1e-9
_CONSTRAINTS = {"cpu": "engine core", "cpu_credits": "CPU credits", "network": "network", "memory": "memory",
                "latency": "p99", "network_burst": "network burst", "connections": "connections"}


def throughput_text(found: Mapping[str, Any]) -> str:
    """Tables of the host's limit, of commands, of the curve, of node types, and of months where asked."""
    parts = [_conclusion(found), _commands(found), _curve(found)]
    if found["wire"] is not None:
        parts.append(_wire(found["wire"]))
    parts.append(_nodes(found["nodes"]))
    if found["surcharges"]:
        parts.append("\n".join(_surcharge(one) for one in found["surcharges"]))
    if "months" in found:
        parts += [_months(found["months"]), _connections(found["connections"])]
    parts += [f"note: {note}" for note in found["notes"]]
    return "\n\n".join(parts)


def _conclusion(found: Mapping[str, Any]) -> str:
    limits = sorted(set(found["p99_ms"].values()))
    limit = f"{limits[0]:g} ms" if len(limits) == 1 else f"{limits[0]:g} to {limits[-1]:g} ms"
    text = (f"On the recording host the server carries {found['operations_per_second']:,.0f} operations a "
            f"second ({found['low']:,.0f} to {found['high']:,.0f}, 90 %), "
            f"{found['commands_per_second']:,.0f} commands, within a p99 of {limit}; "
            f"{str(found['gives_out_first']).replace('_', ' ')} gives out first.")
    knee = found["measured_knee"]
    if knee is not None:
        text += (f" A search measured {knee['mid']:,.0f} ({knee['low']:,.0f} to {knee['high']:,.0f}).")
    return text


def _commands(found: Mapping[str, Any]) -> str:
    lines = [f"{'command':<14} {'CPU µs':>8} {'90 % interval':>17} {'at the run':>11}"]
    for one in found["cpu_us_per_command"]:
        interval = f"{one['low']:.2f}–{one['high']:.2f}"
        lines.append(f"{one['command'].upper():<14} {one['mid']:>8.2f} {interval:>17} "
                     f"{one['at_the_run_us']:>11.2f}")
    return "\n".join(lines)


def _curve(found: Mapping[str, Any]) -> str:
    lines = [f"{'operations/s':>13} {'core busy':>10} {'p50 ms':>8} {'p99 ms':>8} {'90 % interval':>17} "
             f"{'p99.9 ms':>9}"]
    for one in found["curve"]:
        p99 = one["p99"]
        upper = " or more" if p99["saturated"] else f"–{_ms(p99['high_ms'])}"
        interval = "withheld" if p99["withheld"] else _ms(p99["low_ms"]) + upper
        lines.append(f"{one['operations_per_second']:>13,.0f} {one['busy_percent']:>8.0f} % "
                     f"{_ms(one['p50']['mid_ms']):>8} {_ms(p99['mid_ms']):>8} {interval:>17} "
                     f"{_ms(one['p99.9']['mid_ms']):>9}")
    withheld = sorted({str(one[name]["withheld"]) for one in found["curve"]
                       for name in ("p50", "p99", "p99.9") if one[name]["withheld"]})
    return "\n".join([*lines, *(f"withheld: {words}" for words in withheld)])


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _surcharge(one: Mapping[str, Any]) -> str:
    each, percent = one["us_per_round"], one["percent"]
    return (f"{one['what']}: {each['mid']:+.1f} µs a round trip ({each['low']:+.1f} to {each['high']:+.1f}), "
            f"{percent['mid']:+.0f} %, at {one['rounds_per_second']:,.0f} a second")


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"{'node type':<20} {'operations/s':>13} {'90 % interval':>19}  {'binds':<12} "
             "engine core at the p99"]
    for one in nodes:
        cpu = next(limit for limit in one["limits"] if limit["constraint"] == "cpu")
        interval = "–" if one["low"] is None else f"{one['low']:,.0f}–{one['high']:,.0f}"
        lines.append(f"{one['node_type']:<20} {_rate(one['mid']):>13} {interval:>19}  "
                     f"{_CONSTRAINTS[one['binding']]:<12} {_rate(cpu['mid'])}")
    lines += [f"{one['node_type']} is throttled from a mean of {silent['ops_per_second']:,.0f} operations/s "
              f"on, and CPUUtilization never shows more than {silent['highest_cpu_percent']:.0f} %: "
              "no alarm of the specification fires."
              for one in nodes if (silent := one["silent_throttling"]) and not silent["alarm_fires"]]
    lines += [f"{one['node_type']} lives on its network's burst at that rate's peak, which lasts "
              f"{network['burst_minutes'][0]:.0f} to {network['burst_minutes'][1]:.0f} minutes."
              for one in nodes if (network := one["network"]) and network["verdict"] == "burst"]
    return "\n".join(lines)


def _wire(wire: Mapping[str, Any]) -> str:
    """Bits, as networks are sold, and packets, which AWS limits as well."""
    lines = [f"{'at the highest rate':<20} {'Mbit/s in':>15} {'out':>15} {'packets/s in':>17} {'out':>17}"]
    for name, load in (("on the wire", wire["plain"]), ("  with TLS", wire["tls"])):
        bits = [_megabits(load[f"bytes_{way}_per_second"]) for way in ("in", "out")]
        packets = [_span(load[f"packets_{way}_per_second"], ".0f") for way in ("in", "out")]
        lines.append(f"{name:<20} {bits[0]:>15} {bits[1]:>15} {packets[0]:>17} {packets[1]:>17}")
    replica = wire["replica_bytes_per_second"]
    if replica is not None:
        lines.append(f"{'to each replica':<20} {'':>15} {_megabits(replica):>15}   of RESP, on top")
    return "\n".join(lines)


def _megabits(bytes_per_second: Mapping[str, float]) -> str:
    return _span({name: 8e-6 * value for name, value in bytes_per_second.items()}, ".1f")


def _span(bounds: Mapping[str, float], digits: str) -> str:
    low, high = (format(bounds[name], f",{digits}") for name in ("low", "high"))
    return low if low == high else f"{low}–{high}"


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _months(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which limit binds, and what is left of it, percent: the middle, and the world in twenty with least."""
    names = list(dict.fromkeys(row["month"] for row in rows))
    shown = [names[place] for place in _MONTHS_SHOWN if place < len(names)]
    lines = ["Headroom of the limit that binds, percent: median (5 % of worlds have less)",
             f"{'node type':<20} " + " ".join(f"{month:>26}" for month in shown)]
    for node in dict.fromkeys(row["node_type"] for row in rows):
        cells = [f"{_CONSTRAINTS[row['binding']]} {row['headroom_mid']:.0f} ({row['headroom_low']:.0f})"
                 for row in rows if row["node_type"] == node and row["month"] in shown]
        lines.append(f"{node:<20} " + " ".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


def _connections(found: Mapping[str, Any]) -> str:
    storm, stall = found["storm"], found["stalls"][1]
    alarm = "fires" if found["spec_alarm_fires"] else "does not fire"
    fails = found["commands_that_find_no_connection"]["mid"]
    return (f"Connections: {found['tasks']} tasks × {found['workers_per_task']} workers × {found['pool']} = "
            f"{found['connections']:,} of {found['available']:,}; the alarm at {found['spec_alarm']} {alarm} "
            f"with all pools full (from {found['tasks_at_spec_alarm']} tasks on). At the peak "
            f"{found['open_at_the_peak']:,.0f} are open, and the server closes "
            f"{found['closed_for_idling_per_hour']:,.0f} an hour for idling. After a failover all come "
            f"within a second: {storm['cpu_seconds']['mid']:.2g} s of the core, "
            f"{storm['bytes'] / 1e6:,.1f} MB. The pool raises for "
            f"{'next to none' if fails < _FEWEST_FAILURES else f'{fails:.2g}'} of the commands, and for "
            f"{stall['failed_commands']['mid']:,.0f} of them in a stall of {stall['seconds']:g} s.")
