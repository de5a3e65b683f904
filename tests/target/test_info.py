from __future__ import annotations

import time
from typing import Any

import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.run.schema import TABLES
from amply_capacity.target.info import InfoSample, command_deltas, sample, server_row


def _two(client: Any, between: Any) -> tuple[InfoSample, InfoSample]:
    before = sample(client, "here:1")
    between()
    time.sleep(0.02)
    return before, sample(client, "here:1")


def test_a_row_has_columns_of_the_schema_only(redis_client: Any) -> None:
    row = server_row(*_two(redis_client, redis_client.ping), node_type("cache.t3.micro"))
    assert set(row) <= {column.name for column in TABLES["server"]}
    assert row["node"] == "here:1"


def test_counts_are_per_second_between_the_two_samples(redis_client: Any) -> None:
    def work() -> None:
        redis_client.set("a", "1")
        for _ in range(30):
            redis_client.get("a")
        for _ in range(10):
            redis_client.get("b")

    before, after = _two(redis_client, work)
    row = server_row(before, after, None)
    seconds = after.time_s - before.time_s
    assert row["CacheHits"] * seconds == pytest.approx(30)
    assert row["CacheMisses"] * seconds == pytest.approx(10)
    assert row["CacheHitRate"] == pytest.approx(75.0)
    assert row["CurrItems"] == 1.0
    assert row["CurrVolatileItems"] == 0.0
    assert row["NetworkBytesIn"] > 0.0


def test_keys_with_a_ttl_are_counted_apart(redis_client: Any) -> None:
    redis_client.set("a", "1")
    redis_client.set("b", "1", ex=100)
    taken = sample(redis_client, "here:1")
    assert (taken.keys, taken.volatile_keys) == (2, 1)


def test_evictions_and_expiries_are_seen(redis_client: Any) -> None:
    def fill() -> None:
        redis_client.config_set("maxmemory", int(redis_client.info("memory")["used_memory"]) + 200_000)
        for number in range(2000):
            redis_client.set(f"k{number}", "x" * 500, ex=100)
        redis_client.config_set("maxmemory", 0)
        redis_client.set("gone", "1", px=1)
        time.sleep(0.01)
        redis_client.get("gone")

    row = server_row(*_two(redis_client, fill), None)
    assert row["Evictions"] > 0.0
    assert row["Reclaimed"] > 0.0


def test_what_the_server_cannot_know_is_absent_and_not_zero(redis_client: Any) -> None:
    redis_client.config_set("maxmemory", 0)
    row = server_row(*_two(redis_client, lambda: None), None)
    for absent in (
        "CPUUtilization",
        "FreeableMemory",
        "DatabaseMemoryUsagePercentage",
        "CacheHitRate",
        "ReplicationBytes",
    ):
        assert absent not in row
    assert row["EngineCPUUtilization"] >= 0.0


def test_an_emulated_node_has_its_memory_less_the_servers(redis_client: Any) -> None:
    node = node_type("cache.t3.micro")
    before, after = _two(redis_client, redis_client.ping)
    row = server_row(before, after, node)
    assert row["FreeableMemory"] == node.memory_bytes - after.info["used_memory_rss"]
    assert row["CPUUtilization"] >= 0.0
    assert row["DatabaseMemoryUsagePercentage"] == pytest.approx(
        100.0 * after.info["used_memory"] / after.info["maxmemory"]
    )


def test_a_restarted_server_gives_no_rate_instead_of_a_negative_one(redis_client: Any) -> None:
    before, after = _two(redis_client, redis_client.ping)
    row = server_row(InfoSample(before.time_s, "here:1", {**before.info, "evicted_keys": 10**9}), after, None)
    assert "Evictions" not in row
    assert "Reclaimed" in row


def test_a_field_that_an_older_server_lacks_is_absent(redis_client: Any) -> None:
    before, after = _two(redis_client, redis_client.ping)
    lacking = {
        name: value
        for name, value in after.info.items()
        if name not in {"used_cpu_user_main_thread", "mem_not_counted_for_evict"}
    }
    row = server_row(before, InfoSample(after.time_s, "here:1", lacking), None)
    assert row["EngineCPUUtilization"] >= 0.0  # the whole process'
    assert "info_used_cpu_user_main_thread" not in row
    assert "DatabaseMemoryUsageCountedForEvictPercentage" not in row


def test_command_deltas_count_what_was_called_between(redis_client: Any) -> None:
    redis_client.set("a", "1")

    def work() -> None:
        for _ in range(7):
            redis_client.get("a")
        redis_client.set("b", "text")
        with pytest.raises(Exception, match="not an integer"):
            redis_client.incr("b")

    rows = {row["command"]: row for row in command_deltas(*_two(redis_client, work))}
    assert rows["get"]["calls"] == 7
    assert rows["set"]["calls"] == 1
    assert rows["incrby"]["failed_calls"] == 1
    assert rows["get"]["p99_us"] is None or rows["get"]["p99_us"] > 0
    assert all(set(row) == {column.name for column in TABLES["commands"]} for row in rows.values())
