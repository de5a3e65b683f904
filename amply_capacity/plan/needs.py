"""What the load needs of a node, constraint by constraint, in every world and month.

Measured bytes and CPU times the demand's counts, of the busiest shard. Arrays have the shape
(worlds, months), column 0 today, as in `workload`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.model.credits import HOST_CORES, CreditRules, credit_rules
from amply_capacity.plan.assumptions import SSD_READ_MS
from amply_capacity.plan.cores import EngineCores
from amply_capacity.plan.credit_table import sustainable_of_worlds
from amply_capacity.plan.memory_items import IN_EACH_SHARD
from amply_capacity.plan.worlds import Floats

__all__ = ["Indices", "Limit", "Needs"]

Indices = NDArray[np.intp]
Limit = tuple[str, Floats, Floats]
"""A name, and values, (worlds, months), that may be at most the limit, (rows,), in those worlds."""

_P99_WAIT = float(np.log(100.0))
"""A queue's waiting time is nearly exponential with mean service / idle share, whatever arrives (Kingman)."""
_NEARLY_FULL = 0.99
_TINY = 1e-12
_OF_THE_CPU = ("cpu", "cpu_credits", "latency")
_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the load needs, and the parts of its memory."""

    memory_items: Mapping[str, Floats]
    """Bytes by what holds them; they add up to `used_memory` of one shard before any of it is kept free."""
    free_factor: Floats
    """What an uncertain share of free memory asks for over its median, (worlds,)."""
    connections: Floats
    users: Floats
    """Active ones."""
    bits_in_per_user: Floats
    """Of the requests of one registered user, mean a second, (worlds,)."""
    bits_out_per_user: Floats
    """Of the replies."""
    stream_bits_per_user: Floats
    """Of what one replica is sent: at most what comes in."""
    cores: EngineCores
    cpu_factor: Mapping[str, Floats]
    """Of a node family over the recording host, shape (worlds,)."""
    peak_to_mean: Floats
    day_peak_to_mean: Floats
    weekend_to_weekday: Floats
    network_p99_ms: Floats
    """What an operation takes outside the server, (worlds,)."""
    sessions: Floats
    imbalance: Floats
    """The busiest of several shards over their mean, (worlds,)."""
    dram_share: Floats | None
    """Of the memory what cannot lie on the SSD of data tiering, (worlds,); None where nobody knows."""
    measured_engine: str
    other_engine: Mapping[str, Floats]
    """`bytes` and `cpu` of an engine that was not measured over the one that was, (worlds,) each."""
    _kept: dict[tuple[object, ...], Floats] = field(default_factory=dict, compare=False, repr=False)

    def of_worlds(self, rows: Indices) -> Needs:
        """The same of some worlds."""
        some: dict[str, Any] = {each.name: value[rows] for each in fields(self)
                                if isinstance(value := getattr(self, each.name), np.ndarray)}
        return replace(self, **some, cores=self.cores.of_worlds(rows),
                       memory_items={name: values[rows] for name, values in self.memory_items.items()},
                       cpu_factor={name: values[rows] for name, values in self.cpu_factor.items()},
                       other_engine={name: values[rows] for name, values in self.other_engine.items()},
                       _kept={})

    def of(self, node: NodeType, constraint: str, months: slice = _ALL, *, shards: int = 1,
           replicas: int = 1, engine: str | None = None) -> Floats:
        """What a primary of this type has to give of one constraint, (worlds, months).

        `engine` is the measured one if it is not named. One replica is always counted, so that adding it
        never needs a bigger node. Connections are not shared out: a cluster's client has some to each shard.
        """
        values = self._values(constraint, months, shards, engine)
        return self._needed(node, constraint, values, shards, replicas, engine)

    def _values(self, constraint: str, months: slice, shards: int, engine: str | None) -> Floats:
        """What grows over the months, which many node types share."""
        match constraint:
            case "memory":
                return self.used_memory(shards, engine)[:, months]
            case "cpu" | "latency":
                return self.host_cores("cpu", shards, months)
            case "cpu_credits":
                return self.host_cores("cpu_credits", shards, months)
            case "connections":
                return self.connections[:, months]
            case _:
                return self.users[:, months]

    def _needed(self, node: NodeType, constraint: str, values: Floats, shards: int, replicas: int,
                engine: str | None) -> Floats:
        """What such values, (worlds, any), ask of this node; it grows with them."""
        match constraint:
            case "memory":
                return values * self._memory_factor(node)[:, None]
            case "cpu":
                return values * self._factor(node, engine)[:, None]
            case "cpu_credits":
                factor = self._factor(node, engine)
                return values * factor[:, None] * self._week_factor(node)[:, None] + HOST_CORES
            case "latency":
                factor = self._factor(node, engine)
                busy_ms = _P99_WAIT * self.cores.busy_us * factor / 1e3
                idle = 1.0 - np.minimum(values * factor[:, None], _NEARLY_FULL)
                return self._outside_ms(node)[:, None] + busy_ms[:, None] / idle
            case "connections":
                return values
            case _:
                return values * self._bits_per_user(constraint, shards, replicas)[:, None]

    def limits(self, node: NodeType, available: Mapping[str, float], rows: Indices | slice = _ALL, *,
               shards: int = 1, replicas: int = 1, engine: str | None = None) -> Iterator[Limit]:
        """The same question with all that is the node's on one side: where are values at most their limit?

        `available` is by constraint. Few values, which many node types share: cores, their p99 and the
        network grow with the users, and so all of them are one limit of these.
        """
        memory = available["memory"] / self._memory_factor(node)[rows]
        yield "memory", self.used_memory(shards, engine), memory
        yield "connections", self.connections, np.full_like(memory, available["connections"])
        users = self._most_users(node, available, replicas, engine)[rows] / self._share(shards)[rows]
        yield "users", self.users, users

    def _most_users(self, node: NodeType, available: Mapping[str, float], replicas: int,
                    engine: str | None) -> Floats:
        """Up to how many of them one shard is enough, but for memory and connections, (worlds,)."""
        key = ("most users", node, *available.values(), max(replicas, 1), engine)
        if key not in self._kept:
            users = self._most_users_of_cores(node, available, engine)
            for constraint in ("network", "network_burst"):
                each = np.maximum(self._bits_per_user(constraint, 1, replicas), _TINY)
                users = np.minimum(users, available[constraint] / each)
            self._kept[key] = users
        return self._kept[key]

    def _most_users_of_cores(self, node: NodeType, available: Mapping[str, float],
                             engine: str | None) -> Floats:
        """The same of the engine's cores, and of the p99 that hangs on them."""
        rate = self._most_rate_at_peak(node, available["cpu"], available["latency"], engine)
        if "cpu_credits" in available:
            factor = self._factor(node, engine) * self._week_factor(node)
            rate = np.minimum(rate, self.cores.rate_of_week((available["cpu_credits"] - HOST_CORES) / factor))
        return rate / np.maximum(self.cores.rounds_per_user, _TINY)

    def _most_rate_at_peak(self, node: NodeType, cores: float, p99_ms: float, engine: str | None) -> Floats:
        """The highest rate, as the week's mean, that takes no more at the peak, nor longer, (worlds,)."""
        outside_ms = self._outside_ms(node)
        key = ("rate", node.family, outside_ms is self.network_p99_ms, cores, p99_ms, engine)
        if key not in self._kept:
            factor = self._factor(node, engine)
            idle = _P99_WAIT * self.cores.busy_us * factor / 1e3 / np.maximum(p99_ms - outside_ms, _TINY)
            most = np.minimum(np.minimum(1.0 - idle, _NEARLY_FULL), cores)
            self._kept[key] = self.cores.rate_at_peak(most / factor)
        return self._kept[key]

    def most(self, name: str, values: Floats, months: slice, shards: int, engine: str | None) -> Floats:
        """The most of such values in any of the months, (worlds,)."""
        key = ("most", name, shards, engine if name == "memory" else None, months.indices(values.shape[1]))
        if key not in self._kept:
            self._kept[key] = values[:, months].max(axis=1)
        return self._kept[key]

    def least(self, name: str, values: Floats, months: slice, shards: int, engine: str | None) -> Floats:
        """The least of them, (worlds,)."""
        key = ("least", name, shards, engine if name == "memory" else None, months.indices(values.shape[1]))
        if key not in self._kept:
            self._kept[key] = values[:, months].min(axis=1)
        return self._kept[key]

    def sorted_of(self, node: NodeType, constraint: str, month: int, *, shards: int = 1, replicas: int = 1,
                  engine: str | None = None) -> Floats:
        """What is needed in one month, from the least to the most needy world."""
        key = ("sorted", constraint, month, shards, max(replicas, 1), engine, *self._facts(node, constraint))
        if key not in self._kept:
            self._kept[key] = np.sort(self.of(node, constraint, slice(month, month + 1), shards=shards,
                                              replicas=replicas, engine=engine)[:, 0])
        return self._kept[key]

    def used_memory(self, shards: int = 1, engine: str | None = None) -> Floats:
        """Bytes of the fullest shard, nothing kept free, (worlds, months)."""
        key = ("memory", shards, engine if engine != self.measured_engine else None)
        if key not in self._kept:
            factor = (self._share(shards) * self._other("bytes", engine))[:, None]
            self._kept[key] = self._items(is_whole=False) * factor + self._items(is_whole=True)
        return self._kept[key]

    def _items(self, *, is_whole: bool) -> Floats:
        """Bytes of those that every shard holds whole, or of those that shards share out."""
        key = ("items", is_whole)
        if key not in self._kept:
            self._kept[key] = np.asarray(sum(values for name, values in self.memory_items.items()
                                             if (name in IN_EACH_SHARD) == is_whole))
        return self._kept[key]

    def node_cores(self, node: NodeType, constraint: str, months: slice = _ALL, shards: int = 1,
                   engine: str | None = None) -> Floats:
        """The engine's cores on this node: `cpu` at the peak, `cpu_credits` the week's mean."""
        return self.host_cores(constraint, shards, months) * self._factor(node, engine)[:, None]

    def host_cores(self, constraint: str, shards: int = 1, months: slice = _ALL) -> Floats:
        """The engine's cores on the recording host: `cpu` at the peak, `cpu_credits` the week's mean."""
        key = (constraint, shards, months.start, months.stop)
        if key not in self._kept:
            rate = self.users[:, months] * (self.cores.rounds_per_user * self._share(shards))[:, None]
            self._kept[key] = (self.cores.at_peak(rate) if constraint == "cpu"
                               else self.cores.week_mean(rate))
        return self._kept[key]

    def sustainable(self, rules: CreditRules) -> Floats:
        """The highest mean of the engine that never exhausts the credits, cores, (worlds,)."""
        if (rules,) not in self._kept:
            self._kept[rules,] = sustainable_of_worlds(rules, self.day_peak_to_mean, self.weekend_to_weekday)
        # A high peak is not the credits' to refuse: beyond one core it is `cpu` that does not fit.
        return self._kept[rules,]

    def tiered_share(self, node: NodeType) -> Floats | None:
        """Of all data what a node with data tiering holds in memory at least, (worlds,); None for others.

        What must lie there, or what its SSD has no room for.
        """
        if node.ssd_bytes is None or self.dram_share is None:
            return None
        return np.maximum(self.dram_share, node.maxmemory_bytes / (node.maxmemory_bytes + node.ssd_bytes))

    def _memory_factor(self, node: NodeType) -> Floats:
        share = self.tiered_share(node)
        return self.free_factor if share is None else self.free_factor * share

    def _outside_ms(self, node: NodeType) -> Floats:
        """What an operation takes besides the engine's CPU, (worlds,)."""
        is_tiered = self.tiered_share(node) is not None
        return self.network_p99_ms + SSD_READ_MS if is_tiered else self.network_p99_ms

    def _facts(self, node: NodeType, constraint: str) -> tuple[object, ...]:
        """What tells the node type from others, of all that this constraint asks."""
        ssd_bytes = node.ssd_bytes if constraint in ("memory", "latency") else None
        return (node.family if constraint in _OF_THE_CPU else None,
                credit_rules(node) if constraint == "cpu_credits" and node.vcpu else None, ssd_bytes)

    def _share(self, shards: int) -> Floats:
        """Of the data and the traffic, on the busiest shard."""
        return np.ones_like(self.imbalance) if shards == 1 else np.minimum(self.imbalance / shards, 1.0)

    def _factor(self, node: NodeType, engine: str | None) -> Floats:
        """What the engine's CPU takes on this node over the recording host, (worlds,)."""
        key = ("factor", node.family, engine)
        if key not in self._kept:
            self._kept[key] = self.cpu_factor[node.family] * self._other("cpu", engine)
        return self._kept[key]

    def _other(self, what: str, engine: str | None) -> Floats:
        is_measured = engine is None or engine == self.measured_engine
        return np.ones_like(self.imbalance) if is_measured else self.other_engine[what]

    def _bits_per_user(self, constraint: str, shards: int, replicas: int) -> Floats:
        """A second, mean or peak, in the busier direction of the busiest shard's primary, (worlds,)."""
        key = (constraint, shards, max(replicas, 1))
        if key not in self._kept:
            out = self.bits_out_per_user + max(replicas, 1) * self.stream_bits_per_user
            each = np.maximum(self.bits_in_per_user, out) * self._share(shards)
            self._kept[key] = each * self.peak_to_mean if constraint == "network_burst" else each
        return self._kept[key]

    def _week_factor(self, node: NodeType) -> Floats:
        """The baseline over the highest mean that never exhausts the credits, 1 where all days are equal."""
        if node.vcpu is None or node.cpu_baseline_percent_per_vcpu is None:
            return np.ones_like(self.day_peak_to_mean)
        rules = credit_rules(node)
        key = ("week", rules)
        if key not in self._kept:
            self._kept[key] = np.maximum(
                (float(rules.baseline_cores) - HOST_CORES) / self.sustainable(rules), 1.0)
        return self._kept[key]
