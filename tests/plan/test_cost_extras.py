"""What a bill has beside its nodes, and what is absent from it with its reason."""

from __future__ import annotations

from datetime import date

import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, NotOffered
from amply_capacity.plan.bill import Absent, Bill, BillLine
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.extras import Extras
from amply_capacity.plan.savings_plan import is_discounted, savings_plan
from amply_capacity.plan.versions import parsed_version, support_year


def micro(extras: Extras, *, replicas: int = 0) -> Bill:
    return nodes_bill("us-east-1", "redis", "cache.t3.micro", replicas=replicas, extras=extras)


@pytest.mark.parametrize(("days", "gb", "gb_months"), [(0, 5.0, 0), (1, 5.0, 0), (2, 5.0, 5), (7, 0.25, 1.5)])
def test_all_snapshots_but_one_are_billed(days: int, gb: float, gb_months: float) -> None:
    bill = micro(Extras(snapshots_retained_days=days, snapshot_gb=gb))
    backups = bill.lines[1]
    assert (backups.quantity, backups.unit, backups.usd_per_unit) == (gb_months, "GB-month", 0.085)
    assert not any("backups" in note for note in bill.notes)


def test_cross_az_traffic_says_that_its_rate_is_of_secondary_sources() -> None:
    bill = micro(Extras(cross_az_gb=100.0), replicas=1)
    traffic = bill.lines[1]
    assert (traffic.usd, traffic.unit) == (1.0, "GB")
    assert "secondary" in traffic.what
    said = " ".join(bill.notes)
    assert "not confirmed for every region" in said
    assert "replication, where AWS bills it" in said
    assert "replication" not in " ".join(micro(Extras(cross_az_gb=100.0)).notes)


@pytest.mark.parametrize(("version", "month", "year"), [
    ("4.0.10", date(2026, 1, 1), 0), ("4.0.10", date(2026, 2, 1), 1), ("5.0.6", date(2027, 1, 31), 1),
    ("5", date(2027, 2, 1), 2), ("5.0.6", date(2028, 2, 1), 3), ("5.0.6", date(2029, 1, 31), 3),
    ("5.0.6", date(2029, 2, 1), None), ("6.2", date(2027, 1, 31), 0), ("6.0", date(2027, 2, 1), 1),
    ("6.2", date(2030, 1, 31), 3), ("6.2", date(2030, 2, 1), None), ("7.1", date(2035, 1, 1), 0),
])
def test_the_years_of_extended_support_are_those_of_aws(version: str, month: date, year: int | None) -> None:
    parsed = parsed_version(version)
    assert parsed is not None
    assert support_year(parsed, month) == year


def test_an_engine_in_standard_support_has_no_surcharge() -> None:
    for version in ("6.2", "7.1"):
        bill = micro(Extras(engine_version=version, month=date(2026, 12, 1)))
        assert (bill.usd_per_month, len(bill.lines)) == (12.41, 1)
        assert not any("Extended Support" in note for note in bill.notes)


def test_a_surcharge_that_is_computed_says_of_what() -> None:
    bill = nodes_bill("eu-west-1", "redis", "cache.m6g.large", replicas=1, term="3yr_all",
                      extras=Extras(engine_version="6.2", month=date(2029, 3, 1)))
    surcharge = bill.lines[-1]
    on_demand = nodes_bill("eu-west-1", "redis", "cache.m6g.large").lines[0]
    assert on_demand.usd_per_unit is not None
    assert surcharge.usd_per_unit == pytest.approx(1.6 * on_demand.usd_per_unit, abs=1e-6)
    assert "1.6 × the on-demand price" in surcharge.source
    assert on_demand.source in surcharge.source
    assert "year 3" in surcharge.what


def test_durability_whose_price_is_not_known_is_absent_and_never_0() -> None:
    bill = nodes_bill("eu-west-1", "valkey", "cache.r7g.large", replicas=1, extras=Extras(durability="sync"))
    plain = nodes_bill("eu-west-1", "valkey", "cache.r7g.large", replicas=1)
    assert bill.usd_per_month == plain.usd_per_month
    absent = next(one for one in bill.absent if one.what.startswith("durability"))
    assert "cache.r8g.large in us-west-2" in absent.reason
    assert "about 0.18" in absent.reason
    assert {"what": absent.what, "reason": absent.reason} in bill.as_json()["absent"]


def test_asynchronous_durability_costs_nothing_and_says_who_says_so() -> None:
    bill = nodes_bill("eu-west-1", "valkey", "cache.r7g.large", replicas=1, extras=Extras(durability="async"))
    added = bill.lines[-1]
    assert (added.usd, added.usd_per_unit) == (0.0, 0.0)
    assert "no additional cost" in added.source
    assert any("cluster mode" in note for note in bill.notes)


