"""What a run of production's metrics holds, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["production_text"]

_MOST_GAPS = 5


def production_text(run: str, imported: Mapping[str, Any]) -> str:
    """`imported` as `run.json` has it."""
    return "\n".join(_lines(run, imported))


def _lines(run: str, imported: Mapping[str, Any]) -> Iterator[str]:
    nodes, metrics = imported["nodes"], imported["metrics"]
    of = f"{len(nodes)} nodes" if len(nodes) > 1 else "1 node"
    yield (f"{run}: {imported['cache']}, {of}, {imported['from'][:16].replace('T', ' ')} to "
           f"{imported['to'][:16].replace('T', ' ')} UTC, a value every {imported['period_s']} s, from "
           f"{imported['file']}")
    if imported["synthesised"]:
        yield "  made-up data: an example, of no production"
    for node in nodes:
        where = ", ".join(str(node[name]) for name in ("role", "zone") if node[name])
        yield f"  {node['node']:<36} {node['rows']:>8,} rows{f'  ({where})' if where else ''}"
    yield ""
    yield f"{'metric':<48} {'low':>12} {'mean':>12} {'high':>12} {'missing':>9}"
    for row in metrics:
        name = row["metric"] + (" /s" if row["per_second"] else "")
        of_node = f" ({row['node']})" if len(nodes) > 1 else ""
        yield (f"{name + of_node:<48} {row['low']:>12,.4g} {row['mean']:>12,.4g} {row['high']:>12,.4g} "
               f"{row['missing']:>9,}")
    yield ""
    for gap in imported["gaps"][:_MOST_GAPS]:
        yield f"gap: {gap['node']} has no value for {gap['seconds'] / 60:,.0f} min from {gap['from'][:16]}"
    if imported["gap_count"] > _MOST_GAPS:
        yield f"gap: and {imported['gap_count'] - _MOST_GAPS:,} more"
    for what, why in imported["not_collected"].items():
        yield f"not collected: {what} ({why})"
    yield from (f"assumed: {text}" for text in imported["assumptions"])
    yield ("It holds production's metrics alone, no load of ours: `amply-capacity production review "
           "RUN`, `production compare TEST RUN` and `alarms RUN` use them.")
