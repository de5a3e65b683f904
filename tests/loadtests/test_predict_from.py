"""A run that is foretold: the ledger holds its predictions before it begins, and its figures afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from locust_process import run_locust

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model.forecast import CPU, outcomes
from amply_capacity.model.ledger import read_ledgers
from amply_capacity.run.reader import read_run

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

LOAD = ("-u", "10", "-r", "10", "--population", "500", "--arrivals", "poisson", "--rate", "300")


def test_predictions_are_written_before_the_run_and_scored_after_it(tmp_path: Path) -> None:
    code, words = run_locust("mixed", *LOAD, "-t", "5s", "--predict-from", str(EXAMPLE_RUN), "--run-dir",
                             str(tmp_path / "run"), log=tmp_path / "log", AMPLY_STATE_DIR=str(tmp_path))
    assert code == 0, words
    assert "predictions of this run are written down" in words
    assert "intervals held: " in words
    entries = read_ledgers(tmp_path / "ledger")
    assert {"CPU per command", "request bytes per operation", "p50 response time"} <= {
        entry.quantity for entry in entries}
    run = read_run(tmp_path / "run")
    for entry in entries:
        assert entry.predicted_at < run.manifest["started_at"]
        # Where other tests had the cores nearly all the time, no CPU is told.
        assert entry.measured is not None or entry.quantity == CPU
        assert entry.versions["amply_capacity"]
    shown = outcomes(run)
    for entry in entries:
        figure = shown.get(entry.quantity)
        assert entry.measured == (None if figure is None else pytest.approx(figure))


def test_what_cannot_be_foretold_is_said_before_anything_starts(tmp_path: Path) -> None:
    code, words = run_locust("mixed", "-u", "2", "-t", "3s", "--predict-from", str(EXAMPLE_RUN),
                             log=tmp_path / "log", AMPLY_STATE_DIR=str(tmp_path))
    assert code == 2
    assert "--predict-from needs a stated rate" in words
    code, words = run_locust("mixed", *LOAD, "-t", "3s", "--predict-from", "nowhere", log=tmp_path / "log",
                             AMPLY_STATE_DIR=str(tmp_path))
    assert code == 2
    assert "there is no such run" in words
    assert "cluster " not in words
    assert not (tmp_path / "ledger").exists()


def test_a_run_that_is_cut_off_leaves_its_predictions_open(tmp_path: Path) -> None:
    run = json.loads((EXAMPLE_RUN / "run.json").read_text())
    assert run["verdict"] == "complete"
    code, words = run_locust("mixed", *LOAD, "-t", "20s", "--predict-from", str(EXAMPLE_RUN), "--run-dir",
                             str(tmp_path / "run"), "--stop-p99-ms", "0.001", log=tmp_path / "log",
                             AMPLY_STATE_DIR=str(tmp_path))
    assert code == 1, words
    assert "not scored: the run is partial" in words
    assert all(entry.measured is None for entry in read_ledgers(tmp_path / "ledger"))
