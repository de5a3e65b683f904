from __future__ import annotations

import json
import math
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.errors import AmplyError, BadInput, BadRun
from amply_capacity.files import EXAMPLE_RUN, RUNS_DIR
from amply_capacity.run.imported import ImportedRun, _Distinct
from amply_capacity.run.imports import import_monitor, import_trace, imported_text
from amply_capacity.run.key import key_hashes
from amply_capacity.run.reader import all_runs, newest_or_example, read_run
from amply_capacity.run.schema import IMPORTED, TABLES
from amply_capacity.run.trace_file import COLUMNS
from amply_capacity.run.writer import arrow_schema

HEADER = ",".join(COLUMNS)
ROWS = ("10,setex,session:1,,400,300", "11,get,session:1,9,400,300", "12.5,incr,rate:a,,,", "13,del,plain,,,")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "accesses.csv"
    path.write_text("\n".join([HEADER, *ROWS]))
    return path


@pytest.fixture
def imported_here(trace: Path) -> Iterator[Path]:
    """An import among the runs of this checkout."""
    run = import_trace(trace, None, lambda _: None)
    yield run.directory
    for path in run.directory.iterdir():
        path.unlink()
    run.directory.rmdir()


def test_an_import_is_a_run_of_every_table_with_the_accesses_as_they_were(
        trace: Path, tmp_path: Path) -> None:
    told: list[int] = []
    made = import_trace(trace, tmp_path / "run", told.append)
    run = read_run(tmp_path / "run")
    assert {path.name for path in run.directory.iterdir()} == {
        "run.json", *(f"{table}.parquet" for table in TABLES)}
    for table in TABLES:
        assert pq.read_schema(run.directory / f"{table}.parquet").equals(arrow_schema(table)), table
    found = run.accesses
    assert found["time_s"].tolist() == [10.0, 11.0, 12.5, 13.0]
    assert found["op"].tolist() == ["setex", "get", "incr", "del"]
    keys = [b"session:1", b"session:1", b"rate:a", b"plain"]
    assert found["key_hash"].tolist() == key_hashes(keys).tolist()
    assert found["key_class"].tolist() == ["session", "session", "rate", ""]
    assert found["key_bytes"].tolist() == [9, 9, 6, 5]
    assert found["value_bytes"].fillna(-1).tolist() == [400, 400, -1, -1]
    assert found["ttl_s"].fillna(-1).tolist() == [300, 300, -1, -1]
    assert set(found["sampling_rate"]) == {1.0}
    assert told[-1] == trace.stat().st_size
    assert made.summary == run.manifest["imported"]


def test_the_manifest_says_what_was_imported_as_it_is_documented(trace: Path, tmp_path: Path) -> None:
    import_trace(trace, tmp_path / "run", lambda _: None)
    imported = json.loads((tmp_path / "run" / "run.json").read_text())["imported"]
    assert list(imported) == [entry.name for entry in IMPORTED]
    assert imported == {
        "kind": "trace", "file": "accesses.csv", "accesses": 4, "keys": 3, "seconds": 3.0,
        "ops": {"setex": 1, "get": 1, "incr": 1, "del": 1}, "classes": {"session": 2, "rate": 1, "": 1},
        "skipped": {}, "assumptions": []}
    text = imported_text("mine", imported)
    for words in ("4 accesses to 3 keys in 3.0 s", "accesses.csv", "setex 1", "session", "predict hit-rate"):
        assert words in text


def test_no_key_stands_in_any_file_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "accesses.csv"
    path.write_text(f"{HEADER}\n1,get,session:someones-secret-id,,1,1\n2,get,nobody@example.com:x,,1,1\n")
    import_trace(path, tmp_path / "run", lambda _: None)
    for file in (tmp_path / "run").iterdir():
        assert b"secret" not in file.read_bytes()
        assert b"nobody" not in file.read_bytes()


@pytest.mark.parametrize(("ttls", "words"), [
    (("", "", ""), "no value's TTL is known (cache:*, keys without a prefix): a prediction takes"),
    (("60", "", "none"), "the TTL of 1 of 3 values is not known (cache:*): a prediction takes"),
    (("60", "60", "none"), None)])
def test_a_trace_without_ttls_says_what_is_assumed(
        tmp_path: Path, ttls: tuple[str, ...], words: str | None) -> None:
    path = tmp_path / "accesses.csv"
    one, two, three = ttls
    path.write_text(f"{HEADER}\n1,get,cache:a,,9,{one}\n1,set,cache:a,,9,{two}\n1,set,plain,,9,{three}\n"
                    "1,get,cache:unsized,,,\n1,incr,n,,,\n")
    said = import_trace(path, tmp_path / "run", lambda _: None).summary["assumptions"]
    assert [words in one for one in said] == [True] if words else said == []


