from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from amply_capacity.errors import BadInput, BadRun, DiskFull
from amply_capacity.run.reader import read_run, recover
from amply_capacity.run.schema import TABLES
from amply_capacity.run.writer import RunWriter, arrow_schema, is_being_written

_MANIFEST = {"run": "r1", "scenario": "mixed", "started_at": "2026-11-23T09:00:00+00:00"}


def _row(second: int, count: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "second": second,
        "use_case": "cache",
        "operation": "cached_read",
        "command": "",
        "outcome": "hit",
        "clock": "service",
        "bucket_us": 100,
        "count": count,
        **more,
    }


def _access(key_hash: int, rate: float) -> dict[str, Any]:
    return {
        "time_s": 1.0,
        "op": "get",
        "key_hash": key_hash,
        "key_class": "session",
        "key_bytes": 10,
        "value_bytes": None,
        "ttl_s": None,
        "sampling_rate": rate,
    }


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    return RunWriter(tmp_path / "run", _MANIFEST)


def test_a_closed_run_holds_every_table_with_its_columns_and_types(writer: RunWriter) -> None:
    writer.append("requests", [_row(1)])
    writer.close(verdict="complete")
    assert {path.name for path in writer.directory.iterdir()} == {
        "run.json",
        *(f"{table}.parquet" for table in TABLES),
    }
    for table in TABLES:
        assert pq.read_schema(writer.directory / f"{table}.parquet").equals(arrow_schema(table))


def test_the_manifest_names_the_hash_of_each_file(writer: RunWriter) -> None:
    writer.append("requests", [_row(1)])
    writer.close()
    files = json.loads((writer.directory / "run.json").read_text())["files"]
    assert set(files) == {f"{table}.parquet" for table in TABLES}
    for name, digest in files.items():
        assert hashlib.sha256((writer.directory / name).read_bytes()).hexdigest() == digest


def test_rows_that_differ_in_their_count_only_are_added_up(writer: RunWriter) -> None:
    writer.append("requests", [_row(1, 2), _row(2, 5)])
    more = [_row(1, 3), _row(1, 4, outcome="miss")]
    writer.append("requests", pa.Table.from_pylist(more, arrow_schema("requests")))
    writer.close()
    counts = read_run(writer.directory).requests.set_index(["second", "outcome"])["count"].to_dict()
    assert counts == {(1, "hit"): 5, (1, "miss"): 4, (2, "hit"): 5}


def test_a_figure_that_is_not_given_is_null_and_not_zero(writer: RunWriter) -> None:
    writer.append("server", [{"second": 1, "node": "a:1", "Evictions": 0.0}])
    writer.close()
    server = read_run(writer.directory).server
    assert server["Evictions"].tolist() == [0.0]
    assert server["FreeableMemory"].isna().all()


def test_nothing_to_append_makes_no_part(writer: RunWriter) -> None:
    writer.append("requests", [])
    assert list((writer.directory / "parts").glob("*.arrows")) == []


def test_only_keys_of_the_lowest_rate_are_kept(writer: RunWriter) -> None:
    low, high = 1 << 62, 3 << 62
    writer.append("accesses", [_access(low, 1.0), _access(high, 1.0)])
    writer.append("accesses", [_access(low, 0.5)])
    writer.close()
    accesses = read_run(writer.directory).accesses
    assert accesses["key_hash"].tolist() == [low, low]
    assert accesses["sampling_rate"].tolist() == [0.5, 0.5]


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        RunWriter(tmp_path, _MANIFEST)
    with pytest.raises(BadInput, match="is a file"):
        RunWriter(tmp_path / "mine", _MANIFEST)
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run", _MANIFEST)


def test_an_unfinished_run_is_truncated_until_it_is_recovered(writer: RunWriter) -> None:
    writer.append("requests", [_row(1)])
    with pytest.raises(BadRun, match="runs recover"):
        read_run(writer.directory)
    run = recover(writer.directory)
    assert run.verdict == "partial"
    assert run.requests["count"].tolist() == [1]
    assert not (writer.directory / "parts").exists()


