"""`amply-capacity cost` and `prices show`: true prices with their sources, and clear refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest

MICRO = ("cost", "--region", "us-east-1", "--node-type", "cache.t3.micro")


def test_a_micro_costs_12_41_a_month_as_one_json_object_with_its_source(amply_process: Callable) -> None:
    answer = amply_process(*MICRO, "--engine", "redis", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["usd_per_month"] == 12.41  # 0.017 USD an hour x 730 hours
    for line in answer.json["lines"]:
        assert set(line) >= {"what", "quantity", "unit", "usd", "source", "as_of"}
        assert line["source"]
        assert date.fromisoformat(line["as_of"]) <= date.today()
    assert sum(line["usd"] for line in answer.json["lines"]) == pytest.approx(12.41)


@pytest.mark.parametrize(("options", "usd"), [
    (("--node-type", "cache.t3.small"), 24.82),
    (("--node-type", "cache.t3.micro", "--replicas", "1"), 24.82),
    (("--node-type", "cache.t3.micro", "--shards", "2", "--replicas", "1"), 49.64),
])
def test_nodes_add_up(amply: Callable, options: tuple[str, ...], usd: float) -> None:
    answer = amply("cost", "--region", "us-east-1", "--engine", "redis", *options, "--json")
    assert answer.code == 0
    assert answer.json["usd_per_month"] == usd


@pytest.mark.parametrize("node_type", ["cache.t3.micro", "cache.t3.small", "cache.r7g.large"])
def test_valkey_is_20_percent_cheaper_than_redis(amply: Callable, node_type: str) -> None:
    usd = {engine: amply("cost", "--region", "us-east-1", "--engine", engine, "--node-type", node_type,
                         "--json").json["usd_per_month"] for engine in ("redis", "valkey")}
    assert usd["valkey"] == pytest.approx(0.8 * usd["redis"], rel=1e-3)


def test_without_json_a_person_reads_the_lines_the_sum_and_the_sources(amply: Callable) -> None:
    answer = amply(*MICRO, "--replicas", "1")
    assert answer.code == 0
    assert "$24.82  a month" in answer.out
    assert re.search(r"source: .+, as of \d{4}-\d\d-\d\d", answer.out)


def test_all_unknown_names_are_refused_in_one_paragraph_with_the_nearest_ones(
        amply_process: Callable) -> None:
    wrong = {"--region": "us-eest-1", "--engine": "reddis", "--node-type": "cache.t3.mikro"}
    answer = amply_process("cost", *(word for option in wrong.items() for word in option))
    answer.assert_refused(*map(repr, wrong.values()), "us-east-1", "use one of redis", "cache.t3.micro")


def test_a_node_type_that_the_engine_does_not_offer_is_refused_with_others(amply: Callable) -> None:
    answer = amply("cost", "--region", "us-east-1", "--engine", "redis", "--node-type", "cache.m8g.large")
    answer.assert_refused("cache.m8g.large is not offered for redis in us-east-1", "take engine valkey",
                          "cache.m7g.large")


def test_a_node_type_that_the_region_does_not_offer_is_refused_with_regions(amply: Callable) -> None:
    answer = amply("cost", "--region", "af-south-1", "--engine", "redis", "--node-type", "cache.c7gn.large")
    answer.assert_refused("cache.c7gn.large is not offered for redis in af-south-1", "take a region")


def test_an_unknown_term_and_impossible_counts_are_refused(amply: Callable) -> None:
    amply(*MICRO, "--term", "2yr_no").assert_refused("2yr_no")
    amply(*MICRO, "--shards", "0", "--replicas", "-1").assert_refused("shard", "replica")


def test_prices_show_lists_what_a_region_offers_with_hours_and_months(amply: Callable) -> None:
    shown = amply("prices", "show", "--region", "us-east-1", "--json").json
    rows = {row["node_type"]: row for row in shown["prices"]}
    assert rows["cache.t3.micro"]["usd_per_hour"] == 0.017
    assert rows["cache.t3.micro"]["usd_per_month"] == 12.41
    assert all(row["source"] and row["as_of"] for row in rows.values())
    text = amply("prices", "show", "--region", "us-east-1").out
    assert len(text.splitlines()) == len(rows)


def test_prices_show_without_a_region_lists_the_35_regions(amply: Callable) -> None:
    assert len(amply("prices", "show", "--json").json["regions"]) == 35
    assert "us-east-1" in amply("prices", "show").out.split()


def test_prices_show_refuses_an_unknown_region_and_engine_at_once(amply: Callable) -> None:
    amply("prices", "show", "--region", "eu-wast-1", "--engine", "redi").assert_refused(
        "'eu-wast-1'", "eu-west-1", "'redi'", "redis")
