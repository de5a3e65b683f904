"""What somebody should look at in production's metrics: limits that were crossed, how often, when first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from amply_capacity.catalog.nodes import NodeType, node_types
from amply_capacity.run.reader import Run

__all__ = ["findings_of"]

_SMALL_VCPU = 2
_BUSY_PERCENT, _FULL_PERCENT, _POOR_HIT_PERCENT = 90.0, 80.0, 80.0
"""AWS' advice: CPU 90 %, of a small node shared among its vCPUs; memory 80 %; hit rate 80 % (User Guide and
alarm packs, 2026)."""
_FEW_CREDITS = 0.1
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class _Limit:
    """A metric, the value beyond which it tells of trouble, and what it then tells."""

    metric: str
    value: float | None
    """None where the node has no such limit."""
    words: str
    is_above: bool = True


def findings_of(run: Run, rows: pd.DataFrame) -> tuple[str, ...]:
    """Sentences; `rows` are the run's primaries, `second` the index."""
    return tuple(_sentences(run, rows))


def _sentences(run: Run, rows: pd.DataFrame) -> Iterator[str]:
    imported: Mapping[str, Any] = run.manifest["imported"]
    period_s = int(imported["period_s"])
    node = next((one for one in node_types() if one.name == run.manifest["target"]["node_type"]), None)
    if imported.get("synthesised"):
        yield "this is made-up data: an example, of no production"
    for limit in _limits(node):
        values = rows.get(limit.metric, rows.get(limit.metric.partition(".")[0]))
        if values is None or limit.value is None:
            continue
        bad = values > limit.value if limit.is_above else values < limit.value
        if bad.any():
            first = datetime.fromtimestamp(int(rows.index[bad.to_numpy()][0]), UTC)
            yield (f"{limit.words} in {int(bad.sum()):,} of {int(values.notna().sum()):,} periods of "
                   f"{period_s} s, first {first:%Y-%m-%d %H:%M} UTC")
    if imported["gap_count"]:
        missing_s = sum(gap["seconds"] for gap in imported["gaps"])
        are = "gaps" if imported["gap_count"] > 1 else "gap"
        yield f"{imported['gap_count']} {are} without any value, {missing_s / _HOUR_S:,.1f} h together"
    for what, why in imported["not_collected"].items():
        yield f"not collected: {what} ({why})"


def _limits(node: NodeType | None) -> Iterator[_Limit]:
    yield _Limit("Evictions", 0.0, "keys were evicted")
    yield _Limit("EngineCPUUtilization.Maximum", _BUSY_PERCENT,
                 f"the engine used more than {_BUSY_PERCENT:g} % of its core")
    vcpu = None if node is None else node.vcpu
    if vcpu is not None and vcpu <= _SMALL_VCPU:
        yield _Limit("CPUUtilization.Maximum", _BUSY_PERCENT / vcpu,
                     f"the host's CPU was above {_BUSY_PERCENT / vcpu:g} %, AWS' limit for {vcpu} vCPUs,")
    if node is not None and node.cpu_credits_max is not None:
        few = _FEW_CREDITS * node.cpu_credits_max
        yield _Limit("CPUCreditBalance.Minimum", few, f"fewer than {few:g} CPU credits were left", False)
    yield _Limit("DatabaseMemoryUsagePercentage", _FULL_PERCENT,
                 f"memory was more than {_FULL_PERCENT:g} % full")
    yield _Limit("CacheHitRate", _POOR_HIT_PERCENT, f"the hit rate was below {_POOR_HIT_PERCENT:g} %", False)
    for metric, words in (
            ("SwapUsage", "the host swapped"), ("RejectedConnections", "connections were refused"),
            ("NetworkBandwidthInAllowanceExceeded", "incoming packets were held back by the bandwidth"),
            ("NetworkBandwidthOutAllowanceExceeded", "outgoing packets were held back by the bandwidth"),
            ("TrafficManagementActive", "ElastiCache held back traffic, since the node is too small,")):
        yield _Limit(metric, 0.0, words)
