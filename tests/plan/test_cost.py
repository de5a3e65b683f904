import json
import subprocess
import sys

import pytest

from amply_capacity.catalog.prices import TERMS, price, prices
from amply_capacity.catalog.serverless import rates
from amply_capacity.errors import BadInput, NotOffered, UnknownName
from amply_capacity.plan.cost import HOURS_PER_MONTH, nodes_bill, spec_table


@pytest.mark.parametrize(("engine", "node_type", "replicas", "usd"), [
    ("redis", "cache.t3.micro", 0, 12.41),
    ("redis", "cache.t3.small", 0, 24.82),
    ("redis", "cache.t3.micro", 1, 24.82),
    ("valkey", "cache.t3.micro", 0, 9.928),
    ("valkey", "cache.t3.small", 0, 19.856),
    ("valkey", "cache.t3.micro", 1, 19.856),
])
def test_bills_of_the_specification_are_exact(engine: str, node_type: str, replicas: int, usd: float) -> None:
    assert nodes_bill("us-east-1", engine, node_type, replicas=replicas).usd_per_month == usd


def test_bill_counts_node_hours_of_every_primary_and_replica() -> None:
    (line,) = nodes_bill("us-east-1", "redis", "cache.t3.micro", shards=3, replicas=2).lines
    assert (line.quantity, line.unit, line.usd) == (6570, "node-hour", 111.69)


def test_month_has_the_hours_that_aws_says() -> None:
    (rule,) = rates("hours_per_month")
    assert rule.amount == HOURS_PER_MONTH


def test_json_holds_the_contract_and_survives_json() -> None:
    bill = json.loads(json.dumps(nodes_bill("us-east-1", "redis", "cache.t3.micro", replicas=1).as_json()))
    assert bill["usd_per_month"] == 24.82
    assert set(bill["lines"][0]) == {"what", "quantity", "unit", "usd", "source", "as_of", "usd_per_unit"}
    assert bill["lines"][0]["usd_per_unit"] == 0.017
    assert (bill["lines"][0]["quantity"], bill["lines"][0]["as_of"]) == (1460, "2026-10-02")
    assert (bill["region"], bill["engine"], bill["node_type"]) == ("us-east-1", "redis", "cache.t3.micro")
    assert (bill["kind"], bill["shards"], bill["replicas"], bill["term"]) == ("nodes", 1, 1, "on_demand")
    assert bill["hours_per_month"] == 730


def test_partial_upfront_has_a_recurring_and_an_amortised_line() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.r7g.large", replicas=1, term="1yr_partial")
    hourly, upfront = bill.lines
    assert (hourly.usd, hourly.unit) == (103.66, "node-hour")
    assert (upfront.usd, upfront.quantity, upfront.unit) == (103.9155, 2, "node-month")
    assert "623.493 USD a node, spread over 12 months" in upfront.what


def test_no_upfront_recurs_only_and_all_upfront_is_amortised_only() -> None:
    no = nodes_bill("us-east-1", "redis", "cache.r7g.large", term="3yr_no")
    all_upfront = nodes_bill("us-east-1", "redis", "cache.r7g.large", term="3yr_all")
    assert [line.unit for line in no.lines] == ["node-hour"]
    assert [line.unit for line in all_upfront.lines] == ["node-month"]
    fee_usd = price("us-east-1", "redis", "cache.r7g.large", "3yr_all").upfront_usd
    assert fee_usd is not None
    assert all_upfront.usd_per_month == pytest.approx(fee_usd / 36, abs=5e-5)


@pytest.mark.parametrize("term", TERMS)
def test_every_bill_is_the_effective_rate_times_the_hours(term: str) -> None:
    checked = 0
    for found in prices():
        if found.region == "eu-west-1" and found.term == term:
            bill = nodes_bill(found.region, found.engine, found.node_type, replicas=1, term=term)
            expected_usd = 2 * HOURS_PER_MONTH * found.effective_hourly_usd
            assert bill.usd_per_month == pytest.approx(expected_usd, rel=1e-4, abs=1e-3), found
            assert all(line.source and line.as_of and line.usd > 0.0 for line in bill.lines), found
            checked += 1
    assert checked > 50


def test_inferred_price_is_said_in_source_and_notes() -> None:
    bill = nodes_bill("af-south-1", "redis", "cache.m5.large", term="1yr_partial")
    assert all("INFERRED" in line.source for line in bill.lines)
    assert any(note.startswith("This price is inferred") for note in bill.notes)