@pytest.mark.parametrize(("engine", "node", "replicas", "version", "words"), [
    ("redis", "cache.r7g.large", 1, None, "engine valkey"),
    ("valkey", "cache.t4g.micro", 1, None, "families c7gn, c8gn"),
    ("valkey", "cache.r6gd.xlarge", 1, None, "families"),
    ("valkey", "cache.r7g.large", 0, None, "a replica for each shard"),
    ("valkey", "cache.r7g.large", 1, "8.1", "Valkey 9.0 or newer"),
])
def test_durability_that_is_not_to_be_had_is_refused(engine: str, node: str, replicas: int,
                                                     version: str | None, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        nodes_bill("us-east-1", engine, node, replicas=replicas,
                   extras=Extras(durability="sync", engine_version=version))


@pytest.mark.parametrize(("engine", "node", "version", "words"), [
    ("redis", "cache.t3.micro", "seven", "engine version is none"),
    ("redis", "cache.t3.micro", "3.2.10", "runs no Redis OSS 3.2.10"),
    ("redis", "cache.t3.micro", "7.2", "its newest is 7.1"),
    ("redis", "cache.r7g.large", "5.0.6", "it needs 6.2 or newer"),
    ("redis", "cache.t3.micro", "6.2", "depends on the month"),
    ("valkey", "cache.t3.micro", "7.1", "its oldest is 7.2"),
])
def test_a_version_that_cannot_be_billed_is_refused(engine: str, node: str, version: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        nodes_bill("us-east-1", engine, node, extras=Extras(engine_version=version))


def test_a_version_whose_support_has_ended_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no longer runs then.*before 2029-02"):
        micro(Extras(engine_version="5.0.6", month=date(2029, 2, 1)))


def test_all_faults_of_extras_are_told_with_those_of_the_nodes() -> None:
    wrong = Extras(snapshots_retained_days=36, snapshot_gb=-1.0, cross_az_gb=float("nan"), engine_version="x",
                   durability="maybe")
    with pytest.raises(BadInput) as caught:
        nodes_bill("us-eest-1", "redis", "cache.t3.micro", shards=0, extras=wrong)
    for part in ("7 inputs are wrong", "us-eest-1", "number of shards 0", "36 days",
                 "size of a snapshot -1.0 GB",
                 "cross-AZ traffic nan GB", "version is none 'x'", "unknown durability 'maybe'"):
        assert part in str(caught.value)


@pytest.mark.parametrize("extras", [Extras(snapshots_retained_days=7), Extras(snapshot_gb=1.0)])
def test_half_a_question_about_backups_is_refused(extras: Extras) -> None:
    with pytest.raises(BadInput, match="snapshot"):
        micro(extras)


def test_a_savings_plan_is_absent_with_its_reason() -> None:
    bill = nodes_bill("us-east-1", "valkey", "cache.r7g.large")
    (absent,) = bill.absent
    assert absent.what == "Database Savings Plan"
    assert "up to about 20 %" in absent.reason
    with pytest.raises(NotOffered, match="no rate is known"):
        nodes_bill("us-east-1", "valkey", "cache.r7g.large", term="savings_plan")
    with pytest.raises(NotOffered, match="covers Valkey only"):
        nodes_bill("us-east-1", "redis", "cache.r7g.large", term="savings_plan")


@pytest.mark.parametrize(("engine", "node", "covered"), [
    ("valkey", "cache.r7g.large", True), ("valkey", "cache.c8gn.large", True), ("valkey", None, True),
    ("valkey", "cache.r6g.large", False), ("valkey", "cache.t4g.micro", False),
    ("redis", "cache.r7g.large", False),
])
def test_a_savings_plan_covers_valkey_of_the_7th_generation(engine: str, node: str | None,
                                                            covered: bool) -> None:
    assert is_discounted(engine, node) is covered
    assert isinstance(savings_plan(engine, node), Absent)
    if node is not None:
        assert bool(nodes_bill("us-east-1", engine, node).absent) is covered


def test_a_surcharge_without_an_on_demand_price_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def sold_nowhere(*_: object, **__: object) -> None:
        raise NotOffered("not offered")

    monkeypatch.setattr("amply_capacity.plan.addons.price", sold_nowhere)
    bill = nodes_bill("eu-west-1", "redis", "cache.m6g.large",
                      extras=Extras(engine_version="6.2", month=date(2028, 2, 1)))
    assert [type(line) for line in bill.lines] == [BillLine]
    (absent,) = bill.absent
    assert "0.8 × the on-demand price" in absent.reason


def test_the_families_that_may_be_durable_are_of_the_catalog() -> None:
    for name in ("cache.r6g.large", "cache.m8g.large", "cache.c7gn.large"):
        assert nodes_bill("us-east-1", "valkey", name, replicas=1, extras=Extras(durability="async")).lines
        assert node_type(name).family in name
