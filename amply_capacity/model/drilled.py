"""What a drill's run says of failures in general: what transfers from a local cluster, and what does not.

A client's own part of an outage transfers (how soon it is back once a server serves), so does how fast a
cache refills at its rate of reads a key, and the loss law, rate × delay. Who notices a failure, and how soon,
does not: that is Sentinel's setting here and AWS' secret there. A failover of a real ElastiCache group does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amply_capacity.run.reader import Run

__all__ = ["SHORTEST_SECONDS", "Drilled", "drilled"]

_SERVED = ("server is back", "+switch-master", "Failover election won", "another primary",
           "a primary for every key")
"""Moments from which a server could be found, the earliest of those that there are."""
_AGREED = ("+odown", "Marking node", "FAIL message received")
"""Of Sentinels, and of shards: a majority thinks that the primary is lost. One alone (`+sdown`) may err."""
SHORTEST_SECONDS = 0.05
"""What no drill can tell from nothing (drill.outage)."""
_LOCAL = "local cluster"


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drill; what is None it does not tell, and `why_not` says why."""

    kind: str
    topology: str
    is_on_elasticache: bool
    unavailable_seconds: float | None
    """As clients saw it."""
    noticed_seconds: float | None
    """From the fault until the servers agreed on it."""
    reconnect_seconds: float | None
    """From when a server could be found until clients were served, what takes less than 50 ms as 50 ms."""
    refill_seconds: float | None
    """From when clients were served until the cache missed as rarely as before."""
    reads_per_key_second: float | None
    """Cached reads of one cached key a second, before the fault."""
    lost_writes: int | None
    lost_by_law: float | None
    """Writes that rate × delay says are lost."""
    lost_sessions: int | None
    why_not: Mapping[str, str] = field(default_factory=dict)
    """By field."""

    @property
    def figures(self) -> tuple[str, ...]:
        """What it tells, in words."""
        told = (("failover_seconds", self.unavailable_seconds if self.is_on_elasticache else None),
                ("reconnect_seconds", self.reconnect_seconds), ("refill_seconds", self.refill_seconds),
                ("lost_writes", self.lost_writes))
        return tuple(name for name, value in told if value is not None)


def drilled(run: Run) -> Drilled | None:
    """None for a run that is of no drill."""
    drill = run.manifest.get("drill")
    if not drill:
        return None
    why_not: dict[str, str] = {}
    fault_s = _fault_s(drill)
    moments = _moments(run)
    served_s = _first(moments, _SERVED, fault_s)
    is_local = run.manifest["target"].get("kind") == _LOCAL
    law = drill["predicted"].get("lost_writes")
    return Drilled(
        kind=str(drill["drill"]), topology=str(drill["topology"]), is_on_elasticache=not is_local,
        unavailable_seconds=drill["unavailable_seconds"] if drill["completed"] else None,
        noticed_seconds=_since(_first(moments, _AGREED, fault_s), fault_s),
        reconnect_seconds=_reconnect(drill, served_s, is_local, why_not),
        refill_seconds=_refill(drill, fault_s, why_not),
        reads_per_key_second=_reads_per_key_second(run, fault_s),
        lost_writes=drill["lost_writes"], lost_by_law=None if law is None else float(law["mid"]),
        lost_sessions=drill["lost_sessions"], why_not=why_not)


def _reconnect(drill: Mapping[str, Any], served_s: float | None, is_local: bool,
               why_not: dict[str, str]) -> float | None:
    name, began_s = "reconnect_seconds", float(drill["timeline"]["began_s"])
    if not drill["completed"]:
        why_not[name] = f"the drill did not come to its end: {drill['reason']}"
    elif not is_local:
        why_not[name] = "ElastiCache does not say from when on the replica served: the whole is taken"
    elif drill["drill"] != "crash":
        why_not[name] = f"a {drill['drill']} does not break every connection as a node that fails does"
    elif drill["unavailable_seconds"] is None or not drill["is_available_again"]:
        why_not[name] = "clients were not seen to be back"
    elif served_s is None:
        why_not[name] = "no moment tells from when on a server could be found"
    elif began_s + float(drill["seconds"]) <= served_s:
        why_not[name] = "the load had ended before a server could be found"
    elif not drill["unavailable"]:
        why_not[name] = "clients saw no outage from which to be back"
    else:
        back_s = began_s + max(float(gap["at_seconds"] + gap["seconds"]) for gap in drill["unavailable"])
        return max(back_s - served_s, SHORTEST_SECONDS)
    return None


def _refill(drill: Mapping[str, Any], fault_s: float | None, why_not: dict[str, str]) -> float | None:
    name, cache, unknown = "refill_seconds", drill["cache"], drill["unknown"].get("cache.refill_seconds")
    if fault_s is None:
        why_not[name] = "nothing was broken"
    elif cache is None:
        why_not[name] = unknown or "the load had no cached reads"
    elif cache["refill_seconds"] is None:
        why_not[name] = unknown or "it was not seen to be warm again"
    elif not cache["extra_misses"] or drill["unavailable_seconds"] is None:
        why_not[name] = "the cache was not emptied"
    else:
        return max(float(cache["refill_seconds"]) - float(drill["unavailable_seconds"]), SHORTEST_SECONDS)
    return None


def _reads_per_key_second(run: Run, fault_s: float | None) -> float | None:
    requests = run.requests
    own = requests[(requests["operation"] == "cached_read") & (requests["command"] == "")
                   & (requests["clock"] == "service") & requests["outcome"].isin(["hit", "miss"])]
    keys = (run.manifest.get("population") or {}).get("organisations")
    if own.empty or not keys or fault_s is None:
        return None
    first = int(run.manifest["drill"]["timeline"]["began_s"]) + 1
    seconds = int(fault_s) - first
    if seconds < 1:
        return None
    count = own.loc[own["second"].between(first, first + seconds - 1), "count"].sum()
    return float(count) / seconds / float(keys) or None


def _fault_s(drill: Mapping[str, Any]) -> float | None:
    at = drill["fault_at_seconds"]
    return None if at is None else float(drill["timeline"]["began_s"]) + float(at)


def _moments(run: Run) -> list[tuple[float, str]]:
    events = run.events[run.events["kind"].isin(["drill", "failover"])]
    return sorted(zip(map(float, events["time_s"]), map(str, events["name"]), strict=True))


def _first(moments: list[tuple[float, str]], named: tuple[str, ...], since_s: float | None) -> float | None:
    if since_s is None:
        return None
    return next((time_s for time_s, name in moments if time_s >= since_s and name.startswith(named)), None)


def _since(time_s: float | None, fault_s: float | None) -> float | None:
    return None if time_s is None or fault_s is None else time_s - fault_s
