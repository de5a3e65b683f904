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


def test_a_serverless_cache_is_billed_by_gigabytes_and_ecpus(amply: Callable) -> None:
    asked = ("cost", "--region", "us-east-1", "--engine", "valkey", "--serverless", "--gb", "0.5",
             "--ecpus-per-second", "250")
    answer = amply(*asked, "--json").json
    assert answer["usd_per_month"] == pytest.approx(730 * 0.5 * 0.084 + 657 * 0.0023, abs=1e-4)
    for line in answer["lines"]:
        assert set(line) >= {"what", "quantity", "unit", "usd", "source", "as_of"}
    text = amply(*asked).out
    assert "$32.17  a month" in text
    assert "absent: Database Savings Plan: no rate is known" in text


def test_a_reserved_term_shows_its_share_of_a_month_and_when_it_is_paid(amply: Callable) -> None:
    asked = (*MICRO, "--term", "1yr_all", "--month", "2026-12", "--cash-flow-months", "14")
    answer = amply(*asked, "--json").json
    assert answer["usd_per_month"] == pytest.approx(95 / 12, abs=1e-4)
    months = answer["cash_flow"]["months"]
    assert [(months[i]["month"], months[i]["usd"]) for i in (0, 1, 12)] == [
        ("2026-12", 95.0), ("2027-01", 0.0), ("2027-12", 95.0)]
    assert answer["cash_flow"]["usd"] == 190.0
    assert "paid upfront for months after the last" in amply(*asked).out


def test_extras_are_lines_of_their_own(amply: Callable) -> None:
    answer = amply(*MICRO, "--engine-version", "5.0.6", "--month", "2026-12", "--snapshots-retained-days",
                   "7", "--backup-gb", "0.4", "--cross-az-gb", "30", "--json").json
    assert [line["usd"] for line in answer["lines"]] == [12.41, 10.22, 0.204, 0.3]
    assert answer["month"] == "2026-12"
    assert "month" not in amply(*MICRO, "--json").json


def test_a_reservation_that_is_there_already_is_applied_across_sizes(amply: Callable) -> None:
    asked = ("cost", "--region", "us-east-1", "--engine", "valkey", "--node-type", "cache.r7g.xlarge",
             "--replicas", "2", "--json", "--reservation")
    answer = amply(*asked, "cache.r7g.xlarge,2,1yr_no,redis").json
    assert answer["usd_per_month"] == pytest.approx(1460 * 0.297 + 365 * 0.3496, abs=1e-4)
    same = amply(*asked, "cache.r7g.xlarge,3,1yr_no").json
    assert same["usd_per_month"] == pytest.approx(2190 * 0.2376, abs=1e-4)


def test_a_serverless_cache_has_a_cash_flow_too(amply: Callable) -> None:
    answer = amply("cost", "--region", "eu-west-1", "--serverless", "--gb", "1", "--ecpus-per-second", "0",
                   "--month", "2026-12", "--cash-flow-months", "2", "--json").json
    assert [due["usd"] for due in answer["cash_flow"]["months"]] == [102.2, 102.2]


def test_the_bill_of_this_month_needs_no_month(amply: Callable) -> None:
    answer = amply(*MICRO, "--engine-version", "7.1", "--json").json
    assert answer["usd_per_month"] == 12.41
    assert answer["month"] == f"{date.today():%Y-%m}"


def test_nothing_to_bill_is_refused_with_all_else_that_is_wrong(amply: Callable) -> None:
    amply("cost", "--region", "us-eest-1", "--engine", "reddis", "--gb", "1", "--backup-gb", "-1", "--month",
          "2026-13", "--cash-flow-months", "0").assert_refused(
        "neither --node-type nor --serverless", "'us-eest-1'", "'reddis'", "--gb without --serverless",
        "snapshot", "--month is no month '2026-13'", "number of months 0")


def test_nodes_and_serverless_at_once_are_refused(amply: Callable) -> None:
    amply(*MICRO, "--serverless", "--shards", "2", "--replicas", "1", "--term", "1yr_no", "--reservation",
          "x", "--gb", "1").assert_refused(
        "--node-type with --serverless", "--shards", "--replicas", "--term", "--reservation",
        "no --ecpus-per-second")


@pytest.mark.parametrize("text", ["cache.t3.micro", "cache.t3.micro,two,1yr_no", "a,1,1yr_no,redis,more"])
def test_a_reservation_that_cannot_be_read_is_refused(amply: Callable, text: str) -> None:
    amply(*MICRO, "--reservation", text).assert_refused("--reservation cannot be read", repr(text),
                                                        "cache.r7g.large,2,1yr_no")


def test_a_savings_plan_is_refused_with_its_reason(amply: Callable) -> None:
    amply(*MICRO, "--term", "savings_plan").assert_refused("Database Savings Plan", "covers Valkey only")


def test_an_old_engine_that_no_longer_runs_is_refused(amply: Callable) -> None:
    asked = (*MICRO, "--engine-version", "5.0.6", "--month", "2030-01")
    amply(*asked).assert_refused("no longer runs", "2029-02")


def test_the_same_question_has_the_same_answer_byte_for_byte(amply: Callable) -> None:
    asked = (*MICRO, "--term", "3yr_partial", "--month", "2026-12", "--cash-flow-months", "36", "--json")
    assert amply(*asked).out == amply(*asked).out
