"""The keys that a recorded run found when its load began: what its pre-fill wrote.

The emulator begins with an empty server. A recording's first access to most keys finds them there; and most
keys are never accessed in a run of minutes, but take memory and are evicted all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.accesses import HUNDREDTHS, UNKNOWN, Accesses
from amply_capacity.model.emulator import EXPIRE, GET, INCR, NEVER, SADD, SET, SMEMBERS
from amply_capacity.run.reader import Run

__all__ = ["BEFORE_SECONDS", "standing_before"]

_Array = NDArray[Any]
_CLASSES = {"sessions": "session", "user_sessions": "user_sessions", "results": "celery-task-meta",
            "cached": "cache", "counters": "rate"}
"""Names of the pre-fill's phases, and of the key classes that they write."""
_INDEX = "user_sessions"
_AGES = {"session": 604_800, "cache": 300, "celery-task-meta": 3600, "rate": 60}
"""TTLs in seconds; of a key that stands, what is left of one is anything between."""
BEFORE_SECONDS = 5
"""How long before the first access the keys are written."""


def standing_before(run: Run, accesses: Accesses, class_names: tuple[str, ...], rate: float) -> Accesses:
    """Writes of the keys that stood, a share `rate` of all, at time 0.

    Of the keys that the run touched, those whose first access found them; beside them as many that it did not
    touch as the pre-fill wrote more.
    """
    phases = run.events[run.events["kind"] == "phase"]
    written = {_CLASSES[name.removeprefix("prefill:")]: float(detail["keys"])
               for name, detail in zip(phases["name"], phases["detail"], strict=True)
               if name.removeprefix("prefill:") in _CLASSES}
    random = np.random.default_rng((len(accesses.times), 31))
    found = _first_found(accesses)
    next_key = int(accesses.keys.max()) + 1
    parts: list[Accesses] = []
    for name, keys in written.items():
        if name not in class_names:
            continue
        number = class_names.index(name)
        mine = found[accesses.classes[found] == number]
        others = max(round(keys * rate) - len(mine), 0)
        keys_there = np.concatenate([accesses.keys[mine], np.arange(next_key, next_key + others)])
        key_bytes = np.concatenate([accesses.key_bytes[mine], _drawn(accesses.key_bytes, accesses, number,
                                                                     others, random)])
        if name == _INDEX:
            times = 1 + random.poisson(max(_members(run) - 1.0, 0.0), len(keys_there))
            member = _drawn(accesses.values, accesses, number, int(times.sum()), random)
            parts.append(_writes(np.repeat(keys_there, times), SADD, number, np.repeat(key_bytes, times),
                                 member, NEVER))
        else:
            values = np.concatenate([accesses.values[mine], np.full(others, UNKNOWN)])
            values = np.where(values == UNKNOWN, _drawn(accesses.values, accesses, number, len(values),
                                                        random),
                              values)
            # A key that was found had not expired by then.
            alive_s = BEFORE_SECONDS + np.concatenate([accesses.times[mine] / HUNDREDTHS, np.zeros(others)])
            left = alive_s + random.random(len(keys_there)) * np.maximum(_AGES[name] - alive_s, 1.0)
            parts.append(_writes(keys_there, INCR if name == "rate" else SET, number, key_bytes, values,
                                 left * HUNDREDTHS))
        next_key += others
    nothing = accesses.where(np.zeros(len(accesses.times), dtype=bool))
    for part in parts:
        nothing = nothing.followed_by(part)
    return nothing.where(random.permutation(len(nothing.times)))  # a table's order is not that of the writing


def _first_found(accesses: Accesses) -> _Array:
    """The places of those first accesses of a key that found it there."""
    _, first = np.unique(accesses.keys, return_index=True)
    ops, values = accesses.ops[first], accesses.values[first]
    reads = np.isin(ops, (GET, SMEMBERS)) & (values != UNKNOWN)
    after = np.minimum(first + 1, len(accesses.keys) - 1)
    begins = (accesses.ops[after] == EXPIRE) & (accesses.keys[after] == accesses.keys[first])
    changes = ~np.isin(ops, (GET, SMEMBERS, SET)) & ~((ops == INCR) & begins)
    return np.asarray(first[reads | changes])


def _writes(keys: _Array, op: int, number: int, key_bytes: _Array, values: _Array | int,
            ttls: _Array | int) -> Accesses:
    def column(content: _Array | int, kind: Any = np.int32) -> _Array:
        return np.array(np.broadcast_to(content, len(keys)), dtype=kind)

    return Accesses(column(0), column(keys), column(op, np.int8), column(number), column(key_bytes),
                    column(values), column(ttls))


def _drawn(sizes: _Array, accesses: Accesses, number: int, count: int, random: np.random.Generator) -> _Array:
    """Sizes of so many keys of a class, drawn from those that are known; of a set, from its members'."""
    mine = accesses.classes == number
    adds = mine & (accesses.ops == SADD)
    known = sizes[(adds if adds.any() else mine) & (sizes != UNKNOWN)]
    return random.choice(known, count) if len(known) else np.full(count, UNKNOWN)


def _members(run: Run) -> float:
    """Session ids in an index, mean, those of expired sessions included."""
    population = run.manifest["population"]
    return max(float(population["sessions_per_user"] / (1.0 - population["stale_share"])), 1.0)
