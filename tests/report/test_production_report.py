"""Production in the run review: its figures, tables and words, and the notebook that shows them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from amply_capacity.aws.example import DIRECTORY
from amply_capacity.errors import BadRun
from amply_capacity.files import DATA_DIR
from amply_capacity.report import figures, tables
from amply_capacity.report.look import Picture
from amply_capacity.report.notebook_files import execute, notebooks
from amply_capacity.report.notebooks import open_session
from amply_capacity.report.production import import_text, likeness_text
from amply_capacity.report.production_figure import _with_gaps
from amply_capacity.run.production_text import production_text
from amply_capacity.run.reader import Run, read_run

DEMAND = DATA_DIR / "demand.example.toml"


@pytest.fixture(scope="module")
def run() -> Run:
    return read_run(DIRECTORY)


def without(run: Run, *metrics: str) -> Run:
    """The same run as if these had not been published."""
    bare = Run(run.directory, run.manifest)
    bare.__dict__["server"] = run.server.drop(columns=[name for name in run.server if name in metrics])
    return bare


def drawn(picture: Picture) -> str:
    ET.fromstring(picture.svg)
    return picture.claim


def test_its_weeks_are_drawn_where_a_recording_has_its_seconds(run: Run) -> None:
    assert "commands a second" in drawn(figures.throughput(run))
    assert drawn(figures.server_cpu(run)).startswith("The engine used ")
    assert "no response time" in drawn(figures.latency(run))
    assert "needs a load test" in drawn(figures.latency_against_load(run))


def test_what_is_published_decides_what_is_drawn(run: Run) -> None:
    silent = without(run, "ProcessedCommands", "GetTypeCmds", "SetTypeCmds", "EngineCPUUtilization",
                     "CPUUtilization")
    assert drawn(figures.throughput(silent)) == "Production publishes no commands"
    assert drawn(figures.server_cpu(silent)) == "The CPU was not published"
    told = Run(run.directory, run.manifest)
    told.__dict__["server"] = run.server.assign(SuccessfulReadRequestLatency=310.0)
    assert drawn(figures.latency(told)) == "Reads take 310 µs inside the server"


def test_no_line_is_drawn_across_a_gap(run: Run) -> None:
    x, y = _with_gaps(np.array([0.0, 300.0, 1_500.0]), np.array([1.0, 2.0, 3.0]), run)
    assert x.tolist() == [0.0, 300.0, 600.0, 1_500.0]
    assert np.isnan(y).tolist() == [False, False, True, False]


def test_its_tables_are_of_metrics_commands_and_bytes_per_key(run: Run) -> None:
    assert set(tables.operations(run).data["kind"]) == {"GetTypeCmds", "SetTypeCmds", "ProcessedCommands"}
    assert "CPUUtilization.Maximum" in set(tables.server(run).data["metric"])
    (row,) = tables.footprint(run).data.to_dict("records")
    assert 600.0 < row["low"] <= row["bytes"] <= row["high"] < 900.0
    assert tables.footprint(without(run, "CurrItems")).data.empty


def test_a_session_of_production_summarises_and_plans_nothing(run: Run) -> None:
    session = open_session(DIRECTORY, DEMAND)
    text = session.run_summary()._repr_markdown_()
    assert "amply-redis-prod, 14.0 days of production" in text
    assert "**Look at:** this is made-up data" in text
    assert session._repr_markdown_() == text
    with pytest.raises(BadRun, match="no operations"):
        session.plan["chosen"]


def test_the_run_review_runs_top_to_bottom_on_production(tmp_path: Path) -> None:
    (executed,) = execute(notebooks()[1:2], tmp_path, DIRECTORY, DEMAND)
    cells = [cell for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    assert not [out for cell in cells for out in cell.outputs if out.output_type in {"error", "stream"}]


def test_a_run_of_production_is_told_metric_by_metric(run: Run) -> None:
    text = production_text("mine", run.manifest["imported"])
    assert text.startswith("mine: amply-redis-prod, 1 node, 2026-11-09 00:00 to 2026-11-23 00:00 UTC")
    for words in ("made-up data", "CacheHits /s", "gap: amply-redis-prod has no value for 30 min", "assumed"):
        assert words in text
    several: dict[str, Any] = dict(run.manifest["imported"])
    several |= {"nodes": several["nodes"] * 2, "gap_count": 9, "not_collected": {"reserved": "not allowed"}}
    text = production_text("mine", several)
    for words in ("2 nodes", "(amply-redis-prod)", "and 4 more", "not collected: reserved (not allowed)"):
        assert words in text


def test_many_imports_are_told_in_a_line_each_after_the_first_few() -> None:
    figure = {"name": "keys", "unit": "", "low": 1.0, "mid": 2.0, "high": 3.0, "range": "hours"}
    review = {"figures": [figure],
              "findings": ["something"]}
    row = {"run": "r", "cache": "c", "from": "2026-11-09T00:00", "to": "2026-11-23T00:00", "period_s": 300,
           "review": review, "assumptions": ["a clock"]}
    text = import_text([row] * 7, {"pages": "it is Memcached"})
    assert text.count("look at: something") == 5
    assert text.count("1 findings (--json lists them)") == 2
    assert "keys                     2  (1 to 3: hours)" in text
    assert text.endswith("left out: pages, it is Memcached")


def test_a_figure_that_is_not_known_is_told_so() -> None:
    content = {"conclusion": "Well.", "figures": [{
        "name": "hit rate", "production": None, "test": {"low": 1.0, "mid": 1.0, "high": 1.0},
        "verdict": "not known", "sentence": "not known, since"}]}
    assert "not known                          1  not known" in likeness_text(content)
