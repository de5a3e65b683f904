"""What the application's keys look like, from the key accesses of a run: lengths, not measured bytes.

A run's server has its own allocator and version; lengths can be computed into bytes for any other. The bytes
that the run's pre-fill measured are the check (`checks`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from amply_capacity.interval import Interval
from amply_capacity.model.dictionary import table_bytes
from amply_capacity.model.footprint import footprint
from amply_capacity.model.layout import Layout
from amply_capacity.model.layouts import allocator_named, layout_of
from amply_capacity.model.members import IndexShape, IndexSizes, of_the_population
from amply_capacity.model.memory import shape_bytes
from amply_capacity.run.keyspace import Shape
from amply_capacity.run.reader import Run

__all__ = ["Check", "ClassShapes", "RunShapes", "checks", "shapes_of"]

_TYPES = {"sessions": ("session", "session:", "string"), "counters": ("rate", "rate:", "int"),
          "cached": ("cache", "cache:", "string"),
          "results": ("celery-task-meta", "celery-task-meta-", "string")}
_INDEX_CLASS = "user_sessions"
_WRITTEN = ("get", "set", "setex")
_TTL_S = 1.0  # that there is one decides the bytes, not how long it is
_Z = 1.645


@dataclass(frozen=True, slots=True)
class ClassShapes:
    """The keys of one class: their shapes, whose counts are shares that add up to 1."""

    shapes: tuple[Shape, ...]
    keys_seen: int

    def bytes_each(self, layout: Layout, *, has_ttl: bool = True) -> Interval:
        """Mean bytes of a key, with the error of a mean over the keys seen (90 %)."""
        shapes = self.shapes if has_ttl else [replace(shape, ttl_s=None) for shape in self.shapes]
        sizes = np.array([shape_bytes(shape, layout).mid for shape in shapes])
        shares = np.array([shape.count for shape in shapes])
        mean = float(sizes @ shares)
        error = _Z * math.sqrt(float((sizes - mean) ** 2 @ shares) / self.keys_seen)
        return Interval(mean - error, mean, mean + error)


@dataclass(frozen=True, slots=True)
class RunShapes:
    """The shapes of a run's key classes; a class that it does not show is missing."""

    classes: Mapping[str, ClassShapes]
    """By `sessions`, `counters`, `cached` and `results`."""
    index: IndexShape | None


@dataclass(frozen=True, slots=True)
class Check:
    """Bytes of a key as computed for the run's own server, beside what its pre-fill measured."""

    what: str
    computed: Interval
    measured: Interval
    """Its bounds allow for a hash table that was still being moved at one of the two readings."""

    @property
    def agrees(self) -> bool:
        """Whether the two intervals meet."""
        return self.computed.low <= self.measured.high and self.measured.low <= self.computed.high

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "agrees": self.agrees,
                **{f"{name}_{bound}": round(getattr(value, bound), 2)
                   for name, value in (("computed", self.computed), ("measured", self.measured))
                   for bound in ("low", "mid", "high")}}


def shapes_of(run: Run) -> RunShapes:
    """The lengths of names and values, each key counted once with its last known size."""
    accesses = run.accesses
    classes = {}
    for name, (key_class, prefix, kind) in _TYPES.items():
        found = _class_shapes(accesses[accesses["key_class"] == key_class], prefix, kind)
        if found is not None:
            classes[name] = found
    added = accesses[(accesses["key_class"] == _INDEX_CLASS) & (accesses["op"] == "sadd")]
    added = added.dropna(subset=["value_bytes"])
    index = None if added.empty else IndexShape(float(added["key_bytes"].mean()),
                                               float(added["value_bytes"].mean()))
    return RunShapes(classes, index)


def checks(run: Run, shapes: RunShapes) -> list[Check]:
    """Computed beside measured bytes of each class, where the run has both."""
    server = run.manifest.get("server") or {}
    kind = layout_of(str(server.get("engine")), str(server.get("version")))
    allocator = allocator_named(str(server.get("allocator")), kind)
    if allocator is None or server.get("used_memory_startup") is None:
        return []
    layout = kind(allocator)
    measured = footprint(run)
    bytes_each = {"sessions": measured.session_bytes, "counters": measured.counter_bytes,
                  "cached": measured.cached_bytes, "results": measured.result_bytes,
                  "user_sessions": measured.index_bytes}
    computed = {name: found.bytes_each(layout) for name, found in shapes.classes.items()}
    population = run.manifest.get("population")
    if shapes.index is not None and population:
        live, share = population["sessions_per_user"], population["stale_share"]
        law = of_the_population(live, live * share / (1.0 - share))
        computed["user_sessions"] = Interval.exact(
            IndexSizes(layout, shapes.index).of(law) / float(law[1:].sum()))
    return [Check(name, computed[name], _with_moves(found, _prefilled(run, name)))
            for name, found in bytes_each.items() if found is not None and name in computed]


def _prefilled(run: Run, name: str) -> Mapping[str, Any]:
    events = run.events
    detail: Mapping[str, Any] = events.loc[events["name"] == f"prefill:{name}", "detail"].iloc[-1]
    return detail


def _with_moves(each: Interval, written: Mapping[str, Any]) -> Interval:
    """Allows for the halves of hash tables that may still have been there at a reading (dict.c)."""
    keys, volatile = written["keys"], written["volatile_keys"]
    before = table_bytes(written["keys_before"]) + table_bytes(written["volatile_before"])
    after = table_bytes(written["keys_before"] + keys) + table_bytes(written["volatile_before"] + volatile)
    return Interval(max(each.low - after / 2.0 / keys, 0.0), each.mid, each.high + before / 2.0 / keys)


def _class_shapes(rows: pd.DataFrame, prefix: str, kind: str) -> ClassShapes | None:
    if kind == "string":
        rows = rows[rows["op"].isin(_WRITTEN) & (rows["value_bytes"] > 0)]
    if rows.empty:
        return None
    keys = rows.groupby("key_hash", sort=False)[["key_bytes", "value_bytes"]].last()
    sizes = keys.fillna(0.0).value_counts(normalize=True)
    rows = sizes.reset_index(name="share")
    shapes = tuple(
        Shape(prefix, kind, float(share), float(key_bytes), float(value_bytes) if kind == "string" else None,
              None, None, _TTL_S)
        for key_bytes, value_bytes, share in rows.itertuples(index=False))
    return ClassShapes(shapes, len(keys))
