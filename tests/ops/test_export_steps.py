"""From today to the plan: what changes, and an order in which nothing is lost before it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_json import plan_of

from amply_capacity.ops.export_blueprint import blueprint_of
from amply_capacity.ops.export_steps import CLUSTER, GROUP, changes, steps, steps_json, steps_text


def content_of(directory: Path, today: str, varied: dict[str, Any] | None = None) -> dict[str, Any]:
    plan = plan_of(directory, varied)
    made = blueprint_of(plan)
    return steps_json(changes(plan, made, today), steps(plan, made, today), today)


def place(content: dict[str, Any], words: str) -> int:
    """The number of the step that begins with these words."""
    found = [one["step"] for one in content["steps"] if one["what"].startswith(words)]
    assert len(found) == 1, words
    return int(found[0])


def test_a_plain_cluster_becomes_a_new_group_beside_it_and_goes_last(tmp_path: Path) -> None:
    content = content_of(tmp_path, CLUSTER)
    assert {one["setting"] for one in content["changes"]} == {
        "kind", "node type", "replicas", "automatic failover over several zones", "encryption at rest"}
    alarms, backup = place(content, "Deploy the alarms"), place(content, "Take a manual backup")
    new, idle = place(content, "Deploy the template"), place(content, "Leave the new cache.t3.small idle")
    switch, delete = place(content, "Deploy the application"), place(content, "Delete the old")
    assert alarms < backup < new < idle < switch < delete
    assert delete == len(content["steps"])
    switching = content["steps"][switch - 1]
    assert "sessions" in switching["loses"]
    assert switching["restarts"].startswith("every connection")


def test_only_the_switch_and_the_end_of_the_old_cluster_lose_data(tmp_path: Path) -> None:
    losing = [one["what"] for one in content_of(tmp_path, CLUSTER)["steps"]
              if not one["loses"].startswith("nothing")]
    assert [words.split(",")[0] for words in losing] == [
        "Deploy the application with the new endpoint (rediss://) and the token from Secrets Manager",
        "Delete the old cluster"]


def test_a_group_is_changed_in_place_and_gets_its_replica_before_its_node_type(tmp_path: Path) -> None:
    content = content_of(tmp_path, GROUP)
    assert place(content, "Add replicas: 0 to 1") < place(content, "Turn on automatic failover") < place(
        content, "Change the node type, online: cache.t3.micro to cache.t3.small")
    change = content["steps"][place(content, "Change the node type") - 1]
    assert change["restarts"] == "a few seconds as the primary changes"
    assert "a plain" not in steps_text(content)


def test_a_lone_node_that_changes_its_type_is_away_meanwhile(tmp_path: Path) -> None:
    content = content_of(tmp_path, GROUP, {"chosen.replicas": 0})
    change = content["steps"][place(content, "Change the node type") - 1]
    assert change["restarts"].startswith("the node is away")


def test_replicas_go_after_everything_that_they_make_safe(tmp_path: Path) -> None:
    content = content_of(tmp_path, GROUP, {"demand.cluster.replicas": 2, "chosen.replicas": 0})
    assert place(content, "Change the node type") < place(content, "Turn off Multi-AZ") < place(
        content, "Remove replicas: 2 to 0")
    fewer = content_of(tmp_path, GROUP, {"demand.cluster.replicas": 2})
    assert place(fewer, "Remove replicas: 2 to 1") == len(fewer["steps"])
    assert not any(one["what"].startswith("Turn off") for one in fewer["steps"])


def test_an_engine_is_upgraded_with_a_group_of_its_family_and_cannot_go_back(tmp_path: Path) -> None:
    content = content_of(tmp_path, GROUP, {"chosen.engine": "valkey"})
    upgrade = content["steps"][place(content, "Upgrade redis to valkey") - 1]
    assert "valkey8" in upgrade["what"]
    assert upgrade["undo"].startswith("none")


def test_shards_need_a_new_group_and_a_cluster_client_first(tmp_path: Path) -> None:
    content = content_of(tmp_path, GROUP, {"chosen.shards": 2, "chosen.node_type": "cache.m7g.large"})
    ready = place(content, "Make the application ready for Redis Cluster")
    assert ready < place(content, "Deploy the application")


def test_reserved_nodes_are_bought_last(tmp_path: Path) -> None:
    for today in (CLUSTER, GROUP):
        content = content_of(tmp_path, today, {"chosen.term": "1yr_no"})
        assert place(content, "Buy the reserved nodes (1yr_no)") == len(content["steps"])
    kept = content_of(tmp_path, GROUP, {"chosen.term": "1yr_no", "demand.cluster.term": "1yr_no"})
    assert not any("Buy" in one["what"] for one in kept["steps"])


@pytest.mark.parametrize("today", [CLUSTER, GROUP])
def test_every_step_says_what_it_breaks_loses_and_how_it_is_undone(tmp_path: Path, today: str) -> None:
    for one in content_of(tmp_path, today)["steps"]:
        assert all(one[name] for name in ("what", "restarts", "loses", "undo", "source")), one


def test_the_text_shows_the_changes_and_the_order(tmp_path: Path) -> None:
    text = steps_text(content_of(tmp_path, CLUSTER))
    assert "  node type: cache.t3.micro → cache.t3.small" in text
    assert "  1. Deploy the alarms" in text
    same = {"chosen.replicas": 0, "chosen.node_type": "cache.t3.micro"}
    assert "nothing that the plan decides" in steps_text(content_of(tmp_path, GROUP, same))
