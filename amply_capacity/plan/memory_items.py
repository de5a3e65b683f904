"""What fills the memory: measured bytes times the demand's counts, item by item.

Arrays have the shape (worlds, months), column 0 today, as in `workload`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amply_capacity.plan.assumptions import BACKLOG_BYTES, INDEX_MEMBER_BYTES, KEY_BYTES, SMALLEST_INDEX_BYTES
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["IN_EACH_SHARD", "dram_share", "memory_items", "table_bytes"]

IN_EACH_SHARD = ("server", "replication backlog", "connection")
"""Items of the memory that every shard holds whole."""
_NO_KEYS = ("connection_bytes",)


def memory_items(counted: Mapping[str, Floats], figures: Measured, demand: Demand, load: Workload,
                 worlds: Worlds) -> dict[str, Floats]:
    """Bytes by what holds them, of so many keys of each class (`session_bytes`, …)."""
    items: dict[str, Floats] = {}
    for name, count in counted.items():
        each = worlds.draw(f"footprint.{name}", getattr(figures.footprint, name))
        if name == "index_bytes":
            each = _index_bytes(each, demand, figures, load, worlds)
        items[name.removesuffix("_bytes")] = count * each[:, None]
    volatile = load.sessions + load.counters + load.cached + load.results
    items["hash tables"] = table_bytes(volatile + load.users) + table_bytes(volatile)
    items["replication backlog"] = np.full_like(load.users, BACKLOG_BYTES)
    items["server"] = np.full_like(load.users, figures.footprint.base_bytes)
    return items


def _index_bytes(measured: Floats, demand: Demand, figures: Measured, load: Workload,
                 worlds: Worlds) -> Floats:
    """Bytes of one user's index: as measured with the run's ids in it, more or less for a world's."""
    members = figures.footprint.index_members
    if members is None:
        members = demand.users.sessions_per_user.mid + demand.users.stale_index_members_per_user.mid
    member = worlds.draw("prior.index_member_bytes", INDEX_MEMBER_BYTES)
    with_members = measured + (load.index_members_per_user - members) * member
    return np.maximum(with_members, np.minimum(measured, SMALLEST_INDEX_BYTES))


def dram_share(items: Mapping[str, Floats], counted: Mapping[str, Floats], demand: Demand,
               worlds: Worlds) -> Floats | None:
    """Of today's memory what data tiering keeps in DRAM, (worlds,): all but the values that are not hot.

    None where the demand does not say how many are. Source: AWS, Data tiering: keys always stay in memory.
    """
    hot = demand.application.hot_percent
    if hot is None:
        return None
    key_bytes = worlds.draw("prior.key_bytes", KEY_BYTES)
    keys_of = {name.removesuffix("_bytes"): count[:, 0] for name, count in counted.items()
               if name not in _NO_KEYS}
    values = np.zeros(worlds.count)
    for name, keys in keys_of.items():
        values += np.maximum(items[name][:, 0] - keys * key_bytes, 0.0)
    cold = 1.0 - np.minimum(worlds.draw("application.hot_percent", hot) / 100.0, 1.0)
    whole = np.sum([each[:, 0] for each in items.values()], axis=0)
    return np.asarray(1.0 - cold * values / whole)


def table_bytes(keys: Floats) -> Floats:
    """Buckets of a hash table of so many keys while it grows into them: the old table and the doubled one.

    8 bytes times the power of two that holds the keys, and half of that again for the table it grows out of,
    until the rehash is through (Redis 7.0 dict.c).
    """
    buckets = 2.0 ** np.ceil(np.log2(np.maximum(keys, 4.0)))
    return 1.5 * 8.0 * buckets
