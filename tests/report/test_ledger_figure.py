"""The track record: counted as it is, and drawn for any state of the ledger."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.files import LEDGER_DIR
from amply_capacity.interval import Interval
from amply_capacity.model.ledger import Entry, Ledger, read_ledgers
from amply_capacity.report import tables
from amply_capacity.report.ledger_figure import predicted_against_measured, track_record_text, wilson

ABOUT_100 = Interval(90.0, 100.0, 110.0)


def entry(quantity: str, measured: float | None, predicted: Interval = ABOUT_100) -> Entry:
    return Entry("id", quantity, "a case", "B", predicted, "2026-11-26T20:55:48.759+00:00", "hash",
                 measured=measured, measured_at=None if measured is None else "2026-11-26T21:00:00.000+00:00")


RECORD = [entry("memory", 100.0), entry("memory", 98.0), entry("hit rate", 125.0), entry("hit rate", None),
          entry("evictions", None)]


def test_the_record_counts_what_held_and_how_far_predictions_were_off() -> None:
    assert track_record_text(RECORD) == (
        "2 of 3 intervals held the truth (67 %; 90 % stated); the median error is 2 %. "
        "2 predictions wait for a measurement.")
    assert track_record_text(RECORD[:2]).endswith("the median error is 1 %.")


def test_a_record_without_measurements_claims_nothing() -> None:
    assert track_record_text([]) == "Nothing has been measured of what was predicted."
    assert track_record_text(RECORD[3:4]) == (
        "Nothing has been measured of what was predicted: 1 prediction waits for a measurement.")


def test_what_was_measured_as_nothing_has_no_error_and_still_counts() -> None:
    zero = [entry("evictions", 0.0, Interval(0.0, 0.0, 5.0))]
    assert track_record_text(zero) == "1 of 1 intervals held the truth (100 %; 90 % stated)."
    assert "1 of 1" in predicted_against_measured(zero).svg


@pytest.mark.parametrize("entries", [RECORD, RECORD[:1], RECORD[3:], [], [entry("p99", 1e-9)] * 40])
def test_any_state_of_the_ledger_is_drawn(entries: list[Entry]) -> None:
    picture = predicted_against_measured(entries)
    assert ET.fromstring(picture.svg).get("aria-label") == picture.claim
    assert picture.claim == track_record_text(entries).split(". ")[0].rstrip(".")
    assert predicted_against_measured(entries) == picture


def test_each_measured_quantity_has_a_row_and_all_of_them_one_together() -> None:
    drawn = predicted_against_measured(RECORD).svg
    for word in ("memory", "hit rate", "all", "2 of 2", "0 of 1", "2 of 3"):
        assert f"<!-- {word} -->" in drawn
    assert "<!-- evictions -->" not in drawn, "nothing was measured of it"


def test_an_interval_that_did_not_hold_is_drawn_in_another_colour() -> None:
    held, failed = (predicted_against_measured([entry("memory", value)]).svg.count("#d55e00")
                    for value in (100.0, 300.0))
    assert failed > held


def test_the_worst_prediction_is_not_left_out_of_the_picture() -> None:
    marks = [re.findall(r'<use [^>]* x="([\d.]+)" [^>]*fill: #d55e00; stroke: #ffffff',
                        predicted_against_measured([entry("memory", value)]).svg)
             for value in (9.0, 0.1, 1e-3)]
    near, far, further = (float(x) for [x] in marks)
    assert near < far == further, "at the edge"


def test_a_large_error_is_told_as_one_reads_it() -> None:
    assert track_record_text([entry("memory", 40.0)]).endswith("the median error is 150 %.")
    assert track_record_text([entry("memory", 0.1)]).endswith("the median error is 99,900 %.")


def test_repeats_of_a_case_share_a_line_and_a_height() -> None:
    again = [entry("memory", 90.0 + number) for number in range(12)]
    apart = [dataclasses.replace(one, case=f"case {number}") for number, one in enumerate(again)]
    heights = [float(ET.fromstring(predicted_against_measured(entries).svg).get("viewBox", "").split()[3])
               for entries in (again[:1], again, apart)]
    assert heights[0] == heights[1] < heights[2]


@pytest.mark.parametrize(("held", "of", "low", "high"), [  # of none and all: z² / (n + z²)
    (0, 10, 0.0, 0.2129), (10, 10, 0.7871, 1.0), (36, 40, 0.7953, 0.9544)])
def test_the_interval_of_a_share_is_wilsons(held: int, of: int, low: float, high: float) -> None:
    assert wilson(held, of) == pytest.approx((low, high), abs=2e-3)


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_of_a_share_holds_the_share_and_narrows_with_more(counts: tuple[int, int]) -> None:
    held, of = counts
    low, high = wilson(held, of)
    assert 0.0 <= low <= held / of <= high <= 1.0
    closer = wilson(4 * held, 4 * of)
    assert closer[1] - closer[0] < high - low


def test_the_tables_show_the_scores_and_what_is_open() -> None:
    shown = tables.scores(RECORD).to_html()
    for word in ("memory", "hit rate", "evictions", "2.04%", "-20.00%"):
        assert word in shown
    assert shown.count("not known") == 4, "held and errors of what was never measured"
    waiting = tables.open_predictions(RECORD).to_html()
    assert waiting.count("<tr>") == 3
    assert "2026-11-26 20:55" in waiting
    assert "memory" not in waiting
    assert tables.scores([]).to_html()
    assert tables.open_predictions([]).to_html()


def test_the_committed_ledger_and_ones_own_are_one_record(tmp_path: Path) -> None:
    own = Ledger(tmp_path / "mine.jsonl")
    own.predict("mine", "1", "B", Interval(1.0, 2.0, 3.0), 1)
    committed, both = read_ledgers(LEDGER_DIR), read_ledgers(LEDGER_DIR, tmp_path)
    assert len(both) == len(committed) + 1
    assert sum(one.measured is not None for one in committed) >= 30
    ET.fromstring(predicted_against_measured(both).svg)