def test_a_stream_cut_at_any_byte_is_readable_up_to_its_last_whole_batch(writer: RunWriter) -> None:
    part = writer.directory / "parts" / "requests.arrows"
    ends = []
    for second in range(4):
        writer.append("requests", [_row(second), _row(second, outcome="miss")])
        ends.append(part.stat().st_size)
    whole = part.read_bytes()
    manifest = (writer.directory / "run.json").read_text()
    cuts = sorted(
        {*range(0, len(whole), 37), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1])}
    )
    for cut in cuts:
        (writer.directory / "parts").mkdir(exist_ok=True)
        part.write_bytes(whole[:cut])
        (writer.directory / "run.json").write_text(manifest)
        expected = sum(end <= cut for end in ends)
        seconds = sorted(set(recover(writer.directory).requests["second"]))
        assert seconds == list(range(expected)), f"cut at byte {cut} of {len(whole)}"


def test_a_batch_that_does_not_fit_on_the_disk_leaves_those_before_it(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append("requests", [_row(1)])
    part = writer.directory / "parts" / "requests.arrows"
    before = part.read_bytes()
    real = os.write

    def half(descriptor: int, data: memoryview) -> int:
        """A disk with room for a hundred bytes more."""
        room = len(before) + 100 - os.fstat(descriptor).st_size
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:room])

    with monkeypatch.context() as full:
        full.setattr("os.write", half)
        with pytest.raises(DiskFull, match="runs recover"):
            writer.append("requests", [_row(2)])
    assert part.read_bytes() == before
    writer.append("requests", [_row(3)])  # there is room again
    assert recover(writer.directory).requests["second"].tolist() == [1, 3]


