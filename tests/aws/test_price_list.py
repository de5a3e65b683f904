"""The price list over all its pages and regions, whole or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from price_pages import (
    PriceServer,
    item,
    page,
    question,
    r7g_large,
    serverless,
    set_environment,
    stubbed,
    t3_medium,
)

from amply_capacity.aws.price_list import PriceList, pricing_client, read_price_list, some_of
from amply_capacity.errors import AmplyError

WEST = "us-west-2"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def read(pricing: Any, *regions: str) -> PriceList:
    return read_price_list(pricing, regions, lambda steps=1: None)


def refusal(*answers: tuple[dict[str, Any], dict[str, Any]] | str, regions: tuple[str, ...] = (WEST,)) -> str:
    with stubbed(*answers) as pricing, pytest.raises(AmplyError) as caught:
        read(pricing, *regions)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_all_pages_of_all_regions_are_asked_for_by_the_code_of_the_region() -> None:
    first, second = t3_medium()[:2], t3_medium()[2:]
    with stubbed((question(WEST), page(first, "next")), (question(WEST, "next"), page(second)),
                 (question("us-east-1"), page([r7g_large()]))) as pricing:
        found = read(pricing, WEST, "us-east-1")
    keys = {one.key for one in found.prices}
    assert {key[:3] for key in keys} == {(WEST, "redis", "cache.t3.medium"),
                                         (WEST, "valkey", "cache.t3.medium"),
                                         ("us-east-1", "redis", "cache.r7g.large")}
    assert len(keys) == len(found.prices) == 9
    assert found.published == ("2026-11-20",)
    assert found.left_out == {"Memcached": 1}
    assert {one.key for one in found.rates} == {
        (f"extended_support_surcharge_{years}", WEST, "redis", "cache.t3.medium")
        for years in ("Yr1_Yr2", "Yr3")}


def test_two_rates_of_one_thing_are_told_and_neither_is_taken() -> None:
    twice = [*serverless(), *serverless(storage="0.1300000000")]
    with stubbed((question(WEST), page(twice))) as pricing:
        found = read(pricing, WEST)
    assert found.unread == (f"serverless_storage {WEST} redis: 2 different rates",)
    assert [one.item for one in found.rates] == ["serverless_ecpu"]


def test_progress_is_told_region_by_region() -> None:
    told = []
    answers = [(question(region), page([])) for region in (WEST, "us-east-1")]
    with stubbed(*answers) as pricing:
        read_price_list(pricing, (WEST, "us-east-1"), lambda steps=1: told.append(steps))
    assert told == [1, 1]


def test_elements_may_be_objects_instead_of_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    with PriceServer([page([]) | {"PriceList": [item()]}]) as server:
        set_environment(monkeypatch, server.url)
        (found,) = read(pricing_client(), WEST).prices
    assert found.hourly_usd == Decimal("0.068")


def test_one_price_given_twice_stands_once() -> None:
    with stubbed((question(WEST), page([item(), item(prefix="")]))) as pricing:
        assert len(read(pricing, WEST).prices) == 1


def test_two_prices_for_one_node_are_refused_with_both() -> None:
    text = refusal((question(WEST), page([item(), item(usd="0.0540000000")])))
    assert "two prices of us-west-2 redis cache.t3.medium on_demand: 0.068 and 0.054 USD/h" in text


def test_all_faults_of_all_regions_are_said_at_once_up_to_some() -> None:
    text = refusal((question(WEST), page(["{", item(usd="free")])),
                   (question("us-east-1"), page([item()])), regions=(WEST, "us-east-1"))
    for word in ("no product", "no amount, 'free'", "asked was us-east-1", "--region"):
        assert word in text
    assert some_of([f"fault {number}" for number in range(7)]).endswith("fault 4; and 2 more")


@pytest.mark.parametrize(("code", "word"), [
    ("AccessDeniedException", "does not allow pricing:GetProducts"),
    ("ExpiredNextTokenException", "ExpiredNextTokenException"),
])
def test_an_error_on_a_later_page_refuses_all_of_it(code: str, word: str) -> None:
    assert word in refusal((question(WEST), page([item()], "next")), code)


def test_a_page_without_products_is_half_an_answer() -> None:
    text = refusal((question(WEST), page([item()], "next")),
                   (question(WEST, "next"), {"FormatVersion": "aws_v1"}))
    assert "came in part" in text


def test_a_page_that_names_itself_as_the_next_is_half_an_answer() -> None:
    text = refusal((question(WEST), page([item()], "next")), (question(WEST, "next"), page([], "next")))
    assert "in part" in text
    assert "try again later" in text


def test_a_busy_list_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with PriceServer(["ThrottlingException", page([item()])]) as server:
        set_environment(monkeypatch, server.url)
        (found,) = read(pricing_client(), WEST).prices
    assert found.key == (WEST, "redis", "cache.t3.medium", "on_demand")
    assert server.asked == [question(WEST)] * 2


def test_a_page_that_breaks_off_is_half_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with PriceServer([page([item()], "next"), "breaks off"]) as server:
        set_environment(monkeypatch, server.url)
        with pytest.raises(AmplyError, match="came in part"):
            read(pricing_client(), WEST)
    assert server.asked == [question(WEST), question(WEST, "next")]
