from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from amply_capacity.errors import TargetError
from amply_capacity.load.client import Connection
from amply_capacity.load.prefill import fill
from amply_capacity.target import cluster as clusters
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import PrefillClass, prefill_plan


def _plan(users: int = 60) -> tuple[PrefillClass, ...]:
    shape = PopulationShape(users=users, organisations=20, api_keys=30, seed=1)
    return tuple(
        prefill_plan(
            Population(shape), 1.0, 1_795_392_000.0, counters=30, cached=20, results=50, seed=1
        )
    )


def test_it_measures_what_each_class_left_in_the_server(redis_cluster: Cluster, redis_client: Any) -> None:
    results = fill(lambda: Connection(redis_cluster.endpoint), [redis_client], _plan(), "here")
    classes = {result["name"]: result for result in results}
    assert list(classes) == ["sessions", "user_sessions", "results", "cached", "counters"]
    assert sum(result["keys"] for result in results) == redis_client.dbsize()
    assert classes["user_sessions"]["keys"] == 60
    assert classes["user_sessions"]["volatile_keys"] == 0
    assert classes["sessions"]["keys"] == classes["sessions"]["volatile_keys"] > 0
    assert (classes["cached"]["keys"], classes["results"]["keys"], classes["counters"]["keys"]) == (
        20,
        50,
        30,
    )
    for result in results:
        per_key = (result["used_after_bytes"] - result["used_before_bytes"]) / result["keys"]
        assert 40 < per_key < 4000


def test_it_says_when_each_class_was_written(redis_cluster: Cluster, redis_client: Any) -> None:
    began_s = time.time()
    results = fill(lambda: Connection(redis_cluster.endpoint), [redis_client], _plan(), "here")
    moments_s = [began_s, *(one["written_at_s"] for one in results), time.time()]
    assert all(earlier < later for earlier, later in pairwise(moments_s))
    left_s = [redis_client.pexpiretime(key) / 1000.0 - results[-1]["written_at_s"]
              for key in redis_client.keys("rate:*")]
    assert len(left_s) == 30
    assert all(0.5 < one < 60.5 for one in left_s), "windows of 1 to 60 s, from when they were written"


def test_the_histogram_of_a_commands_first_call_is_not_taken_for_the_keys() -> None:
    """On a fresh server: 30 counters take some 130 bytes each, and two latency histograms 24.7 kB each."""
    with clusters.throw_away(maxmemory_bytes=2**27) as fresh, connect(fresh.endpoint) as control:
        results = {result["name"]: result for result in fill(
            lambda: Connection(fresh.endpoint), [control], _plan(), "here")}
    counters = results["counters"]
    assert (counters["used_after_bytes"] - counters["used_before_bytes"]) / counters["keys"] < 500


def test_the_filling_connection_is_gone_afterwards(redis_cluster: Cluster, redis_client: Any) -> None:
    before = redis_client.info("clients")["connected_clients"]
    fill(lambda: Connection(redis_cluster.endpoint), [redis_client], _plan(10), "here")
    assert redis_client.info("clients")["connected_clients"] == before


def test_a_server_that_refuses_a_write_ends_it_with_what_to_do(
    redis_cluster: Cluster, redis_client: Any
) -> None:
    redis_client.config_set("maxmemory-policy", "noeviction")
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(TargetError, match=r"refused the pre-fill's SETEX. Got: OOM.*Do: choose a larger"):
        fill(lambda: Connection(redis_cluster.endpoint), [redis_client], _plan(), "here")


def test_a_server_that_will_not_let_it_in_is_explained(redis_cluster: Cluster, redis_client: Any) -> None:
    outside = Endpoint(redis_cluster.host, redis_cluster.port, password="wrong")
    with pytest.raises(TargetError, match="went away during the pre-fill"):
        fill(lambda: Connection(outside), [redis_client], _plan(), "here")


def test_a_server_that_goes_away_is_explained() -> None:
    with clusters.throw_away() as cluster, connect(cluster.endpoint) as control:
        one = _plan()[0]

        def commands() -> Any:
            yield from list(one.commands())[:500]
            clusters.stop(cluster)
            yield from one.commands()

        dying = PrefillClass(
            name=one.name, count=one.count, commands_per_key=one.commands_per_key, commands=commands
        )
        with pytest.raises(TargetError, match="went away"):
            fill(lambda: Connection(cluster.endpoint), [control], [dying], "here")
