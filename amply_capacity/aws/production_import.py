"""Production's metrics to runs: what is to be read, reading it part by part, a run for each cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from amply_capacity.aws.asking import Sleep, is_servers_fault, patiently
from amply_capacity.aws.cloudwatch import (
    QUERIES_A_CALL,
    Series,
    Window,
    list_metrics,
    read_series,
    window_of,
)
from amply_capacity.aws.elasticache import Cache, Inventory, read_caches, with_details
from amply_capacity.aws.import_request import Clients, Imported, Outcome, Request
from amply_capacity.aws.import_run import NodeSeries, new_folder, write_run
from amply_capacity.aws.metrics import Listed, Query, node_queries
from amply_capacity.aws.regions import named_elsewhere
from amply_capacity.aws.resume import OLDEST_S, Checkpoint
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.run.folder import check_free
from amply_capacity.run.reader import read_run

__all__ = ["Import"]

_MOST_POINTS_A_PART = 403_200
"""Four pages of CloudWatch: what an interruption may cost. A question is sent again for each page."""
_FEW_NODES = 6
_SKEW_SAID_S = 60.0


class Import:
    """One import, prepared: `points` of CloudWatch are to be read, `carry_out` reads them.

    Raises BadInput for a cache that is not there (and says in which region it is), for a period without
    data and for a folder that holds something; AmplyError for what AWS refuses. What was read before is used
    again.
    """

    def __init__(self, request: Request, clients: Clients, checkpoint: Checkpoint,
                 tell: Callable[[str], None], sleep: Sleep = time.sleep) -> None:
        self._request, self._clients, self._checkpoint = request, clients, checkpoint
        self._tell, self._sleep = tell, sleep
        self._began = datetime.now(UTC)
        window_of(request.days, request.period_s, self._began.timestamp())  # before AWS is asked anything
        now = read_caches(clients.elasticache, request.region)
        chosen = self._chosen(now)
        signature = [[cache.name, *(node.id for node in cache.nodes),
                      cache.settings.get("CacheClusterCreateTime"),
                      cache.settings.get("ReplicationGroupCreateTime")] for cache in chosen]
        kept = self._kept(signature)
        self._check_folders(chosen, {} if kept is None else checkpoint.written)
        if kept is None:
            self._begin(now, chosen, signature)
        else:
            self._resume(kept)
        self.points = len(self._queries) * self.window.points

    def carry_out(self, advance: Callable[[int], None]) -> Outcome:
        """Read all series and write the runs; `advance` is told how many points more are there."""
        written = self._checkpoint.written
        pending: dict[str, dict[Query, Series]] = {cache.name: {} for cache in self._caches}
        left = {cache.name: sum(map(len, self._by_node(cache).values())) for cache in self._caches}
        cache_of = {node.id: cache for cache in self._caches for node in cache.nodes}
        runs, empty = [], {name: "no metric of it was published in the last two weeks" for name, count
                           in left.items() if not count}
        for number, part in enumerate(self._parts()):
            if all(cache_of[query.node].name in written for query in part):
                series: list[Series] = []
            else:
                series = self._read(number, part, advance)
            for query, one in zip(part, series, strict=False):
                pending[cache_of[query.node].name][query] = one
            for query in part:
                left[cache_of[query.node].name] -= 1
            for name in dict.fromkeys(cache_of[query.node].name for query in part):
                if left[name] == 0:
                    made = self._finish(next(one for one in self._caches if one.name == name),
                                        pending.pop(name), written.get(name))
                    if made is None:
                        empty[name] = f"it has no data in the last {self._request.days} days"
                    else:
                        runs.append(made)
        self._checkpoint.drop()
        if not runs:
            raise BadInput("CloudWatch has no data in that period",
                           got="; ".join(f"{name}: {why}" for name, why in sorted(empty.items())),
                           do="give more --days, or check the name and --region")
        skipped = {name: "it is Memcached" for name in self._inventory.others if self._request.cache is None}
        return Outcome(tuple(sorted(runs, key=lambda one: one.cache)), {**empty, **skipped})

    def _chosen(self, inventory: Inventory) -> tuple[Cache, ...]:
        wanted, region = self._request.cache, self._request.region
        if wanted is None:
            if not inventory.caches:
                raise BadInput(f"there is no Redis or Valkey cache in {region}",
                               got=f"{len(inventory.others)} of Memcached", do="give another --region")
            return inventory.caches
        cache = inventory.named(wanted)
        if cache is not None:
            return (cache,)
        if wanted in inventory.others:
            raise BadInput(f"{wanted} is Memcached", got=f"a cache in {region}",
                           do="name one of Redis or Valkey")
        raise named_elsewhere(wanted, region, [one.name for one in inventory.caches])

    def _kept(self, signature: list[list[Any]]) -> dict[str, Any] | None:
        """What an import of the same caches was to read, if it was interrupted not too long ago."""
        kept = self._checkpoint.plan
        if kept is None or kept["signature"] != signature:
            return None
        age_s = self._began.timestamp() - kept["window"]["end_s"]
        return kept if 0 <= age_s < OLDEST_S else None

    def _check_folders(self, chosen: Sequence[Cache], written: Mapping[str, str]) -> None:
        """Raise BadInput for a folder that holds something, but for the runs that are `written` already."""
        for cache in chosen:
            folder = self._folder(cache)
            if folder is not None and written.get(cache.name) != str(folder):
                check_free(folder)

    def _folder(self, cache: Cache) -> Path | None:
        """The one that was asked for."""
        run_dir = self._request.run_dir
        if run_dir is None:
            return None
        return (run_dir if self._request.cache is not None else run_dir / cache.name).resolve()

    def _resume(self, kept: Mapping[str, Any]) -> None:
        self._inventory = Inventory.of_json(kept["inventory"])
        names = {row[0] for row in kept["signature"]}
        self._caches = tuple(cache for cache in self._inventory.caches if cache.name in names)
        self.window = Window(**kept["window"])
        self._notes: list[str] = kept["notes"]
        self._queries = tuple(Query(**{**one, "dimensions": tuple(map(tuple, one["dimensions"]))})
                              for one in kept["queries"])
        parts = self._parts()
        there = sum(self._checkpoint.has(number) for number in range(len(parts)))
        end = datetime.fromtimestamp(self.window.end_s, UTC)
        self._tell(f"going on with the import that was interrupted, up to {end:%Y-%m-%d %H:%M} UTC: "
                   f"{there} of {len(parts)} parts and {len(self._checkpoint.written)} of "
                   f"{len(self._caches)} runs are there")

    def _begin(self, now: Inventory, chosen: Sequence[Cache], signature: list[list[Any]]) -> None:
        request = self._request
        skew_s = now.clock_skew_s or 0.0
        self._notes = []
        if abs(skew_s) >= _SKEW_SAID_S:
            where = "ahead of" if skew_s > 0 else "behind"
            self._notes.append(f"this machine's clock is {abs(skew_s):,.0f} s {where} AWS': the period ends "
                               "by AWS' clock")
            self._tell(self._notes[-1])
        self.window = window_of(request.days, request.period_s, self._began.timestamp() - skew_s)
        self._inventory = with_details(now, self._clients.elasticache, chosen)
        self._caches = tuple(chosen)
        listed = self._listed()
        self._queries = tuple(query for cache in chosen for node in cache.nodes
                              for query in node_queries(node.id, listed, request.period_s))
        if not self._queries:
            names = ", ".join(cache.name for cache in chosen[:_FEW_NODES])
            raise BadInput("CloudWatch has no data in that period",
                           got=f"no metric of {names} was published in the last two weeks",
                           do="check the name and --region, or wait until it has run for a while")
        self._checkpoint.begin({
            "signature": signature, "inventory": self._inventory.as_json(), "window": asdict(self.window),
            "notes": self._notes, "queries": [asdict(query) for query in self._queries]})

    def _listed(self) -> list[Listed]:
        nodes = [node.id for cache in self._caches for node in cache.nodes]
        if len(nodes) > _FEW_NODES:
            return list_metrics(self._clients.cloudwatch)
        return [one for node in nodes for one in list_metrics(self._clients.cloudwatch, node)]

    def _parts(self) -> list[tuple[Query, ...]]:
        """As many queries as a call takes, and not more points than an interruption may cost.

        Percentiles are asked for apart, behind the part in which their node ends: they are not kept for all.
        """
        size = max(min(QUERIES_A_CALL, _MOST_POINTS_A_PART // self.window.points), 1)
        plain = [query for query in self._queries if not query.is_percentile]
        last = {query.node: number for number, query in enumerate(plain)}
        parts = []
        for first in range(0, len(plain), size):
            parts.append(tuple(plain[first:first + size]))
            parts.append(tuple(query for query in self._queries if query.is_percentile
                               and first <= last.get(query.node, -1) < first + size))
        return [part for part in parts if part]

    def _read(self, number: int, part: Sequence[Query], advance: Callable[[int], None]) -> list[Series]:
        if self._checkpoint.has(number):
            advance(len(part) * self.window.points)
            return self._checkpoint.load(number)
        told = 0

        def count(points: int) -> None:
            nonlocal told
            told += points
            advance(points)

        try:
            series = patiently(lambda: read_series(self._clients.cloudwatch, part, self.window, count),
                               self._tell, self._sleep)
        except AmplyError as error:
            if not part[0].is_percentile or not is_servers_fault(error.__cause__):
                raise
            self._inventory = replace(self._inventory, not_collected={
                **self._inventory.not_collected, "percentiles": str(error)})
            return [Series(np.empty(0, np.int64), np.empty(0)) for _ in part]
        advance(max(len(part) * self.window.points - told, 0))  # gaps
        self._checkpoint.keep(number, series)
        return series

    def _by_node(self, cache: Cache) -> dict[str, list[Query]]:
        members = {node.id: [query for query in self._queries if query.node == node.id]
                   for node in cache.nodes}
        return {node: queries for node, queries in members.items() if queries}

    def _finish(self, cache: Cache, found: Mapping[Query, Series], written: str | None) -> Imported | None:
        if written is not None:
            return Imported(cache.name, Path(written), read_run(written).manifest["imported"])
        roles = {node.id: node.role for node in cache.nodes}
        nodes = [NodeSeries(node, roles[node], queries, [found[query] for query in queries])
                 for node, queries in self._by_node(cache).items()]
        nodes = [node for node in nodes if not node.is_empty]
        if not nodes:
            return None
        folder = self._folder(cache) or new_folder(self._began)
        self._checkpoint.note_folder(cache.name, folder)  # a kill in between must not hide a whole run
        summary = write_run(folder, cache, self._inventory, self.window, nodes, notes=self._notes,
                            origin=f"CloudWatch, {self._request.region}")
        return Imported(cache.name, folder, summary)
