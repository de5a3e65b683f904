"""Prices that are too old to decide by: said beside the answer, which stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from amply_capacity.commands import answer
from amply_capacity.files import EXAMPLE_RUN

COST = ("cost", "--region", "us-east-1", "--node-type", "cache.t3.micro", "--json")


def test_a_bill_of_old_prices_says_their_age_on_stderr(
        amply: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "_today", lambda: date(2026, 11, 28))
    fresh = amply(*COST)
    monkeypatch.setattr(answer, "_today", lambda: date(2027, 6, 1))
    old = amply(*COST)
    assert (fresh.code, old.code) == (0, 0)
    assert fresh.err == ""
    assert "older than 180 days, the oldest as of 2026-10-02" in old.err
    assert "prices refresh" in old.err
    assert fresh.out == old.out


def test_a_plan_on_old_prices_says_so_too(
        amply: Callable, demand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "_today", lambda: date(2028, 1, 1))
    asked = ("plan", "--run", EXAMPLE_RUN, "--demand", demand, "--worlds", "100", "--json")
    assert "77 of 77 prices are older than 180 days" in amply(*asked).err


def test_a_plan_says_how_old_the_reservations_are_that_it_shows_beside_itself(
        amply: Callable, demand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bill and the 70 on demand are of October; the six reservations of a t4g.micro are not."""
    monkeypatch.setattr(answer, "_today", lambda: date(2026, 11, 28))
    asked = ("plan", "--run", EXAMPLE_RUN, "--demand", demand, "--worlds", "100", "--json")
    told = amply(*asked)
    assert told.code == 0
    assert told.err.startswith("warning: 6 of 77 prices are older than 180 days, the oldest as of 2024-10-07")
