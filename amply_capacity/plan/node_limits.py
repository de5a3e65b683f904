"""What node types carry of a run's mix: operations a second, limit by limit, from the host that was measured.

The engine's limit is the host's highest rate at the p99, over what the node's core is slower. A burstable
node's is the mean rate that its credits sustain, at the day's and week's shape of the demand, or of equal
minutes without one. The network's is the baseline, of the busier direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.catalog.cpu_speed import published_gains
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.interval import Interval
from amply_capacity.model.credits import HOST_CORES, credit_rules
from amply_capacity.model.node_speed import cpu_factors
from amply_capacity.model.throttling import SilentThrottling, silent_throttling, sustainable_cores
from amply_capacity.model.throughput import Throughput
from amply_capacity.plan.assumptions import FRAMING_BYTES
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.cores import week_mean_cores
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["MixBytes", "NodeLimits", "RateLimit", "WeekShape", "node_limits"]

_RATES = np.geomspace(1.0, 1e6, 120)
"""Round trips a second at which the curve is looked up."""


@dataclass(frozen=True, slots=True)
class MixBytes:
    """RESP bytes of one operation of the mix, mean."""

    bytes_in: float
    bytes_out: float


@dataclass(frozen=True, slots=True)
class WeekShape:
    """A weekday's peak over that day's mean, and a weekend day over a weekday."""

    day_peak_to_mean: float = 1.0
    weekend_to_weekday: float = 1.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Operations a second up to which a constraint holds; None where the catalog lacks the fact."""

    constraint: str
    """`cpu`: at the p99, any second. `cpu_credits` and `network`: as a mean."""
    operations_per_second: Interval | None

    def as_json(self) -> dict[str, Any]:
        value = self.operations_per_second
        return {"constraint": self.constraint, **{
            name: None if value is None else float(f"{getattr(value, name):.6g}")
            for name in ("low", "mid", "high")}}


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """One node type, its limits, and what AWS publishes of its I/O that is in none of them."""

    node_type: str
    cpu_factor: Interval
    limits: tuple[RateLimit, ...]
    silent: SilentThrottling | None
    """The load at which it is throttled unseen by the specification's alarms; only of burstable nodes."""
    published_gains: tuple[str, ...]

    @property
    def binding(self) -> RateLimit:
        """The limit that comes first."""
        return min(self.limits, key=lambda one: -np.inf if one.operations_per_second is None
                   else one.operations_per_second.mid)

    def as_json(self) -> dict[str, Any]:
        return {"node_type": self.node_type, "binding": self.binding.constraint,
                **{name: self.binding.as_json()[name] for name in ("low", "mid", "high")},
                "limits": [one.as_json() for one in self.limits],
                "cpu_factor": self.cpu_factor.rounded(4),
                "silent_throttling": None if self.silent is None else self.silent.as_json(),
                "published_gains_not_counted": list(self.published_gains)}


def node_limits(nodes: Iterable[NodeType], found: Throughput, mix: MixBytes | None, week: WeekShape,
                calibrations: Sequence[Calibration] = (), *, engine: str = "redis", version: str = "7.0",
                seed: int = 1) -> tuple[NodeLimits, ...]:
    """Of each node type; `mix` is None where the run does not tell its bytes: then the network's is None."""
    worlds = Worlds(len(found.curve.own_us), seed)
    factors = cpu_factors([one.observation for one in calibrations])
    highest = worlds.draw("host.highest", found.operations_per_second)
    rounds = found.latency.mix.rounds_per_operation
    host_cores = _week_cores(found, week)
    bytes_each = None if mix is None else _busier_bytes(mix, found.commands_per_operation, worlds)
    answers = []
    for node in nodes:
        factor = worlds.draw("prior.node_cpu", factors[node.family])
        limits = [RateLimit("cpu", _interval(highest / factor))]
        silent = None
        if node.is_burstable:
            sustained = _sustained(node, host_cores * factor[:, None], week)
            limits.append(RateLimit("cpu_credits",
                                    None if sustained is None else _interval(sustained / rounds)))
            silent = _silent(node, found, factors[node.family].mid, week)
        baseline = node.network_baseline_gbps
        limits.append(RateLimit("network", None if baseline is None or bytes_each is None else _interval(
            1e9 * baseline / 8.0 / bytes_each)))
        gains = tuple(f"{one.what}: up to {one.throughput_up_to_percent:g} % more ({one.source}, {one.as_of})"
                      for one in published_gains(node, engine, version)
                      if one.throughput_up_to_percent is not None)
        answers.append(NodeLimits(node.name, factors[node.family], tuple(limits), silent, gains))
    return tuple(answers)


def _week_cores(found: Throughput, week: WeekShape) -> Floats:
    """The engine's mean on the host at each mean rate of the table, shape (draws, rates)."""
    draws = len(found.curve.own_us)
    return week_mean_cores(found.curve, np.tile(_RATES, (draws, 1)), found.latency.mix.execution_us,
                           np.full(draws, week.day_peak_to_mean), np.full(draws, week.weekend_to_weekday))


def _sustained(node: NodeType, cores: Floats, week: WeekShape) -> Floats | None:
    """Mean round trips a second of each draw; `cores` is (draws, rates)."""
    if node.vcpu is None or node.cpu_baseline_percent_per_vcpu is None:
        return None
    level = float(sustainable_cores(credit_rules(node), np.array([week.day_peak_to_mean]),
                                    np.array([week.weekend_to_weekday]))[0])
    return np.array([float(np.interp(level, one, _RATES)) for one in cores])


def _silent(node: NodeType, found: Throughput, factor: float, week: WeekShape) -> SilentThrottling | None:
    if node.vcpu is None or node.cpu_baseline_percent_per_vcpu is None:
        return None
    best = found.curve.picked(np.zeros(1, dtype=np.int64))
    rounds, execution = found.latency.mix.rounds_per_operation, found.latency.mix.execution_us

    def cores(operations: Floats) -> Floats:
        return np.asarray(factor * best.cores(operations * rounds, execution)[0])

    return silent_throttling(node, cores, week.day_peak_to_mean, week.weekend_to_weekday,
                             host_cores=HOST_CORES)


def _busier_bytes(mix: MixBytes, commands: float, worlds: Worlds) -> Floats:
    framing = commands * worlds.draw("prior.framing_bytes", FRAMING_BYTES)
    return np.maximum(mix.bytes_in + framing, mix.bytes_out + framing)


def _interval(draws: Floats) -> Interval:
    low, mid, high = np.quantile(draws, [0.05, 0.5, 0.95])
    return Interval(float(low), float(mid), float(high))
