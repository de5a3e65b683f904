"""Serverless beside nodes: chosen where it costs least, and refused with its reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from amply_capacity.plan.decision import Plan
from amply_capacity.plan.serverless_bill import serverless_bill
from amply_capacity.plan.serverless_option import ServerlessOption

Plans = Callable[..., Plan]
FEW = {"users.registered": 1_000, "application.cluster_mode": True, "allowed.engines": ["redis", "valkey"]}


def test_a_small_load_in_cluster_mode_is_cheapest_without_nodes(whole_plan: Plans) -> None:
    made = whole_plan(FEW)
    option = made.chosen.option
    assert isinstance(option, ServerlessOption)
    told = made.as_json()
    chosen = told["chosen"]
    assert (chosen["kind"], chosen["engine"], chosen["term"]) == ("serverless", "valkey", "on_demand")
    assert all(chosen[name] is None for name in ("node_type", "shards", "replicas", "probability", "binding"))
    assert told["headroom"] == told["upgrades"] == []
    assert chosen["usd_per_month"] < min(one["usd_per_month"] for one in told["ranked"]
                                         if one["kind"] == "nodes")
    assert told["runner_up"]["kind"] == "nodes"
    first = told["months"][0]
    assert (first["node_type"], first["shards"], first["nothing_fits"]) == ("serverless", None, 0.0)
    assert first["usd_low"] < first["usd_mid"] == pytest.approx(option.usd_per_month, abs=1e-4)
    own, on_nodes = told["strategies"][:2]
    units_usd = own["usd_total_expected"] - own["usd_outages_expected"]
    assert units_usd == pytest.approx(option.need.usd.sum(axis=1).mean(), abs=0.02)
    # As the choice counts them: away as often as the nodes beside it.
    assert on_nodes["name"] == "stay on nodes"
    assert own["usd_outages_expected"] == pytest.approx(on_nodes["usd_outages_expected"], abs=0.02)


def test_its_bill_is_that_of_the_median_worlds_gigabytes_and_units(plan: Plans) -> None:
    made = plan(FEW)
    option = made.chosen.option
    assert isinstance(option, ServerlessOption)
    gb, ecpus = np.median(option.need.gb[:, 0]), np.median(option.need.ecpus[:, 0])
    assert made.chosen.bill.usd_per_month == pytest.approx(
        serverless_bill("us-east-1", "valkey", float(gb), float(ecpus)).usd_per_month, abs=1e-3)


def test_nodes_win_where_much_is_asked_for(plan: Plans) -> None:
    made = plan(FEW | {"users.registered": 500_000})
    kinds = [one.option.as_json()["kind"] for one in made.ranked]
    assert kinds[0] == "nodes"
    assert "serverless" in kinds, "it is scored in the same worlds"


@pytest.mark.parametrize(("changes", "constraint", "reason"), [
    ({"application.cluster_mode": False}, "application", "deletes many keys at once"),
    ({"allowed.kinds": ["nodes"]}, "allowed", "the demand allows nodes"),
])
def test_where_it_may_not_be_chosen_its_excuse_says_why(
        whole_plan: Plans, changes: dict[str, object], constraint: str, reason: str) -> None:
    made = whole_plan(FEW | changes)
    assert not any(isinstance(one.option, ServerlessOption) for one in made.ranked)
    excuses = [one for one in made.excuses if one.node_type == "serverless"]
    assert [(one.engine, one.constraint) for one in excuses] == [
        (engine, constraint) for engine in ("redis", "valkey")]
    assert all(reason in one.reason for one in excuses)


def test_one_that_may_be_chosen_and_is_not_is_excused_by_its_price(whole_plan: Plans) -> None:
    made = whole_plan(FEW | {"users.registered": 500_000})
    excuses = {one.engine: one for one in made.excuses if one.node_type == "serverless"}
    assert set(excuses) == {"redis", "valkey"}
    assert excuses["redis"].constraint == "price"
    assert "USD a month more" in excuses["redis"].reason