def test_a_capture_says_what_it_left_out_and_how_it_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "monitor.txt"
    lines = ['"GET" "a:1"', '"SET" "a:1" "x" "NX"', '"GET" "a:1"', *['"HSET" "h" "f" "v"'] * 1200, '"PING"',
             '"LPUSH" "l" "v"']
    path.write_text("".join(f"1.5 [0 1.1.1.1:1] {line}\n" for line in lines)
                    + '1.5 [2 1.1.1.1:1] "GET" "a:1"\n1.')
    summary = import_monitor(path, tmp_path / "run", lambda _: None).summary
    assert summary["skipped"] == {"HSET": 1200, "LPUSH": 1, "PING": 1}
    assert (summary["accesses"], summary["keys"]) == (4, 2)
    for words in ("MONITOR shows no replies: 1 of 3 reads", "NX or XX are taken to have been done: 1",
                  "1,205 in 0, 1 in 2", "last line",
                  "1,201 commands of 2 other kinds were left out, having no op in a run: HSET 1,200, LPUSH 1",
                  "1 other command was left out, touching no key: PING 1"):
        assert [text for text in summary["assumptions"] if words in text], (words, summary["assumptions"])


def test_a_capture_of_other_commands_alone_is_refused_with_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "monitor.txt"
    path.write_text('1.5 [0 1.1.1.1:1] "HSET" "h" "f" "v"\n1.5 [0 1.1.1.1:1] "TTL" "h"\n')
    with pytest.raises(BadInput, match=r"no access.*HSET 1"):
        import_monitor(path, tmp_path / "run", lambda _: None)
    assert [one.name for one in tmp_path.iterdir()] == ["monitor.txt"]


def test_faults_at_the_end_of_a_file_leave_nothing(trace: Path, tmp_path: Path) -> None:
    trace.write_text(trace.read_text() + "\n14,get,a,,-1,\n")
    with pytest.raises(BadInput, match=r"line 6"):
        import_trace(trace, tmp_path / "run", lambda _: None)
    assert [one.name for one in tmp_path.iterdir()] == ["accesses.csv"]


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_is_taken(
        trace: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        import_trace(trace, tmp_path / "full", lambda _: None)
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    import_trace(trace, tmp_path / "link", lambda _: None)
    assert len(read_run(tmp_path / "empty").accesses) == 4


def test_a_place_that_cannot_be_written_to_is_named(trace: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AmplyError, match="file"):
        import_trace(trace, tmp_path / "file" / "run", lambda _: None)


def test_a_write_that_fails_ends_the_import_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "accesses.csv"
    path.write_text(HEADER + "\n" + "".join(f"{number},get,k:{number * 7919 % 99991},,1,1\n"
                                            for number in range(100_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(AmplyError, match="cannot be written"):
            import_trace(path, tmp_path / "run", lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.name for one in tmp_path.iterdir()] == ["accesses.csv"]


def test_beyond_a_hundred_classes_keys_are_told_without_one(tmp_path: Path) -> None:
    path = tmp_path / "accesses.csv"
    path.write_text(HEADER + "\n" + "".join(f"{number},get,c{number}:x,,1,1\n" for number in range(150)))
    summary = import_trace(path, tmp_path / "run", lambda _: None).summary
    assert len(summary["classes"]) == 101
    assert summary["classes"][""] == 50


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=20), max_size=8))
def test_different_keys_are_counted_once_however_they_come(blocks: list[list[int]]) -> None:
    distinct = _Distinct()
    for block in blocks:
        distinct.add(np.array(block, dtype=np.uint64) << np.uint64(40))
        distinct.count()
    assert distinct.count() == len({one for block in blocks for one in block})


def test_keys_of_bytes_that_are_no_text_are_hashed_as_they_are(tmp_path: Path) -> None:
    keys = pa.array([b"\xff\x00", b"a:1", b"\xff\x00"], pa.binary()).dictionary_encode()
    found = ImportedRun("monitor", tmp_path, tmp_path / "run").hashed(keys)
    assert found["key_hash"].to_pylist() == key_hashes([b"\xff\x00", b"a:1", b"\xff\x00"]).tolist()
    assert found["key_class"].to_pylist() == ["", "a", ""]
    assert found["key_bytes"].to_pylist() == [2, 3, 2]


def test_an_import_is_listed_but_never_the_newest_recording(imported_here: Path) -> None:
    assert imported_here.parent == RUNS_DIR
    (run,) = [run for run in all_runs() if run.directory == imported_here]
    assert run.is_imported
    assert not newest_or_example().is_imported
    assert not read_run(EXAMPLE_RUN).is_imported


def test_an_import_has_no_load_to_ask_for(imported_here: Path) -> None:
    run = read_run(imported_here)
    for asked in (run.need_load, lambda: run.measured_seconds):
        with pytest.raises(BadRun, match=r"key accesses alone.*predict hit-rate"):
            asked()


def test_a_trace_of_one_instant_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "accesses.csv"
    path.write_text(f"{HEADER}\n0,set,a,,0,none\n")
    run = import_trace(path, tmp_path / "run", lambda _: None)
    assert run.summary["seconds"] == 0.0
    assert math.isinf(pd.read_parquet(tmp_path / "run" / "accesses.parquet")["ttl_s"][0])
