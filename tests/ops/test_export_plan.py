"""`plan.json` read: every fault of a broken or older one, at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plan_json import plan_file, plan_json, plan_of

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.ops.export_plan import read_plan


def test_a_plan_is_read_with_its_demand(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.node is not None
    assert (plan.node.name, plan.shards, plan.replicas, plan.nodes) == ("cache.t3.small", 1, 1, 2)
    assert plan.growth_percent_per_month == Interval(4.0, 8.0, 12.0)
    assert plan.pool_size == Interval.exact(20.0)
    assert (plan.today.node_type, plan.today.replicas) == ("cache.t3.micro", 0)
    assert plan.p99_ms["rate_limit"].mid == 3.0


def test_serverless_needs_no_node_type(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"chosen.kind": "serverless", "chosen.node_type": None, "chosen.shards": None,
                              "chosen.replicas": None})
    assert (plan.node, plan.nodes) == (None, 0)


def test_a_plan_without_a_review_is_made_again_in_a_quarter(tmp_path: Path) -> None:
    plan = plan_json()
    plan["demand"].pop("plan", None)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    assert read_plan(path).review_months == 3


@pytest.mark.parametrize(("changes", "words"), [
    ({"chosen.node_type": "cache.t3.mikro"}, ["chosen.node_type is 'cache.t3.mikro'"]),
    ({"chosen.shards": 0}, ["chosen.shards is 0"]),
    ({"chosen.replicas": 1.5}, ["chosen.replicas is 1.5"]),
    ({"chosen.replicas": True}, ["chosen.replicas is True"]),
    ({"chosen.engine": "memcached", "chosen.term": None},
     ["chosen.engine is 'memcached'", "chosen.term is missing"]),
    ({"demand.cluster": None}, ["demand.cluster.region is missing", "demand.cluster.node_type is missing"]),
    ({"demand.slo.p99_ms": 5}, ["demand.slo.p99_ms is 5"]),
    ({"demand.connections.tasks": {"low": 3, "mid": 1, "high": 2}}, ["demand.connections.tasks"]),
    ({"demand.connections.tasks": {"low": 3}}, ["demand.connections.tasks"]),
    ({"demand.connections.grow_with_users": "yes"}, ["demand.connections.grow_with_users is 'yes'"]),
    ({"demand.slo.hit_rate_percent": 190}, ["demand.slo.hit_rate_percent is 190"]),
    ({"demand.users.growth_percent_per_month": float("nan")}, ["demand.users.growth_percent_per_month"]),
    ({"chosen.usd_per_month": 10**400}, ["chosen.usd_per_month"]),
])
def test_every_fault_is_named(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(BadInput, match="broken, or was made by another version") as caught:
        plan_of(tmp_path, changes)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("content", "word"), [
    ("", "no JSON"), ("{", "no JSON"), ("[" * 100_000, "no JSON"), ("[]", "says nothing under chosen"),
    ("null", "says nothing"), ('{"months": []}', "says nothing under chosen"),
    ('{"plan": {"chosen": {}}}', "is a report"), ('{"chosen": 1}', "chosen.kind is missing")])
def test_what_is_no_plan_is_said_to_be_none(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=word):
        read_plan(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such plan"):
        read_plan(tmp_path / "none.json")
    with pytest.raises(BadInput, match="cannot be read"):
        read_plan(tmp_path)
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="no JSON"):
        read_plan(tmp_path / "plan.json")
    assert plan_file(tmp_path).is_file()
