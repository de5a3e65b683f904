"""The accuracy benchmark leaves out nothing that it said it would measure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.ledger import read_ledgers
from bench import accuracy, drills
from bench.claim import Claim, Experiment

ABOUT_100 = Interval(90.0, 100.0, 110.0)


def claim(case: str) -> Claim:
    return Claim("hit rate", case, "keys", ABOUT_100, 0.1)


def no_run() -> Sequence[float]:
    raise BadRun("there is no such run", got="nothing", do="record one")


def no_reading() -> Sequence[float]:
    return [max(list[float]())]


def batch() -> list[Experiment]:
    return [Experiment([claim("told")], lambda: [101.0]), Experiment([claim("no run")], no_run),
            Experiment([claim("no reading")], no_reading),
            Experiment([claim("beside")], no_run, runs_beside_others=True),
            Experiment([claim("first of two"), claim("second of two")], lambda: [150.0]),
            Experiment([claim("last")], lambda: [99.0], withheld=("a p99: it is open",))]


def in_turn() -> Iterator[list[Experiment]]:
    yield batch()


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(accuracy, "LEDGER_DIR", tmp_path)
    return tmp_path


def test_what_could_not_be_measured_is_told_and_ends_nothing(ledger: Path) -> None:
    words = accuracy.table((batch,), (in_turn,))
    assert words.count("not measured: hit rate, ") == 8
    for case in ("no run", "no reading", "beside", "second of two"):
        assert f"not measured: hit rate, {case}\n" in words
    assert words.count("withheld: a p99: it is open") == 2
    assert "4 of 6: 67 %" in words
    assert sum(entry.measured is None for entry in read_ledgers(ledger)) == 8


def test_each_error_is_held_against_what_its_own_case_allows() -> None:
    cases = (("wide", 0.15, 101.0), ("narrow", 0.03, 91.0), ("told only", None, 300.0))
    made = [Experiment([Claim("writes lost", case, "", ABOUT_100, allowed)], lambda value=value: [value])
            for case, allowed, value in cases]
    made.append(Experiment([Claim("hit rate", "8 MB", "points", Interval(0.4, 0.5, 0.6), 0.25)],
                           lambda: [0.498]))
    summary = accuracy.table((lambda: made,), ()).rpartition("\n\n")[2].splitlines()
    assert "as allowed" in summary[0]
    assert re.fullmatch(r"writes lost +25.85 % +66.67 +1 of 2 +2 of 3", summary[1])
    assert re.fullmatch(r"hit rate +0.20 p +0.20 +1 of 1 +1 of 1", summary[2])


def test_nothing_where_much_was_predicted_is_a_row_like_others() -> None:
    words = accuracy.table((lambda: [Experiment([claim("lost")], lambda: [0.0])],), ())
    assert re.search(r"^hit rate +lost +100 keys +0 keys +\+inf % +10 %  no$", words, re.MULTILINE)
    assert "0 of 1: 0 %" in words


def test_a_drill_that_could_not_be_measured_is_not_as_near(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_losses", batch), ("_outages", list), ("_failovers", list),
                        ("_in_a_row", lambda: "in a row"), ("_killed", lambda: "killed")):
        monkeypatch.setattr(drills, name, value)
    assert "hit rate: 2 of 6 as near as they have to be" in drills.table()
