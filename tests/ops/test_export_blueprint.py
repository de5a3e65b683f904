"""What is to be built, and what ElastiCache would refuse of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_json import plan_of

from amply_capacity.errors import BadInput
from amply_capacity.ops import export_blueprint
from amply_capacity.ops.export_blueprint import NOT_ALLOWED, Blueprint, blueprint_of, windows_overlap


def made(directory: Path, changes: dict[str, Any] | None = None) -> Blueprint:
    return blueprint_of(plan_of(directory, changes))


def test_parameters_are_the_specifications_without_what_elasticache_refuses(tmp_path: Path) -> None:
    parameters = made(tmp_path).parameters
    assert parameters == {
        "maxmemory-policy": "volatile-lru", "reserved-memory-percent": "25", "timeout": "300"}
    assert not NOT_ALLOWED.keys() & parameters.keys()
    assert made(tmp_path, {"chosen.shards": 3}).parameters["cluster-enabled"] == "yes"
    assert made(tmp_path, {"demand.cluster.reserved_memory_percent": 50}).parameters[
        "reserved-memory-percent"] == "50"


def test_members_are_named_as_elasticache_names_them(tmp_path: Path) -> None:
    assert made(tmp_path).members == ("001", "002")
    sharded = made(tmp_path, {"chosen.shards": 2})
    assert sharded.members == ("0001-001", "0001-002", "0002-001", "0002-002")
    assert sharded.shard_of("0002-001") == "0002"
    assert made(tmp_path).shard_of("001") == ""


def test_failover_is_on_where_there_is_a_replica(tmp_path: Path) -> None:
    assert made(tmp_path).has_failover
    assert not made(tmp_path, {"chosen.replicas": 0}).has_failover


@pytest.mark.parametrize(("changes", "word"), [
    ({"chosen.node_type": "cache.t2.micro"}, "previous generation"),
    ({"chosen.node_type": "cache.t2.micro"}, "no encryption at rest"),
    ({"chosen.node_type": "cache.m8g.large"}, "redis does not run on cache.m8g.large"),
    ({"chosen.kind": "serverless"}, "this plan chose no nodes"),
])
def test_what_elasticache_would_refuse_is_refused(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        made(tmp_path, changes)


def test_valkey_takes_its_own_family_and_version(tmp_path: Path) -> None:
    valkey = made(tmp_path, {"chosen.engine": "valkey", "chosen.node_type": "cache.m8g.large"})
    assert (valkey.family, valkey.engine_version) == ("valkey8", "8.1")


def test_faults_of_a_changed_blueprint_are_found(tmp_path: Path) -> None:
    wrong = replace(made(tmp_path), parameters={"appendonly": "yes"}, snapshot_window="05:30-06:30",
                    engine_version="3.0")
    faults = "; ".join(export_blueprint._faults(wrong))
    for words in ("parameter appendonly: not supported", "falls into the maintenance",
                  "redis 3.0 on cache.t3.small"):
        assert words in faults


@pytest.mark.parametrize(("daily", "weekly", "expected"), [
    ("04:00-05:00", "sun:05:00-sun:06:00", False),  # the specification's: they touch
    ("04:00-05:01", "sun:05:00-sun:06:00", True),
    ("05:00-06:00", "sun:05:00-sun:06:00", True),
    ("06:00-07:00", "sun:05:00-sun:06:00", False),
    ("23:30-00:30", "sun:00:00-sun:01:00", True),  # over midnight
    ("23:30-00:30", "sun:23:00-mon:00:00", True),
    ("00:00-01:00", "sun:23:30-mon:00:30", True),  # over the week's end
    ("12:00-13:00", "sat:23:30-sun:00:30", False),
])
def test_windows_overlap_where_they_share_a_minute(daily: str, weekly: str, expected: bool) -> None:
    assert windows_overlap(daily, weekly) is expected


@pytest.mark.parametrize("window", ["", "04:00", "24:00-25:00", "so:05:00-so:06:00", "04:00-05:00-06:00"])
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(BadInput, match="no window"):
        windows_overlap(window, "sun:05:00-sun:06:00")
