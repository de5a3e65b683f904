"""What each class of keys costs in `used_memory`, measured while the keyspace was filled.

First form: the per-key cost is a difference of two readings, with the bucket arrays of the hash tables taken
out, since those follow from the number of keys alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.dictionary import table_bytes
from amply_capacity.model.evidence import Footprint
from amply_capacity.run.reader import Run

__all__ = ["footprint"]

# Two readings of used_memory differ by what clients, query buffers and lazily freed blocks did meanwhile.
_READING_ERROR_BYTES = 25_000
# The least that a key takes: dictEntry 24, object 16, its name 16 (Redis 7.0 on 64 bits).
_LEAST_KEY_BYTES = 56.0


def footprint(run: Run) -> Footprint:
    """The bytes per key of each class that the run's pre-fill wrote, and per connection under its load.

    A class that was not pre-filled is None. The interval is the error of two readings spread over the keys
    written. Raises BadRun where the run does not say what the empty server takes.
    """
    phases = run.events[run.events["kind"] == "phase"]
    classes = {name.removeprefix("prefill:"): detail
               for name, detail in zip(phases["name"], phases["detail"], strict=True)
               if name.startswith("prefill:")}
    base = run.manifest["server"].get("used_memory_startup")
    if base is None:
        raise BadRun(f"run {run.name} does not say what its empty server takes",
                     got="no used_memory_startup in run.json",
                     do="record it again on a server whose INFO memory is whole")
    return Footprint(
        base_bytes=int(base),
        session_bytes=_key_bytes(classes, "sessions"),
        index_bytes=_key_bytes(classes, "user_sessions"),
        index_members=_index_members(run),
        counter_bytes=_key_bytes(classes, "counters"),
        cached_bytes=_key_bytes(classes, "cached"),
        result_bytes=_key_bytes(classes, "results"),
        connection_bytes=_connection_bytes(run),
    )


def _key_bytes(classes: Mapping[str, Mapping[str, Any]], name: str) -> Interval | None:
    written = classes.get(name)
    if written is None or written["keys"] <= 0:
        return None
    keys, volatile = written["keys"], written["volatile_keys"]
    tables = (
        table_bytes(written["keys_before"] + keys) - table_bytes(written["keys_before"])
        + table_bytes(written["volatile_before"] + volatile) - table_bytes(written["volatile_before"])
    )
    spent = written["used_after_bytes"] - written["used_before_bytes"] - tables
    if spent <= 0:
        return None  # the keys written are fewer than the readings can tell
    mid = spent / keys
    error = _READING_ERROR_BYTES / keys
    return Interval(min(max(mid - error, _LEAST_KEY_BYTES), mid), mid, mid + error)


def _index_members(run: Run) -> float | None:
    population = run.manifest.get("population")
    if not population or population["stale_share"] >= 1.0:
        return None
    return float(population["sessions_per_user"] / (1.0 - population["stale_share"]))


def _connection_bytes(run: Run) -> Interval | None:
    rows = run.in_sound_samples(run.server)[["info_mem_clients_normal", "CurrConnections"]].dropna()
    rows = rows[rows["CurrConnections"] > 1]
    if rows.empty:
        return None
    per_client = rows["info_mem_clients_normal"] / rows["CurrConnections"]
    return Interval(float(per_client.min()), float(per_client.median()), float(per_client.max()))
