from decimal import Decimal

import pytest

from amply_capacity.catalog.prices import ENGINES, regions
from amply_capacity.catalog.serverless import amount, node_rate, rates, serverless
from amply_capacity.errors import BadInput, NotOffered


def test_serverless_rates_are_the_known_ones_of_us_east_1() -> None:
    valkey = serverless("us-east-1", "valkey")
    assert (valkey.storage.amount, valkey.ecpus.amount, valkey.minimum_storage.amount) == (0.084, 0.0023, 0.1)
    assert valkey.storage.as_of == "2026-09-14"
    assert serverless("us-east-1", "redis").minimum_storage.amount == 1.0


def test_serverless_is_offered_in_every_region_but_the_local_zone() -> None:
    for region in set(regions()) - {"us-west-2-lax-1"}:
        for engine in ENGINES:
            found = serverless(region, engine)
            assert found.storage.region == found.ecpus.region == region
            assert found.storage.unit == "USD per GB-hour"
            assert found.ecpus.unit == "USD per million ECPU"
    with pytest.raises(NotOffered, match="34 regions"):
        serverless("us-west-2-lax-1", "redis")


def test_unknown_names_are_told_at_once() -> None:
    with pytest.raises(BadInput, match="unknown region 'mars'; unknown engine 'radis'"):
        serverless("mars", "radis")


def test_rates_for_all_regions_and_engines_hold_everywhere() -> None:
    (backup,) = rates("backup_storage", "eu-west-1", "valkey")
    assert (backup.amount, backup.unit) == (0.085, "USD per GB-month")
    assert rates("no such item") == ()


def test_rule_in_words_has_no_amount() -> None:
    (rule,) = rates("serverless_ecpu_rule")
    assert rule.amount is None
    assert "1 ECPU per KB" in rule.detail


def test_every_rate_has_source_and_date() -> None:
    items = ("backup_storage", "data_transfer_cross_az_client", "data_transfer_replication", "encryption",
             "extended_support_rule", "extended_support_surcharge_Yr1_Yr2", "extended_support_surcharge_Yr3",
             "serverless_ecpu", "serverless_storage", "serverless_minimum_metered_storage",
             "sync_durability_addon", "database_savings_plan", "hours_per_month")
    for item in items:
        assert rates(item), item
        assert all(rate.source and rate.as_of for rate in rates(item)), item


def test_a_rate_of_one_node_type_is_found_by_its_name() -> None:
    found = node_rate("extended_support_surcharge_Yr3", "us-west-2", "cache.t3.medium")
    assert found is not None
    assert amount(found) == Decimal("0.109")
    assert node_rate("extended_support_surcharge_Yr3", "us-west-2", "cache.t3.small") is None
    assert node_rate("sync_durability_addon", "mars", "cache.r7g.large") is None


def test_a_rate_in_words_has_no_number_to_bill() -> None:
    (rule,) = rates("serverless_ecpu_rule")
    with pytest.raises(BadInput, match="lack a number"):
        amount(rule)
