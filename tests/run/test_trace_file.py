from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.run import text_file
from amply_capacity.run.trace_file import COLUMNS, OPS, read_trace

HEADER = ",".join(COLUMNS)
GOOD = "1.5,get,session:1,9,400,300"


def rows(path: Path) -> list[tuple[Any, ...]]:
    """All accesses, in the order of COLUMNS."""
    found: list[tuple[Any, ...]] = []
    for columns, _ in read_trace(path):
        found += zip(*(columns[name].to_pylist() for name in COLUMNS), strict=True)
    return found


def trace(tmp_path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path = tmp_path / "trace.csv"
    path.write_bytes("".join(line + end for line in (header, *lines)).encode())
    return path


def faults(path: Path) -> dict[int, str]:
    """What is said of the file, by line."""
    with pytest.raises(BadInput) as raised:
        rows(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    got = str(raised.value.got)
    found = {}
    for one in got.split("; line "):
        line, _, text = one.removeprefix("line ").partition(": ")
        found[int(line)] = text
    return found


def test_the_accesses_are_read_with_their_types_and_what_is_unknown_or_none(tmp_path: Path) -> None:
    path = trace(tmp_path, GOOD, "1.5,set,a,,7,", "2,SETEX,b,1,8,none", "2,incr,c,,,", "2.25,expire,c,,,60",
                 "3,del,d,,,", "3,sadd,e,1,28,None", "3,srem,e,1,,", "3,smembers,e,,,")
    assert rows(path) == [
        (1.5, "get", "session:1", 9, 400, 300.0), (1.5, "set", "a", None, 7, None),
        (2.0, "setex", "b", 1, 8, math.inf), (2.0, "incr", "c", None, None, None),
        (2.25, "expire", "c", None, None, 60.0), (3.0, "del", "d", None, None, None),
        (3.0, "sadd", "e", 1, 28, math.inf), (3.0, "srem", "e", 1, None, None),
        (3.0, "smembers", "e", None, None, None)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_order_of_columns_others_beside_them_blank_lines_and_padding_are_accepted(
        tmp_path: Path, end: str) -> None:
    path = trace(tmp_path, "", 'x, 300 ,"a,""b""",get,9 ,7,1.50,"y,z"', "   ", 'x,none,é,set,2,7.0,2,""', "",
                 header="client,ttl_s,key,op, key_bytes,value_bytes,time_s,client", end=end)
    path.write_bytes(b"\xef\xbb\xbf" + end.encode() + path.read_bytes().removesuffix(end.encode()))
    assert rows(path) == [(1.5, "get", 'a,"b"', 9, 7, 300.0), (2.0, "set", "é", 2, 7, math.inf)]


@pytest.mark.parametrize(("header", "words"), [
    ("time_s,op,key,key_bytes,value_bytes", "no column ttl_s"),
    ("time,op,key,bytes,ttl_s", "no column time_s, key_bytes, value_bytes"),
    (HEADER.replace(",", ";"), "no column time_s, op"),
    (HEADER + ",op", "op stands there twice"),
    ('"time_s,op', "no column time_s"),
    ("1.5,get,session:1,9,400,300", "no column time_s"),
])
def test_a_header_that_is_none_is_refused_with_the_one_to_write(
        tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(BadInput, match=rf"trace.csv, line 1: .*{words}.*begin with the header {HEADER}"):
        rows(trace(tmp_path, GOOD, header=header))


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_trace_without_an_access_is_refused(tmp_path: Path, text: str) -> None:
    path = trace(tmp_path)
    path.write_text(path.read_text() + text)
    with pytest.raises(BadInput, match="holds no access"):
        rows(path)


@pytest.mark.parametrize(("line", "words"), [
    ("soon,get,a,1,1,1", "time_s is 'soon', not a number"),
    (",get,a,1,1,1", "time_s is '', not a number"),
    ("nan,get,a,1,1,1", "time_s is 'nan'"),
    ("inf,get,a,1,1,1", "time_s is 'inf'"),
    ("1700000000000,get,a,1,1,1", "seconds are meant"),
    ("0.5,get,a,1,1,1", "time_s goes back from 1.500000 to 0.500000"),
    ("2,mget,a,1,1,1", "op is 'mget', not one of get, set"),
    ("2,,a,1,1,1", "op is ''"),
    ("2,get,,1,1,1", "key is missing"),
    ("2,get,a,-1,1,1", "key_bytes is '-1', not a whole number from 0"),
    ("2,get,a,1,-400,1", "value_bytes is '-400'"),
    ("2,get,a,1,1.5,1", "value_bytes is '1.5'"),
    ("2,get,a,1,big,1", "value_bytes is 'big'"),
    ("2,get,a,1,nan,1", "value_bytes is 'nan'"),
    ("2,get,a,1,536870913,1", "value_bytes is '536870913'"),
    ("2,set,a,1,,1", "set lacks its value_bytes"),
    ("2,expire,a,1,,", "expire lacks its ttl_s"),
    ("2,get,a,1,1,0", "ttl_s is '0'"),
    ("2,get,a,1,1,-1", "ttl_s is '-1'"),
    ("2,get,a,1,1,never", "ttl_s is 'never'"),
    ("2,get,a,1,1", "5 values, not 6"),
    ("2,get,a,b,1,1,1", "7 values, not 6"),
    ('2,get,"a,1,1,1', "a quote is not closed"),
    ("2,get,a\0b,1,1,1", "binary data"),
    ("2,get,a\rb,1,1,1", "new-line"),
])
def test_a_fault_is_named_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    found = faults(trace(tmp_path, GOOD, "", line, "2,get,a,1,1,1"))
    assert list(found) == [4], found
    assert words in found[4]


def test_all_faults_up_to_ten_are_named_at_once_of_whatever_kind(tmp_path: Path) -> None:
    lines = ["2,get,a,1,-1,1", "3,get,a", "1,get,a,1,1,1", '4,get,"a,1,1,1', "4,lpush,a,1,1,1"]
    assert list(faults(trace(tmp_path, GOOD, *lines))) == [3, 4, 5, 6, 7]
    many = faults(trace(tmp_path, GOOD, *(["2,get,a,1,-1,1"] * 20)))
    assert list(many) == list(range(3, 13))
    assert many[12].endswith("(the first ten)")


def test_a_key_that_is_no_utf8_is_named_with_its_line_and_byte(tmp_path: Path) -> None:
    path = trace(tmp_path, GOOD)
    path.write_bytes(path.read_bytes() + b"2,get,caf\xe9,1,1,1\n")
    assert "byte 10 is not UTF-8" in faults(path)[3]


def test_binary_rubbish_after_a_header_is_named(tmp_path: Path) -> None:
    path = trace(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(range(256)) * 40)
    assert "binary data" in faults(path)[2]


def test_a_line_of_a_hundred_megabytes_is_named_and_what_follows_is_checked(tmp_path: Path) -> None:
    path = trace(tmp_path, GOOD)
    with open(path, "ab") as file:
        file.write(b"2,get,")
        for _ in range(100):
            file.write(b"k" * 10**6)
        file.write(b",1,1,1\n2,get,a,1,-1,1\n")
    found = faults(path)
    assert list(found) == [3, 4]
    assert "longer than 1 MB" in found[3]


def test_faults_of_several_blocks_have_the_lines_of_the_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "_BLOCK_BYTES", 64)
    lines = [f"{number},get,a,1,1,1" for number in range(60)]
    lines[7], lines[30], lines[31], lines[55] = "", "30,get,a,1,1", "28,get,a,1,1,1", "1,get,a,1,1,1"
    assert list(faults(trace(tmp_path, *lines))) == [32, 33, 57]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=4)
CELL = st.one_of(TEXT, st.sampled_from([
    "", "1", "-1", "0", "300", "none", "inf", "Infinity", "nan", "1e3", "1.0", "2.5", ".5", "5.", "+1", " 7 ",
    "x", "1e400", "0x10", "99999999999999999999", "1_0"]))
ROW = st.tuples(st.one_of(st.integers(0, 9).map(str), CELL),
                st.one_of(st.sampled_from([*OPS, "GET", "lpush"]), CELL), TEXT, CELL, CELL, CELL)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(ROW, st.just(())), min_size=1, max_size=6))
