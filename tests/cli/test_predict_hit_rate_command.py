"""`amply-capacity predict hit-rate` and `ledger`: plain figures, and clear refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from amply_capacity import files
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.interval import Interval
from amply_capacity.model.ledger import Ledger

ASK = ("predict", "hit-rate", EXAMPLE_RUN, "--maxmemory")


def test_each_memory_is_answered_in_order(amply: Callable) -> None:
    answer = amply(*ASK, "120mb,100000000,cache.t3.micro", "--json")
    assert answer.code == 0, answer
    found = answer.json["predictions"]
    assert [one["maxmemory_bytes"] for one in found] == [125_829_120, 100_000_000, 402_653_184]
    assert found[0]["hit_rate"] > found[1]["hit_rate"]
    for one in found:
        assert one["low"] <= one["hit_rate"] <= one["high"]
        assert isinstance(one["evictions"], int)
    assert answer.json["samples"] == 3  # as the run's server was set up


def test_people_get_a_table_with_what_was_assumed(amply: Callable) -> None:
    answer = amply(*ASK, "100mb", "--samples", "10", "--policy", "allkeys-lru")
    assert answer.code == 0
    assert "104,857,600" in answer.out
    assert "allkeys-lru, 10 samples" in answer.out
    assert "assumed: " in answer.out
    assert "emulating" in answer.err


def test_ten_times_the_users_hit_less_often_at_the_same_memory(amply: Callable) -> None:
    one = amply(*ASK, "400mb", "--json").json["predictions"][0]
    ten = amply(*ASK, "400mb", "--scale", "10", "--json").json["predictions"][0]
    assert ten["hit_rate"] < one["hit_rate"]
    assert ten["evictions"] > one["evictions"]


@pytest.mark.parametrize(("words", "named"), [
    (("8mb,many",), ("--maxmemory 'many'",)),
    (("cache.t3.mikro",), ("cache.t3.micro",)),
    (("8mb", "--samples", "0"), ("--samples 0",)),
    (("8mb", "--policy", "lru"), ("--policy 'lru'", "volatile-lru")),
    (("8mb", "--connections", "-1"), ("--connections -1",)),
    (("8mb", "--allocator", "tcmalloc"), ("--allocator 'tcmalloc'", "bundled")),
    (("8mb", "--scale", "0.5"), ("--scale 0.5",)),
    (("no", "--samples", "99", "--scale", "-3"), ("--maxmemory 'no'", "--samples 99", "--scale -3")),
])
def test_every_fault_is_named_at_once(amply: Callable, words: tuple[str, ...],
                                      named: tuple[str, ...]) -> None:
    amply(*ASK, *words).assert_refused(*named)


def test_a_run_that_is_none_is_refused(amply: Callable, tmp_path: Path) -> None:
    amply("predict", "hit-rate", tmp_path / "none", "--maxmemory", "8mb").assert_refused("no such run")


def test_the_ledger_prints_the_track_record(amply: Callable, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LEDGER_DIR", tmp_path)
    assert "nothing has been predicted yet" in amply("ledger").out
    ledger = Ledger(tmp_path / "mine.jsonl")
    ledger.measure(ledger.predict("hit rate", "8 MB", "points", Interval(0.5, 0.6, 0.7), 1), 0.55)
    ledger.predict("evictions", "8 MB", "keys", Interval(1.0, 2.0, 3.0), 1)
    answer = amply("ledger", "--rows")
    assert "1 of 1 intervals held" in answer.out
    assert "not measured yet" in answer.out
    found = amply("ledger", "--json").json
    assert [one["quantity"] for one in found["scores"]] == ["hit rate", "evictions"]
    assert found["predictions"][0]["inside"] is True
    assert found["predictions"][1]["measured"] is None


def test_the_track_record_can_begin_on_a_day(amply: Callable, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LEDGER_DIR", tmp_path)
    ledger = Ledger(tmp_path / "mine.jsonl")
    ledger.measure(ledger.predict("hit rate", "old", "points", Interval(0.5, 0.6, 0.7), 1), 0.9)
    lines = ledger.path.read_text()
    for key in ("predicted_at", "measured_at"):
        lines = re.sub(rf'"{key}": "[^"]*"', f'"{key}": "2026-03-31T23:59:59.000+00:00"', lines)
    ledger.path.write_text(lines)
    ledger.measure(ledger.predict("hit rate", "new", "points", Interval(0.5, 0.6, 0.7), 1), 0.55)
    assert "1 of 2 intervals held" in amply("ledger").out
    assert "1 of 1 intervals held" in amply("ledger", "--since", "2026-04-01").out
    assert "1 of 2 intervals held" in amply("ledger", "--since", "2026-03-31").out
    assert "nothing has been predicted since 2999-01-01" in amply("ledger", "--since", "2999-01-01").out
    amply("ledger", "--since", "1 April").assert_refused("--since is no date", "'1 April'", "YYYY-MM-DD")
