from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.price_age import STALE_DAYS, age_in_words, price_age

TODAY = date(2026, 11, 28)


@pytest.mark.parametrize(("days", "words"), [
    (0, "today"), (1, "1 day ago"), (57, "57 days ago"), (91, "91 days ago"), (92, "3 months ago"),
    (366, "1 year ago"), (624, "1 year 8 months ago"), (800, "2 years 2 months ago")])
def test_an_age_is_said_in_words(days: int, words: str) -> None:
    assert age_in_words(days) == words


def test_oldest_and_newest_are_said_and_how_many_bear_no_date() -> None:
    age = price_age(["2026-10-02", "2025-03-14", "undated", "2025-04-24"], TODAY)
    assert age.text == "prices as of 2025-03-14 (1 year 8 months ago) to 2026-10-02 (57 days ago), 1 undated"
    assert age.warning == (
        "warning: 2 of 4 prices are older than 180 days, the oldest as of 2025-03-14 (1 year 8 months ago); "
        "1 of 4 prices bear no date: `amply-capacity prices refresh` reads them anew")


@pytest.mark.parametrize(("days", "warns"), [(0, False), (180, False), (181, True)])
def test_a_warning_begins_after_180_days(days: int, warns: bool) -> None:
    assert STALE_DAYS == 180
    age = price_age([(TODAY - timedelta(days)).isoformat()], TODAY)
    assert (age.warning is not None) == warns
    assert age.text.count("2026") == 1  # one date is said once


def test_what_has_no_date_is_warned_of_and_a_clock_that_runs_ahead_is_not() -> None:
    age = price_age(["undated"], TODAY)
    assert age.text == "prices of unknown date"
    assert "1 of 1 prices bear no date" in str(age.warning)
    assert price_age(["2026-11-30"], TODAY).text == "prices as of 2026-11-30 (today)"
    assert price_age([], TODAY).text == "no prices"
    assert price_age([], TODAY).warning is None


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_what_is_older_is_never_said_to_be_younger(one: int, other: int) -> None:
    sizes = {"today": 0, "day": 1, "days": 1, "month": 31, "months": 31, "year": 365, "years": 365}

    def said(days: int) -> int:
        words = age_in_words(days).removesuffix(" ago").split()
        return sum(int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=False))

    young, old = sorted((one, other))
    assert said(young) <= said(old)
