"""The ledger: predictions stand before their measurements, and nothing is ever taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.ledger import Ledger, read_ledgers, scores


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger" / "mine.jsonl")


def predict(ledger: Ledger, mid: float, *, quantity: str = "hit rate", case: str = "8 MB") -> str:
    return ledger.predict(quantity, case, "points", Interval(mid - 0.1, mid, mid + 0.1), {"seed": 1})


def test_a_prediction_is_open_until_it_is_measured(ledger: Ledger) -> None:
    name = predict(ledger, 0.5)
    [entry] = ledger.entries()
    assert (entry.measured, entry.is_inside, entry.relative_error) == (None, None, None)
    ledger.measure(name, 0.4)
    [entry] = ledger.entries()
    assert (entry.measured, entry.is_inside) == (0.4, True)
    assert entry.relative_error == pytest.approx(0.25)
    assert entry.measured_at >= entry.predicted_at


def test_the_first_measurement_counts_and_lines_are_only_added(ledger: Ledger) -> None:
    name = predict(ledger, 0.5)
    ledger.measure(name, 0.4)
    before = ledger.path.read_text()
    ledger.measure(name, 0.5)
    assert ledger.path.read_text().startswith(before)
    assert ledger.entries()[0].measured == 0.4


def test_the_inputs_are_told_apart_by_their_hash(ledger: Ledger) -> None:
    first = ledger.predict("a", "b", "c", Interval.exact(1.0), {"seed": 1})
    second = ledger.predict("a", "b", "c", Interval.exact(1.0), {"seed": 2})
    assert first != second
    assert len({entry.inputs_sha256 for entry in ledger.entries()}) == 2


def test_scores_tell_coverage_error_and_bias_by_quantity(ledger: Ledger) -> None:
    for measured in (0.45, 0.55, 0.8):
        ledger.measure(predict(ledger, 0.5, case=str(measured)), measured)
    predict(ledger, 0.5, quantity="evictions")
    hit_rate, evictions = scores(ledger.entries())
    assert (hit_rate.measured, hit_rate.inside, hit_rate.open) == (3, 2, 0)
    assert hit_rate.median_error == pytest.approx(0.05 / 0.45)
    assert hit_rate.bias == pytest.approx(0.5 / 0.55 - 1.0)
    assert hit_rate.worst_error == pytest.approx(0.375)
    assert (evictions.measured, evictions.open, evictions.median_error) == (0, 1, None)


def test_how_often_intervals_should_hold_is_asked_of_those_that_were_measured(ledger: Ledger) -> None:
    ledger.predict("hit rate", "16 MB", "points", Interval(0.4, 0.5, 0.6, 0.5), {})
    assert scores(ledger.entries())[0].confidence == 0.5
    ledger.measure(predict(ledger, 0.5), 0.5)
    assert scores(ledger.entries())[0].confidence == 0.9


def test_every_ledger_of_a_directory_is_read(ledger: Ledger, tmp_path: Path) -> None:
    predict(ledger, 0.5)
    predict(Ledger(ledger.path.with_name("other.jsonl")), 0.6)
    assert len(read_ledgers(ledger.path.parent)) == 2
    assert read_ledgers(tmp_path / "nowhere") == []


def test_a_copy_of_a_ledger_counts_no_prediction_twice(ledger: Ledger, tmp_path: Path) -> None:
    name = predict(ledger, 0.5)
    predict(ledger, 0.5, case="9 MB")
    older = tmp_path / "older" / "copy.jsonl"
    older.parent.mkdir()
    older.write_bytes(ledger.path.read_bytes())
    ledger.measure(name, 0.4)
    for directories in ((older.parent, ledger.path.parent), (ledger.path.parent, older.parent)):
        assert [entry.measured for entry in read_ledgers(*directories)] == [0.4, None]


@pytest.mark.parametrize(("line", "words"), [
    ("not json", "line 2"),
    (json.dumps({"measurement_of": "nobody", "measured": 1.0, "measured_at": "2026"}),
     "not predicted before"),
    (json.dumps({"prediction": "x", "low": 3, "predicted": 2, "high": 1, "confidence": 0.9}), "low <= mid"),
    (json.dumps(["a list"]), "line 2"),
])
def test_a_line_that_says_nothing_is_named(ledger: Ledger, line: str, words: str) -> None:
    predict(ledger, 0.5)
    with open(ledger.path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(BadInput, match=words):
        ledger.entries()


@pytest.mark.parametrize("kept", [1, 30, None])
def test_what_a_full_disk_left_of_a_line_takes_no_other_with_it(ledger: Ledger, kept: int | None) -> None:
    name = predict(ledger, 0.5)
    ledger.predict("p99 response time", "8 MB", "µs", Interval.exact(1.0), {})
    before, line, _ = ledger.path.read_bytes().split(b"\n")
    at = line.index("µ".encode()) + 1 if kept is None else kept  # in the middle of a letter
    ledger.path.write_bytes(before + b"\n" + line[:at])
    assert [entry.measured for entry in ledger.entries()] == [None]
    ledger.measure(name, 0.4)
    assert [entry.measured for entry in ledger.entries()] == [0.4]
    assert ledger.path.read_bytes().startswith(before + b"\n{\"measurement_of\"")


def test_a_last_line_without_its_end_counts_and_stays(ledger: Ledger) -> None:
    name = predict(ledger, 0.5)
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))
    assert len(ledger.entries()) == 1
    ledger.measure(name, 0.4)
    assert [entry.measured for entry in ledger.entries()] == [0.4]


def test_what_was_measured_before_it_was_predicted_is_no_prediction(ledger: Ledger) -> None:
    name = predict(ledger, 0.5)
    with open(ledger.path, "a") as file:
        file.write(json.dumps({"measurement_of": name, "measured": 0.5, "measured_at": "2000-01-01"}) + "\n")
    with pytest.raises(BadInput, match="measured before it was predicted"):
        ledger.entries()


def test_what_was_predicted_is_not_predicted_otherwise(ledger: Ledger) -> None:
    ledger.measure(predict(ledger, 0.5), 0.8)
    first = json.loads(ledger.path.read_text().splitlines()[0])
    with open(ledger.path, "a") as file:
        file.write(json.dumps(first) + "\n")  # as two branches of a repository are joined
    assert [entry.is_inside for entry in ledger.entries()] == [False]
    with open(ledger.path, "a") as file:
        file.write(json.dumps({**first, "high": 0.9}) + "\n")
    with pytest.raises(BadInput, match="line 4: it predicts otherwise"):
        ledger.entries()


def test_a_measurement_is_a_number(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="nan"):
        ledger.measure(predict(ledger, 0.5), float("nan"))
