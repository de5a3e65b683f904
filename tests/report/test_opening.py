"""A notebook opens with its conclusion, and with a banner where its run is to be read with care."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report.notebooks import open_session
from amply_capacity.report.opening import OLD_DAYS, Opening, banner, cautions
from amply_capacity.run.reader import Run, read_run

RECORDED = date(2026, 11, 23)
HOSTILE = '<script>alert(1)</script> $1$ *b* [l](javascript:x)'


@pytest.fixture
def doctored(tmp_path: Path) -> Callable[..., Run]:
    """The example run with other facts in its manifest."""

    def doctor(**facts: Any) -> Run:
        directory = tmp_path / "run"
        shutil.copytree(EXAMPLE_RUN, directory)
        manifest = json.loads((directory / "run.json").read_text())
        (directory / "run.json").write_text(json.dumps(manifest | facts))
        return read_run(directory)

    return doctor


def test_a_whole_and_recent_run_of_the_clusters_engine_has_no_banner() -> None:
    run = read_run(EXAMPLE_RUN)
    assert cautions(run, "redis", RECORDED) == ()
    assert banner(()) == ""
    assert "Read with care" not in Opening("Buy.", "Run x.")._repr_html_()


@pytest.mark.parametrize("verdict", ["partial", "generator-bound"])
def test_a_run_that_is_not_complete_is_said_to_be_so_with_its_reason(
        doctored: Callable, verdict: str) -> None:
    (found,) = cautions(doctored(verdict=verdict, verdict_reason="it was cut off"), "redis", RECORDED)
    assert found == f"the run is {verdict}: it was cut off"


def test_seconds_in_which_the_generator_was_the_bottleneck_are_said(doctored: Callable) -> None:
    first, _ = read_run(EXAMPLE_RUN).measured_seconds
    (found,) = cautions(doctored(generator_bound_seconds=[first + 3, first + 4]), "redis", RECORDED)
    assert found.startswith("the generator was the bottleneck in 2 of ")


def test_a_run_is_old_from_the_ninety_first_day_on() -> None:
    run = read_run(EXAMPLE_RUN)
    assert cautions(run, "redis", date.fromordinal(RECORDED.toordinal() + OLD_DAYS)) == ()
    (found,) = cautions(run, "redis", date.fromordinal(RECORDED.toordinal() + OLD_DAYS + 1))
    assert found.startswith("the run is old: it was recorded 91 days ago, on 2026-11-23")


def test_a_run_of_another_engine_than_the_clusters_is_said_to_be_so(doctored: Callable) -> None:
    (found,) = cautions(read_run(EXAMPLE_RUN), "valkey", RECORDED)
    assert "made on redis, and the plan is for valkey" in found
    server = read_run(EXAMPLE_RUN).manifest["server"] | {"engine": "valkey"}
    assert cautions(doctored(server=server), "valkey", RECORDED) == ()


def test_of_an_import_only_its_age_can_be_said() -> None:
    run = read_run(DATA_DIR / "examples" / "production")
    assert cautions(run, "valkey", RECORDED) == ()
    assert "old" in cautions(run, "valkey", date(2027, 6, 1))[0]


def test_a_session_opens_with_all_that_is_to_be_said_of_its_run(doctored: Callable) -> None:
    run = doctored(verdict="partial", verdict_reason=HOSTILE, started_at="2020-01-01T00:00:00+00:00")
    session = open_session(run.directory, DATA_DIR / "demand.example.toml")
    for opening in (session.opening(), session.run_summary()):
        assert isinstance(opening, Opening)
        assert len(opening.cautions) == 2
        shown = opening._repr_html_()
        assert shown.index('role="note"') < shown.index("The run is partial") < shown.index("The run is old")
    assert session._repr_html_() == session.opening()._repr_html_()


def test_a_hostile_reason_is_text_in_html_and_markdown_and_sets_no_formula() -> None:
    opening = Opening(HOSTILE, HOSTILE, (HOSTILE,))
    shown, markdown = opening._repr_html_(), opening._repr_markdown_()
    assert "<script>" not in shown + markdown
    assert "$1$" not in shown, "JupyterLab would set it as a formula"
    assert "[l](" not in markdown
    assert r"\*b\*" in markdown


def test_a_command_in_a_caution_is_set_as_code() -> None:
    assert "Run <code>locust -f x</code>.</li>" in banner(("run `locust -f x`",))
