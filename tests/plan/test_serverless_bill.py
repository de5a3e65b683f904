"""The bill of a serverless cache: its minimum, its extras, and what cannot be asked of it."""

from __future__ import annotations

import json

import pytest

from amply_capacity.catalog.serverless import serverless
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.plan.ecpus import serverless_usd_per_month
from amply_capacity.plan.extras import Extras
from amply_capacity.plan.serverless_bill import serverless_bill


@pytest.mark.parametrize(("engine", "gb", "gb_hours"), [
    ("valkey", 0.0, 73), ("valkey", 0.1, 73), ("valkey", 0.11, 80.3),
    ("redis", 0.5, 730), ("redis", 1.5, 1095)])
def test_storage_is_metered_from_the_engines_minimum_on(engine: str, gb: float, gb_hours: float) -> None:
    storage = serverless_bill("us-east-1", engine, gb, 0.0).lines[0]
    assert (storage.quantity, storage.unit) == (gb_hours, "GB-hour")
    assert ("minimum" in storage.what) == (gb < (0.1 if engine == "valkey" else 1.0))


def test_an_empty_cache_costs_its_minimum() -> None:
    assert serverless_bill("us-east-1", "valkey", 0.0, 0.0).usd_per_month == 6.132
    assert serverless_bill("us-east-1", "redis", 0.0, 0.0).usd_per_month == 91.25


def test_json_holds_the_contract_and_survives_json() -> None:
    bill = json.loads(json.dumps(serverless_bill("us-east-1", "valkey", 0.5, 250.0).as_json()))
    assert (bill["kind"], bill["region"], bill["engine"]) == ("serverless", "us-east-1", "valkey")
    assert (bill["gb"], bill["ecpus_per_second"], bill["hours_per_month"]) == (0.5, 250.0, 730)
    for line in bill["lines"]:
        assert set(line) >= {"what", "quantity", "unit", "usd", "source", "as_of"}
    assert bill["lines"][1]["unit"] == "million ECPUs"
    assert bill["lines"][1]["quantity"] == 657
    assert [one["what"] for one in bill["absent"]] == ["Database Savings Plan"]
    assert "up to about 35 %" in bill["absent"][0]["reason"]
    assert serverless_bill("us-east-1", "redis", 0.5, 250.0).absent == ()


def test_no_snapshot_of_a_serverless_cache_is_taken_as_free() -> None:
    plain = serverless_bill("us-east-1", "valkey", 2.0, 0.0)
    backed = serverless_bill("us-east-1", "valkey", 2.0, 0.0, Extras(snapshots_retained_days=7))
    assert backed.usd_per_month == pytest.approx(plain.usd_per_month + 7 * 2 * 0.085)
    assert any("none is counted" in note for note in backed.notes)
    assert any("Not in this bill: backups" in note for note in plain.notes)
    smaller = serverless_bill("us-east-1", "valkey", 2.0, 0.0,
                              Extras(snapshots_retained_days=7, snapshot_gb=0.5))
    assert smaller.lines[-1].quantity == 3.5


def test_what_belongs_to_nodes_is_refused_with_all_other_faults() -> None:
    with pytest.raises(BadInput) as caught:
        serverless_bill("us-eest-1", "redis", -1.0, float("inf"),
                        Extras(engine_version="5.0.6", durability="sync", cross_az_gb=-1.0))
    for part in ("6 inputs are wrong", "us-eest-1", "amount of data -1.0", "rate of ECPUs inf",
                 "an engine version cannot be chosen", "durability cannot be chosen",
                 "cross-AZ traffic -1.0"):
        assert part in str(caught.value)


def test_a_region_without_serverless_caches_is_named() -> None:
    with pytest.raises(NotOffered, match="us-west-2-lax-1"):
        serverless_bill("us-west-2-lax-1", "valkey", 1.0, 1.0)


@pytest.mark.parametrize("engine", ["redis", "valkey"])
@pytest.mark.parametrize(("gb", "ecpus"), [(0.0, 0.0), (0.05, 12.5), (1.0, 0.0), (3.25, 40_000.0)])
def test_many_worlds_are_priced_as_one_bill_is(engine: str, gb: float, ecpus: float) -> None:
    usd = serverless_usd_per_month(serverless("eu-west-1", engine), gb, ecpus)
    bill = serverless_bill("eu-west-1", engine, gb, ecpus)
    assert float(usd) == pytest.approx(bill.usd_per_month, abs=2e-4)
