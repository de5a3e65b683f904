"""What fills the memory: measured bytes times the demand's counts, item by item.

Arrays have the shape (worlds, months), column 0 today, as in `workload`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amply_capacity.plan.assumptions import BACKLOG_BYTES, INDEX_MEMBER_BYTES, SMALLEST_INDEX_BYTES
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["IN_EACH_SHARD", "memory_items", "table_bytes"]

IN_EACH_SHARD = ("server", "replication backlog", "connection")
"""Items of the memory that every shard holds whole."""


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


def table_bytes(keys: Floats) -> Floats:
    """Buckets of a hash table of so many keys while it grows into them: the old table and the doubled one.

    8 bytes times the power of two that holds the keys, and half of that again for the table it grows out of,
    until the rehash is through (Redis 7.0 dict.c).
    """
    buckets = 2.0 ** np.ceil(np.log2(np.maximum(keys, 4.0)))
    return 1.5 * 8.0 * buckets
