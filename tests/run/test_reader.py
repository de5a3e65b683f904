from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amply_capacity.errors import BadRun
from amply_capacity.files import RUNS_DIR
from amply_capacity.run import reader
from amply_capacity.run.reader import all_runs, newest_or_example, read_run, recover
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES
from amply_capacity.run.writer import RunWriter


@pytest.fixture
def copy(recorded_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded_run, tmp_path / "copy"))


def _edit(directory: Path, **changes: Any) -> None:
    manifest = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(manifest | changes))


def test_a_recorded_run_is_read_table_by_table(recorded_run: Path) -> None:
    run = read_run(recorded_run)
    for table in TABLES:
        assert not getattr(run, table).empty
    assert set(run.events["kind"]) >= {"phase", "generator"}
    assert all(isinstance(detail, dict) for detail in run.events["detail"])


def test_the_measured_seconds_are_whole_ones_inside_the_phase(recorded_run: Path) -> None:
    run = read_run(recorded_run)
    first, last = run.measured_seconds
    phases = run.events.set_index("name")["time_s"]
    assert phases["measured"] <= first
    assert last + 1 <= phases["ended"]
    assert 3 <= last - first + 1 <= 6


def test_no_such_run(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", "20260101T000000Z-mixed-000000"):
        for read in (read_run, recover):
            with pytest.raises(BadRun, match="no such run"):
                read(missing)


def test_an_empty_directory_is_no_run(tmp_path: Path) -> None:
    for read in (read_run, recover):
        with pytest.raises(BadRun, match="is empty"):
            read(tmp_path)


def test_a_directory_of_something_else_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for read in (read_run, recover):
        with pytest.raises(BadRun, match="no run directory"):
            read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ('{"schema": 1', "cannot be read"),
        ("[]", "not one of ours"),
        ("{}", "not one of ours"),
        ('{"schema": 1}', "lacks run, verdict, scenario, started_at"),
        ('{"schema": 0}', "schema is unknown"),
        ('{"schema": "one"}', "schema is unknown"),
    ],
)
def test_a_manifest_that_is_damaged_or_not_ours_is_told_apart(text: str, reason: str, copy: Path) -> None:
    (copy / "run.json").write_text(text)
    with pytest.raises(BadRun, match=reason):
        read_run(copy)


def test_a_manifest_that_is_no_text_is_explained(copy: Path) -> None:
    (copy / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRun, match="cannot be read"):
        read_run(copy)


def test_a_run_of_a_newer_version_asks_for_an_update(copy: Path) -> None:
    (copy / "run.json").write_text(json.dumps({"schema": SCHEMA_VERSION + 1, "other": "layout"}))
    for read in (read_run, recover):
        with pytest.raises(BadRun, match=rf"newer version.*schema {SCHEMA_VERSION + 1}.*Do: update"):
            read(copy)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_removed_makes_the_run_truncated(table: str, copy: Path) -> None:
    (copy / f"{table}.parquet").unlink()
    for read in (read_run, recover):
        with pytest.raises(BadRun, match=rf"truncated.*no {table}\.parquet"):
            read(copy)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_table_cut_short_is_named(share: float, copy: Path) -> None:
    path = copy / "requests.parquet"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    run = read_run(copy)
    with pytest.raises(BadRun, match="damaged table requests"):
        _ = run.requests
    assert not run.server.empty


def test_a_table_without_its_columns_is_named(copy: Path) -> None:
    pd.DataFrame({"second": [1]}).to_parquet(copy / "requests.parquet")
    with pytest.raises(BadRun, match=r"lacks columns.*bucket_us"):
        _ = read_run(copy).requests


def test_parts_that_were_left_make_the_run_truncated(copy: Path) -> None:
    (copy / "parts").mkdir()
    with pytest.raises(BadRun, match=rf"truncated.*runs recover {copy}"):
        read_run(copy)