def test_a_disk_that_is_full_at_the_end_keeps_the_parts_and_leaves_no_half_file(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append("requests", [_row(1)])

    def full(rows: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        with pytest.raises(DiskFull, match="runs recover"):
            writer.close()
    assert {path.name for path in writer.directory.iterdir()} == {"parts", "run.json"}
    assert recover(writer.directory).requests["count"].tolist() == [1]


def test_a_disk_that_is_full_at_the_start_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFull):
        RunWriter(tmp_path / "run", _MANIFEST)
    assert not (tmp_path / "run").exists()


def test_facts_can_be_added_to_a_closed_run(writer: RunWriter) -> None:
    writer.close(ended_at="then")
    writer.amend(verdict="complete")
    manifest = read_run(writer.directory).manifest
    assert (manifest["ended_at"], manifest["verdict"], manifest["run"]) == ("then", "complete", "r1")


def _note(second: int, cpu_percent: float) -> dict[str, Any]:
    detail = {"second": second, "seconds": 1.0, "pid": 1, "role": "alone", "cpu_percent": cpu_percent,
              "lag_ms": 0.1}
    return {"time_s": second + 1.0, "kind": "generator", "name": "load", "detail": json.dumps(detail)}


def _busy_run(directory: Path) -> RunWriter:
    """Ten measured seconds, 101 to 110, of which the generator was busy in 104 and 105."""
    writer = RunWriter(directory, _MANIFEST | {"arrivals": "closed"})
    writer.append("requests", [_row(second) for second in range(100, 113)])
    writer.append("events", [{"time_s": time_s, "kind": "phase", "name": name, "detail": "{}"}
                             for time_s, name in ((100.5, "measured"), (111.5, "ended"))])
    writer.append("events", [_note(second, 95.0 if second in {104, 105} else 20.0)
                             for second in range(100, 112)])
    return writer


@pytest.mark.parametrize("cut_off", [False, True])
def test_seconds_in_which_the_generator_was_the_bottleneck_are_marked_also_in_a_recovered_run(
    cut_off: bool, tmp_path: Path
) -> None:
    writer = _busy_run(tmp_path / "run")
    if cut_off:
        os.close(writer._lock)
        run = recover(writer.directory)
    else:
        writer.close()
        run = read_run(writer.directory)
    marks = run.events[run.events["name"] == "bottleneck"]
    assert run.manifest["generator_bound_seconds"] == [104, 105]
    assert [detail["second"] for detail in marks["detail"]] == [104, 105]
    assert set(marks["kind"]) == {"generator"}
    assert marks["detail"].iloc[0]["cause"] == "cpu"
    assert run.sound_seconds == (101, 102, 103, 106, 107, 108, 109, 110)


def test_what_is_judged_is_in_the_first_and_only_final_manifest(tmp_path: Path) -> None:
    writer = _busy_run(tmp_path / "run")
    seen: dict[str, Any] = {}

    def judge(tables: Any, manifest: Any) -> dict[str, str]:
        seen.update(rows={name: len(table) for name, table in tables.items()}, manifest=dict(manifest))
        return {"verdict": "complete"}

    final = writer.close(judge, ended_at="now")
    assert seen["rows"] == {"requests": 13, "server": 0, "events": 16}
    assert seen["manifest"]["generator_bound_seconds"] == [104, 105]
    assert read_run(writer.directory).manifest == final
    assert (final["verdict"], final["ended_at"]) == ("complete", "now")


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_a_kill_between_the_last_steps_of_closing_loses_nothing(gone: int, tmp_path: Path) -> None:
    """The tables and the manifest are final; some of the parts were removed already, or none."""
    writer = _busy_run(tmp_path / "run")
    parts = {path.name: path.read_bytes() for path in (writer.directory / "parts").iterdir()}
    writer.close(verdict="complete")
    whole = read_run(writer.directory).requests
    (writer.directory / "parts").mkdir()
    for name in sorted(parts)[gone:]:
        (writer.directory / "parts" / name).write_bytes(parts[name])
    with pytest.raises(BadRun, match="runs recover"):
        read_run(writer.directory)
    run = recover(writer.directory)
    assert run.verdict == "complete"
    pd.testing.assert_frame_equal(run.requests, whole)
    assert {path.name for path in writer.directory.iterdir()} == {
        "run.json", *(f"{table}.parquet" for table in TABLES)}


_FINISH = """
import json, sys
from pathlib import Path
from amply_capacity.run.writer import RunWriter
writer = RunWriter(Path(sys.argv[1]), json.loads(sys.argv[2]))
writer.append("requests", [json.loads(sys.argv[3])])
print("recording", flush=True)
sys.stdin.readline()
writer.close(verdict="complete")
"""
_RECOVER = """
import sys
from amply_capacity.run.reader import recover
print("ready", flush=True)
sys.stdin.readline()
print(recover(sys.argv[1]).requests["count"].sum())
"""


def test_recoveries_of_one_run_at_the_same_time_all_find_it_whole(tmp_path: Path) -> None:
    writer = _busy_run(tmp_path / "run")
    writer.append("requests", [_row(second, bucket_us=bucket_us)
                               for second in range(101, 111) for bucket_us in range(1000, 3000)])
    writer.append("server", [{"second": 101, "node": "a:1", "Evictions": 0.0}])
    writer.append("accesses", [_access(1, 1.0)])
    os.close(writer._lock)
    command = [sys.executable, "-c", _RECOVER, str(writer.directory)]
    with contextlib.ExitStack() as started:
        recoveries = [started.enter_context(subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(3)]
        for one in recoveries:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in recoveries:
            assert one.stdin is not None
            one.stdin.write("now\n")
            one.stdin.flush()
        answers = [(*one.communicate(timeout=60.0), one.returncode) for one in recoveries]
    assert answers == [("20013\n", "", 0)] * 3
    run = read_run(writer.directory)
    assert (len(run.server), len(run.accesses), len(run.events)) == (1, 1, 16)
    assert not (writer.directory / "parts").exists()


def test_a_recovery_waits_for_whoever_finishes_the_run_and_leaves_what_that_made(tmp_path: Path) -> None:
    """It may have been cut off for all that the recovery knows."""
    directory = tmp_path / "run"
    finishing = subprocess.Popen([sys.executable, "-c", _FINISH, str(directory), json.dumps(_MANIFEST),
                                  json.dumps(_row(1, 7))],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with finishing:
        assert finishing.stdin is not None
        assert finishing.stdout is not None
        assert finishing.stdout.readline() == "recording\n"
        assert is_being_written(directory)
        with ThreadPoolExecutor(1) as pool:
            recovered = pool.submit(recover, directory)
            finishing.stdin.write("now\n")
            finishing.stdin.flush()
            run = recovered.result(60.0)
    assert finishing.returncode == 0
    assert run.verdict == "complete"
    assert run.requests["count"].tolist() == [7]


def test_a_run_that_was_cut_off_before_its_manifest_says_so(tmp_path: Path) -> None:
    (tmp_path / "run" / "parts").mkdir(parents=True)
    for read in (read_run, recover):
        with pytest.raises(BadRun, match="cut off before anything was recorded"):
            read(tmp_path / "run")