def test_a_row_has_the_same_faults_alone_and_among_others(
        tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, ...]]) -> None:
    """A sound block is taken by columns, another line by line: what is said of a line hangs on it alone."""
    path = tmp_path_factory.mktemp("trace") / "trace.csv"

    def written(some: list[tuple[str, ...]]) -> Path:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *some])
        path.write_text(text.getvalue(), newline="")
        return path

    def said(some: list[tuple[str, ...]]) -> dict[int, str] | list[tuple[Any, ...]]:
        try:
            return rows(written(some))
        except BadInput as error:
            if "holds no access" in str(error):
                return []
            return faults(path)

    together = said(table)
    alone = [said([row]) for row in table]
    singly = {number: one[2] for number, one in enumerate(alone, 2) if isinstance(one, dict)}
    if isinstance(together, dict):
        in_order = {line: text for line, text in together.items() if "goes back" not in text}
        assert in_order.items() <= singly.items()
        assert set(singly) <= set(together)
    else:
        assert not singly
        assert together == [row for one in alone for row in one]
        times = [row[0] for row in together]
        assert times == sorted(times)


def test_the_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Read whole, the cells would be 60 MB of text and 40 MB of offsets, beside what is made of them."""
    script = ("import resource, sys\nfrom pathlib import Path\nimport pandas\n"
              "from amply_capacity.run.trace_file import read_trace\n"
              "for path in sys.argv[1:]:\n"
              "    for columns, _ in read_trace(Path(path)): pass\n"
              "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n")
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    block = "".join(f"1.5,get,session:ses_{number:024x},36,400,604800\n" for number in range(110_000))
    small.write_text(f"{HEADER}\n{block}{block}")
    with open(large, "w") as file:
        file.write(f"{HEADER}\n")
        for _ in range(11):
            file.write(block)
    assert large.stat().st_size > 60e6
    done = subprocess.run([sys.executable, "-c", script, small, large], capture_output=True, text=True,
                          check=True, timeout=120)
    at_small, at_large = map(int, done.stdout.split())
    assert at_large - at_small < 60 * 1024  # kilobytes