def test_recovering_a_whole_run_changes_nothing(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert recover(copy).verdict == read_run(copy).verdict
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_run_that_ended_before_the_load_has_no_measured_phase(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", {"run": "r1", "scenario": "mixed", "started_at": "then"})
    writer.close()
    with pytest.raises(BadRun, match="no measured phase"):
        _ = read_run(writer.directory).measured_seconds


def test_a_run_of_two_seconds_says_nothing(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", {"run": "r1", "scenario": "mixed", "started_at": "then"})
    writer.append(
        "events",
        [
            {"time_s": 100.5, "kind": "phase", "name": "measured", "detail": "{}"},
            {"time_s": 103.5, "kind": "phase", "name": "ended", "detail": "{}"},
        ],
    )
    writer.append(
        "requests",
        [
            {
                "second": 101,
                "use_case": "cache",
                "operation": "cached_read",
                "command": "",
                "outcome": "hit",
                "clock": "service",
                "bucket_us": 1,
                "count": 1,
            }
        ],
    )
    writer.close()
    with pytest.raises(BadRun, match=r"too short.*2 whole seconds"):
        _ = read_run(writer.directory).measured_seconds


def test_runs_are_listed_newest_first_and_found_by_name(recorded_run: Path) -> None:
    names = ["20260101T000000Z-mixed-aaaaaa", "20260102T000000Z-mixed-bbbbbb"]
    shutil.rmtree(RUNS_DIR, ignore_errors=True)  # what other tests recorded
    try:
        for name in names:
            shutil.copytree(recorded_run, RUNS_DIR / name)
            _edit(RUNS_DIR / name, run=name)
        (RUNS_DIR / "20260103T000000Z-mixed-cccccc").mkdir()  # not one to list
        assert [run.name for run in all_runs()] == names[::-1]
        assert newest_or_example().name == names[1]
        assert read_run(names[0]).name == names[0]
        assert recover(names[0]).name == names[0]
    finally:
        shutil.rmtree(RUNS_DIR)


def test_without_runs_the_example_is_taken(recorded_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "EXAMPLE_RUN", recorded_run)
    assert newest_or_example().directory == recorded_run


class TestSoundSeconds:
    """Of a phase of ten seconds, 101 to 110."""

    @staticmethod
    def _run(directory: Path, bound: list[int], starved: Sequence[int] = ()) -> reader.Run:
        writer = RunWriter(directory, {"run": "r1", "scenario": "mixed", "started_at": "then"})
        writer.append("events", [{"time_s": time_s, "kind": "phase", "name": name, "detail": "{}"}
                                 for time_s, name in ((100.5, "measured"), (111.5, "ended"))])
        writer.append("events", [
            {"time_s": second + 1.0, "kind": "host", "name": "server starved",
             "detail": f'{{"node": "a:1", "second": {second}, "wait_percent": 9.0}}'} for second in starved])
        writer.append("requests", [
            {"second": second, "use_case": "cache", "operation": "cached_read", "command": "",
             "outcome": "hit", "clock": "service", "bucket_us": 1, "count": 1} for second in range(100, 113)])
        writer.append("server", [{"second": second, "node": "a:1"} for second in range(100, 113)])
        writer.close(generator_bound_seconds=bound)
        return read_run(directory)

    def test_all_are_sound_where_the_generator_kept_up(self, tmp_path: Path) -> None:
        run = self._run(tmp_path / "run", [])
        assert run.sound_seconds == tuple(range(101, 111))
        assert run.sound_requests["second"].tolist() == list(range(101, 111))
        assert run.in_sound_samples(run.server)["second"].tolist() == list(range(101, 111))

    def test_marked_ones_are_left_out_and_so_is_the_sample_that_counts_them(self, tmp_path: Path) -> None:
        run = self._run(tmp_path / "run", [90, 103, 104, 110])
        assert run.generator_bound_seconds == {103, 104, 110}
        assert run.sound_seconds == (101, 102, 105, 106, 107, 108, 109)
        assert run.sound_requests["second"].tolist() == list(run.sound_seconds)
        assert run.in_sound_samples(run.server)["second"].tolist() == [101, 102, 106, 107, 108, 109]

    def test_those_in_which_the_server_was_kept_from_its_cpu_are_left_out_too(self, tmp_path: Path) -> None:
        run = self._run(tmp_path / "run", [103], starved=[99, 103, 107, 112])
        assert run.starved_seconds == {103, 107}
        assert run.sound_seconds == (101, 102, 104, 105, 106, 108, 109, 110)
        assert run.in_sound_samples(run.server)["second"].tolist() == [101, 102, 105, 106, 109, 110]

    def test_rather_a_noisy_host_than_a_bound_generator(self, tmp_path: Path) -> None:
        run = self._run(tmp_path / "run", [103], starved=range(101, 109))
        assert run.sound_seconds == (101, 102, 104, 105, 106, 107, 108, 109, 110)

    def test_nothing_is_left_out_where_too_little_would_be_left(self, tmp_path: Path) -> None:
        run = self._run(tmp_path / "run", list(range(101, 109)))
        assert len(run.generator_bound_seconds) == 8
        assert run.sound_seconds == tuple(range(101, 111))
