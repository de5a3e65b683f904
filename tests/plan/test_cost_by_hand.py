"""Bills worked by hand from the gathered facts: the arithmetic stands here, in decimals, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.extras import Extras
from amply_capacity.plan.reservations import Reservation
from amply_capacity.plan.serverless_bill import serverless_bill

HOURS = 730
SECONDS = 730 * 3600
MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    """A question, and the month's dollars."""

    region: str
    engine: str
    what: tuple[Any, ...]
    """Node type, shards, replicas and term; or gigabytes and ECPUs a second."""
    usd: D
    extras: Extras | None = None
    reservation: Reservation | None = None

    @property
    def bill(self) -> Any:
        if isinstance(self.what[0], str):
            return nodes_bill(self.region, self.engine, *self.what, self.extras, self.reservation)
        return serverless_bill(self.region, self.engine, *self.what, self.extras)


ON_DEMAND = (
    Case("us-east-1", "redis", ("cache.t3.micro", 1, 0, "on_demand"), HOURS * D("0.017")),
    # Seven snapshots are kept, one of them free.
    Case("us-east-1", "redis", ("cache.t3.micro", 1, 1, "on_demand"),
         2 * HOURS * D("0.017") + 6 * D("0.4") * D("0.085"),
         Extras(snapshots_retained_days=7, snapshot_gb=0.4)),
    Case("eu-west-1", "valkey", ("cache.t4g.small", 1, 1, "on_demand"), 2 * HOURS * D("0.0272")),
    # Three shards of a primary and two replicas; 1,250 GB a month to and from other zones.
    Case("ap-northeast-1", "valkey", ("cache.r7g.large", 3, 2, "on_demand"),
         9 * HOURS * D("0.2104") + 1250 * D("0.01"), Extras(cross_az_gb=1250.0)),
)
RESERVED = (
    Case("us-east-1", "redis", ("cache.t3.micro", 1, 0, "1yr_all"), D("95") / 12),
    Case("us-east-1", "redis", ("cache.r7g.large", 1, 1, "1yr_partial"),
         2 * HOURS * D("0.071") + 2 * D("623.493") / 12),
    Case("us-east-1", "valkey", ("cache.r8g.large", 2, 1, "3yr_all"), 4 * D("2076.66") / 36),
    Case("us-west-2", "redis", ("cache.t3.medium", 1, 2, "3yr_all"), 3 * D("806") / 36),
    # The split of this one is inferred from the Memcached node's.
    Case("us-west-2", "redis", ("cache.t3.medium", 1, 0, "1yr_partial"), HOURS * D("0.022") + D("194") / 12),
    Case("eu-central-1", "redis", ("cache.r7g.xlarge", 1, 2, "3yr_partial"),
         3 * HOURS * D("0.126") + 3 * D("3311.28") / 36),
    # One snapshot is kept, and that is the free one.
    Case("sa-east-1", "redis", ("cache.m6g.large", 1, 1, "3yr_no"), 2 * HOURS * D("0.110"),
         Extras(snapshots_retained_days=1, snapshot_gb=10.0)),
    # Only the effective rate was published.
    Case("eu-north-1", "valkey", ("cache.r6g.large", 1, 1, "3yr_partial"), 2 * HOURS * D("0.0827656012")),
    # A reserved large node (4 units) covers half of an xlarge (8): the other half is on demand.
    Case("us-east-1", "redis", ("cache.r7g.xlarge", 1, 0, "on_demand"),
         HOURS * D("0.149") + HOURS / D(2) * D("0.437"),
         reservation=Reservation("redis", "cache.r7g.large", 1, "1yr_no")),
    # Two reserved nodes of Redis OSS (16 units) cover two and a half of Valkey (6.4 each): three run.
    Case("us-east-1", "valkey", ("cache.r7g.xlarge", 1, 2, "on_demand"),
         2 * HOURS * D("0.297") + HOURS * D("0.5") * D("0.3496"),
         reservation=Reservation("redis", "cache.r7g.xlarge", 2, "1yr_no")),
)
ADD_ONS = (
    # Prices of Extended Support that were read for the very node.
    Case("us-east-1", "redis", ("cache.t3.micro", 1, 0, "on_demand"), HOURS * (D("0.017") + D("0.014")),
         Extras(engine_version="5.0.6", month=date(2026, 12, 1))),
    Case("us-west-2", "redis", ("cache.t3.medium", 1, 0, "on_demand"), HOURS * (D("0.068") + D("0.109")),
         Extras(engine_version="4.0.10", month=date(2028, 2, 1))),
    Case("eu-west-1", "redis", ("cache.r7g.large", 1, 0, "on_demand"), HOURS * (D("0.243") + D("0.194")),
         Extras(engine_version="6.2", month=date(2027, 2, 1))),
    Case("us-east-1", "redis", ("cache.m6g.large", 1, 1, "on_demand"), 2 * HOURS * (D("0.149") + D("0.238")),
         Extras(engine_version="6.2", month=date(2029, 2, 1))),
    # AWS' own example, "Extended Support charges and reserved nodes": 80 % of the on-demand price on top.
    Case("us-east-2", "redis", ("cache.m5.large", 1, 0, "1yr_no"),
         HOURS * (D("0.106") + D("0.8") * D("0.156")),
         Extras(engine_version="5.0.6", month=date(2026, 12, 1))),
    Case("us-east-1", "valkey", ("cache.r6g.xlarge", 1, 1, "on_demand"),
         2 * HOURS * (D("0.3288") + D("0.0592")) + 50 * D("0.01"),
         Extras(durability="sync", cross_az_gb=50.0)),
    Case("ap-northeast-1", "valkey", ("cache.r7g.large", 2, 1, "1yr_no"),
         4 * HOURS * (D("0.1432") + D("0.0379")), Extras(durability="sync", engine_version="9.0")),
)
SERVERLESS = (
    # 50 MB are metered as 100 MB of Valkey, 400 MB as 1 GB of Redis OSS.
    Case("us-east-1", "valkey", (0.05, 100.0),
         HOURS * D("0.1") * D("0.084") + D(100 * SECONDS) / MILLION * D("0.0023")),
    Case("us-east-1", "redis", (0.4, 2500.0),
         HOURS * 1 * D("0.125") + D(2500 * SECONDS) / MILLION * D("0.0034")),
    Case("eu-west-1", "valkey", (12.5, 1200.5),
         HOURS * D("12.5") * D("0.094") + D("1200.5") * SECONDS / MILLION * D("0.0025")),
    Case("ap-northeast-1", "redis", (3.0, 900.0),
         HOURS * 3 * D("0.151") + D(900 * SECONDS) / MILLION * D("0.0041") + 7 * 3 * D("0.085")
         + 200 * D("0.01"), Extras(snapshots_retained_days=7, cross_az_gb=200.0)),
    Case("sa-east-1", "valkey", (1.0, 0.0), HOURS * 1 * D("0.133")),
    Case("eu-central-1", "valkey", (0.75, 40_000.0),
         HOURS * D("0.75") * D("0.101") + D(40_000 * SECONDS) / MILLION * D("0.0027")),
)
CASES = (*ON_DEMAND, *RESERVED, *ADD_ONS, *SERVERLESS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.region} {case.engine} {case.what}")
def test_a_bill_is_the_one_worked_by_hand(case: Case) -> None:
    bill = case.bill
    # Within a fiftieth of a cent: each line is rounded to a hundredth.
    assert abs(D(str(bill.usd_per_month)) - case.usd) < D("0.0002"), bill
    assert bill.usd_per_month == pytest.approx(sum(line.usd for line in bill.lines))
    for line in bill.lines:
        assert line.source
        assert line.as_of
        assert line.usd_per_unit is not None
        assert line.usd == pytest.approx(line.quantity * line.usd_per_unit, rel=1e-6, abs=5e-4)


def test_the_bills_span_regions_engines_and_terms() -> None:
    assert len(CASES) >= 20
    assert len({case.region for case in CASES}) >= 5
    assert {case.engine for case in CASES} == {"redis", "valkey"}
    assert {case.what[3] for case in CASES if len(case.what) == 4} >= {
        "on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial", "3yr_all"}