def test_reservation_whose_split_is_unknown_is_billed_at_its_effective_rate_and_says_so() -> None:
    found = next(found for found in prices() if found.hourly_usd is None)
    bill = nodes_bill(found.region, found.engine, found.node_type, term=found.term)
    (line,) = bill.lines
    assert "effective rate" in line.what
    assert line.usd == pytest.approx(730 * found.effective_hourly_usd, abs=5e-5)
    assert any("what is paid upfront is not known" in note for note in bill.notes)


def test_what_is_left_out_is_said_and_never_billed_as_zero() -> None:
    redis = nodes_bill("us-east-1", "redis", "cache.t3.micro", replicas=1)
    valkey = nodes_bill("us-east-1", "valkey", "cache.t3.micro", replicas=1)
    for words in ("backups beyond one free snapshot of each cluster (0.085 USD per GB-month)",
                  "across Availability Zones", "replication"):
        assert words in " ".join(redis.notes)
    assert "Extended Support" in " ".join(redis.notes)
    assert "Extended Support" not in " ".join(valkey.notes)
    assert all(line.usd > 0.0 for bill in (redis, valkey) for line in bill.lines)


def test_reservation_and_previous_generation_carry_their_warning() -> None:
    reserved = nodes_bill("us-east-1", "redis", "cache.t3.micro", term="3yr_no")
    assert "A reservation binds for 36 months and cannot be cancelled." in reserved.notes
    for retired in ("cache.t2.micro", "cache.m1.small"):
        assert "no new clusters" in " ".join(nodes_bill("us-east-1", "redis", retired).notes)


@pytest.mark.parametrize(("shards", "replicas", "what"), [
    (0, 0, "shards"), (-1, 0, "shards"), (True, 0, "shards"), (1.5, 0, "shards"), ("2", 0, "shards"),
    (1, -1, "replicas"), (1, 6, "replicas"), (46, 1, "too many nodes"),
])
def test_impossible_counts_are_refused(shards: int, replicas: int, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        nodes_bill("us-east-1", "redis", "cache.t3.micro", shards, replicas)


def test_ninety_nodes_are_allowed() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.t3.micro", shards=45, replicas=1)
    assert bill.usd_per_month == 1116.9


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        nodes_bill("us-east1", "radis", "t3.micro", shards=0, replicas=9, term="monthly")
    message = str(caught.value)
    for part in ("6 inputs are wrong", "unknown region 'us-east1'", "unknown engine 'radis'",
                 "unknown node type 't3.micro'", "unknown term 'monthly'", "number of shards 0",
                 "number of replicas 9"):
        assert part in message


def test_known_type_that_is_not_sold_there_is_not_offered() -> None:
    with pytest.raises(NotOffered):
        nodes_bill("us-east-1", "redis", "cache.r8g.large")


def test_spec_table_stands_beside_the_true_prices() -> None:
    rows = spec_table("us-east-1")
    assert [(row.configuration, row.spec_usd, row.true_usd) for row in rows] == [
        ("cache.t3.micro (1 node)", 13.0, 12.41),
        ("cache.t3.small (1 node)", 25.0, 24.82),
        ("cache.t3.micro (1+1 replica)", 26.0, 24.82),
    ]
    assert all(row.source and row.as_of == "2026-10-02" for row in rows)
    assert rows[0].as_json()["true_usd"] == 12.41


def test_spec_table_names_its_region_and_engine() -> None:
    assert spec_table("eu-central-1")[0].true_usd == 13.87
    assert spec_table("us-east-1", "valkey")[0].true_usd == 9.928
    with pytest.raises(UnknownName, match="eu-central-1"):
        spec_table("eu-central")


def test_spec_table_leaves_the_true_price_out_where_the_node_is_not_sold(
        monkeypatch: pytest.MonkeyPatch) -> None:
    # Every region of the catalog sells cache.t3 today: the absence has to be brought about.
    def sold_nowhere(*_: object, **__: object) -> None:
        raise NotOffered("not offered")

    monkeypatch.setattr("amply_capacity.plan.holdings.price", sold_nowhere)
    row = spec_table("us-east-1")[0]
    assert (row.spec_usd, row.true_usd, row.source, row.as_of) == (13.0, None, None, None)


def test_a_bill_needs_neither_pandas_nor_numpy() -> None:
    code = ("import sys; from amply_capacity.plan.cost import nodes_bill; "
            "nodes_bill('us-east-1', 'redis', 'cache.t3.micro'); "
            "print(sorted({'numpy', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
