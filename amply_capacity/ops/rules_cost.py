"""Prices: a cost table against the true ones, and Valkey's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from amply_capacity.errors import AmplyError
from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Place, TableRow
from amply_capacity.ops.finding import Hit, Rule, Source
from amply_capacity.ops.nodes import node_of
from amply_capacity.plan.cost import Bill, nodes_bill

__all__ = ["RULES"]

_NODE_TYPE = re.compile(r"\bcache\.[a-z0-9]+\.[a-z0-9]+\b")
_USD = re.compile(r"\$\s*([\d,]+(?:\.\d+)?)")
_PLUS = re.compile(r"\b1\s*\+\s*(\d+)")
_NODES = re.compile(r"\b(\d+)\s*(?:x\s*)?nodes?\b", re.IGNORECASE)


def _valkey(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        node = node_of(cache)
        shards, replicas = cache.shards, cache.replicas
        if cache.engine != "redis" or node is None or shards is None or replicas is None:
            continue
        redis, valkey = (_bill(circumstances.region, engine, node.name, shards, replicas)
                         for engine in ("redis", "valkey"))
        if redis is None or valkey is None or valkey.usd_per_month >= redis.usd_per_month:
            continue
        share = 1.0 - valkey.usd_per_month / redis.usd_per_month
        yield Hit(f"{cache.name} on Redis costs ${redis.usd_per_month:,.2f} a month in "
                  f"{circumstances.region}, the same nodes on Valkey ${valkey.usd_per_month:,.2f}: "
                  f"{100.0 * share:.0f} % less",
                  "write `Engine: valkey` and `EngineVersion: \"8.0\"` with `CacheParameterGroupFamily: "
                  "valkey8`; an existing replication group is changed in place, and the clients stay",
                  cache.place("Engine"), source=_source(valkey))


def _cost_table(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    engine = next((cache.engine for cache in configuration.caches if cache.engine), "redis")
    for table in configuration.tables:
        columns = [number for number, title in enumerate(table.header) if _is_money(title)]
        for row in table.rows if columns else ():
            said = _USD.search(row.cells[columns[0]])
            name = _NODE_TYPE.search(" ".join(row.cells))
            if said is None or name is None:
                continue
            usd = float(said[1].replace(",", ""))
            nodes = _nodes(row)
            bill = _bill(circumstances.region, engine, name[0], 1, nodes - 1)
            if bill is None or abs(bill.usd_per_month - usd) <= _tolerance(said[1]):
                continue
            yield Hit(f"the table says ${said[1]} a month for {row.cells[0]}; {nodes} × {name[0]} for "
                      f"{engine} cost ${bill.usd_per_month:,.2f} in {circumstances.region} "
                      f"({circumstances.region_origin})",
                      f"write `${bill.usd_per_month:,.2f}`, with the region and the date of the price",
                      Place(row.line, row.cells[0]), source=_source(bill))


def _is_money(title: str) -> bool:
    return bool(re.search(r"cost|price|usd|\$", title, re.IGNORECASE))


def _tolerance(written: str) -> float:
    """Half of the last digit that is written."""
    return 0.5 * 10.0 ** -len(written.partition(".")[2]) + 1e-9


def _nodes(row: TableRow) -> int:
    text = " ".join(row.cells)
    if replicas := _PLUS.search(text):
        return 1 + int(replicas[1])
    count = _NODES.search(text)
    return max(int(count[1]), 1) if count else 1


def _bill(region: str, engine: str, node_type: str, shards: int, replicas: int) -> Bill | None:
    """None where that has no known price."""
    try:
        return nodes_bill(region, engine, node_type, shards, replicas)
    except AmplyError:
        return None


def _source(bill: Bill) -> Source:
    line = bill.lines[0]
    return Source(line.source, "", line.as_of)


RULES = (
    Rule("valkey-costs-less", "advice", sources.ENGINES, _valkey),
    Rule("cost-table-wrong", "warning", sources.ENGINES, _cost_table),
)
