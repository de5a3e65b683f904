"""A node type's network allowance against what a load sends: the baseline that it keeps, the burst it may.

AWS, Amazon EC2 User Guide, "Amazon EC2 instance network bandwidth" (read 2026-11): the bandwidth is that of
each direction at the same time; instances with a baseline "can use a network I/O credit mechanism to burst
beyond their baseline bandwidth. Instances can use burst bandwidth for a limited time, typically from 5 to 60
minutes, depending on the instance size." How many credits a node of ElastiCache holds AWS does not publish,
so a peak between the two is reported as a burst and never as room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["BURST_MINUTES", "NetworkHeadroom", "Verdict", "network_headroom"]

BURST_MINUTES = 5.0, 60.0
"""For how long, as AWS puts it for EC2: typically, depending on the size."""
Verdict = Literal["baseline", "burst", "beyond", "unknown"]
"""Where the peak lies, at its upper bound: below the baseline, below the burst, above both."""
_BITS_PER_GBPS = 1e9


@dataclass(frozen=True, slots=True)
class NetworkHeadroom:
    """The busier direction, Gbps, and what is left as a share of an allowance: below 0, it is passed.

    None where the catalog does not know the allowance, or the network does not burst.
    """

    node_type: str
    direction: Literal["in", "out"]
    mean_gbps: Interval
    peak_gbps: Interval
    baseline_gbps: float | None
    burst_gbps: float | None

    @property
    def mean_left(self) -> Interval | None:
        """Of the baseline at the mean: has to stay above 0 for any length of time."""
        return _left(self.mean_gbps, self.baseline_gbps)

    @property
    def peak_left(self) -> Interval | None:
        """Of the baseline at the peak: below 0, the peak lives on credits."""
        return _left(self.peak_gbps, self.baseline_gbps)

    @property
    def burst_left(self) -> Interval | None:
        """Of the burst at the peak; of the baseline where the network does not burst."""
        return _left(self.peak_gbps, self.burst_gbps if self.burst_gbps is not None else self.baseline_gbps)

    @property
    def verdict(self) -> Verdict:
        if self.baseline_gbps is None:
            return "unknown"
        if self.peak_gbps.high <= self.baseline_gbps:
            return "baseline"
        within_burst = self.peak_gbps.high <= (self.burst_gbps or self.baseline_gbps)
        return "burst" if within_burst and self.mean_gbps.high <= self.baseline_gbps else "beyond"

    def as_json(self) -> dict[str, Any]:
        return {"node_type": self.node_type, "direction": self.direction, "verdict": self.verdict,
                "baseline_gbps": self.baseline_gbps, "burst_gbps": self.burst_gbps,
                "burst_minutes": list(BURST_MINUTES) if self.verdict == "burst" else None,
                **{name: None if (value := getattr(self, name)) is None else value.rounded(6) for name in (
                    "mean_gbps", "peak_gbps", "mean_left", "peak_left", "burst_left")}}


def network_headroom(node: NodeType, bytes_in_per_second: Interval, bytes_out_per_second: Interval, *,
                     peak_to_mean: float = 1.0) -> NetworkHeadroom:
    """Mean bytes a second each way, on the wire and with every replica's stream, against the allowances.

    Raises BadInput for a peak below the mean.
    """
    if peak_to_mean < 1.0:
        raise BadInput("a peak is not below the mean", got=f"{peak_to_mean:g} times it", do="give 1 or more")
    is_out = bytes_out_per_second.mid >= bytes_in_per_second.mid
    busier = bytes_out_per_second if is_out else bytes_in_per_second
    mean = busier.scaled(8.0 / _BITS_PER_GBPS)
    return NetworkHeadroom(node.name, "out" if is_out else "in", mean, mean.scaled(peak_to_mean),
                           node.network_baseline_gbps, node.network_burst_gbps)


def _left(used: Interval, allowance: float | None) -> Interval | None:
    if not allowance:
        return None
    low, mid, high = (1.0 - one / allowance for one in (used.high, used.mid, used.low))
    return Interval(low, mid, high, used.confidence)
