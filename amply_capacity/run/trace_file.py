"""Reads a trace of key accesses, CSV, block by block, and names up to ten faults by their lines.

A block is parsed and checked by columns. Only one that is no sound table is gone through line by line, to
leave its blank lines out and to say which others are to blame.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from amply_capacity.errors import BadInput
from amply_capacity.run.text_file import Block, Faults, blocks_of

__all__ = ["COLUMNS", "OPS", "read_trace"]

_Array = NDArray[Any]

COLUMNS = ("time_s", "op", "key", "key_bytes", "value_bytes", "ttl_s")
OPS = ("get", "set", "setex", "incr", "del", "expire", "sadd", "srem", "smembers")
_NEED_SIZE = [OPS.index(op) for op in ("set", "setex", "sadd")]
_BEGIN = "begin with the header " + ",".join(COLUMNS)
_LONGEST_LINE_BYTES = 1 << 20
_LARGEST_BYTES = 512 << 20
_LATEST_S = 1e11
"""A later time is in milliseconds: in seconds it would be in the year 5138."""


def read_trace(path: Path) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """Yield the accesses in blocks of columns, each with how many bytes of the file have been read.

    `time_s` float64, `op` and `key` dictionaries of strings, `key_bytes` and `value_bytes` int64 or null,
    `ttl_s` float64, null where unknown and infinite for none. Columns may stand in any order, and others
    beside them. Raises BadInput: the file, and up to ten faults by line.
    """
    faults = Faults(path, "trace")
    names: list[str] = []
    last_s, count = -np.inf, 0
    for block in blocks_of(path, faults, longest_line_bytes=_LONGEST_LINE_BYTES, do=_BEGIN):
        if not names:
            names, block = _header(path, block)
        table, lines = _table(block, names, faults)
        accesses = _accesses(table)
        for row, text in _faulty(accesses, last_s):
            faults.add(block.first_line + int(lines[row]), text)
        times = accesses.time_s.values[np.abs(accesses.time_s.values) <= _LATEST_S]
        last_s, count = (times[-1] if len(times) else last_s), count + len(accesses.op)
        if not faults and len(accesses.op):
            yield accesses.columns(), block.end_byte
    if faults:
        faults.fail()
    if not count:
        raise BadInput(f"{path} holds no access", got="a header alone" if names else "no line",
                       do=f"{_BEGIN}, and add a line per access")


def _header(path: Path, block: Block) -> tuple[list[str], Block]:
    """The names in the first line that is not blank, and the lines after it."""
    text = block.text.lstrip()
    skipped = block.text.count(b"\n", 0, len(block.text) - len(text))
    line, _, rest = text.partition(b"\n")
    try:
        (names,) = csv.reader([line.decode().strip()], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        names = []
    names = [name.strip() for name in names]
    missing = [name for name in COLUMNS if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1 and name in COLUMNS})
    found = ([f"no column {', '.join(missing)}"] if missing else []) + (
        [f"{', '.join(twice)} stands there twice"] if twice else [])
    if found:
        shown = line[:120].decode(errors="replace")
        raise BadInput(f"{path}, line {skipped + 1}: this is not the header of a trace",
                       got=f"{'; '.join(found)}; the line is {shown!r}", do=_BEGIN)
    # A column that is not ours may have any name, and no two of pyarrow's the same.
    unique = [name if name in COLUMNS else f"#{number}" for number, name in enumerate(names)]
    return unique, Block(rest, skipped + 2, block.line_count - skipped - 1, block.end_byte)


def _table(block: Block, names: Sequence[str], faults: Faults) -> tuple[pa.Table, Sequence[int]]:
    """The block's cells, strings; and the line of each row, counted from the block's first."""
    if b"\0" not in block.text:
        table = _parsed(block.text, names)
        if table is not None and len(table) == block.line_count:
            return table, range(block.line_count)
    lines = [(number, line) for number, line in enumerate(block.text.split(b"\n")) if line.strip()]
    table = _parsed(b"\n".join(line for _, line in lines), names)
    if table is None or len(table) != len(lines) or b"\0" in block.text:
        misfits = [(number, line, _misfit(line, len(names))) for number, line in lines]
        for number, _, fault in misfits:
            if fault:
                faults.add(block.first_line + number, fault)
        lines = [(number, line) for number, line, fault in misfits if not fault]
        table = _parsed(b"\n".join(line for _, line in lines), names)
    if table is None or len(table) != len(lines):
        faults.add(block.first_line, "here or soon after it a quote is not closed")
        faults.fail()
    return table, [number for number, _ in lines]


def _parsed(text: bytes, names: Sequence[str]) -> pa.Table | None:
    """Our columns as strings; None where a line does not fit, or is no UTF-8."""
    types = {name: pa.string() for name in COLUMNS} | {
        name: pa.dictionary(pa.int32(), pa.string()) for name in ("op", "key")}
    if not text.strip():
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    try:
        return pa_csv.read_csv(
            pa.BufferReader(text),
            # A block of its own, so that a dictionary has one part.
            pa_csv.ReadOptions(column_names=list(names), block_size=len(text) + 1),
            pa_csv.ParseOptions(newlines_in_values=True),
            pa_csv.ConvertOptions(include_columns=list(COLUMNS), column_types=types))
    except pa.ArrowInvalid:
        return None


def _misfit(line: bytes, width: int) -> str:
    """What is wrong with a line as a line of CSV; empty where nothing is."""
    if b"\0" in line:
        return "binary data"
    try:
        cells = next(csv.reader([line.decode().rstrip("\r")], strict=True))
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is not UTF-8"
    except csv.Error as error:
        return "a quote is not closed" if "unexpected end" in str(error) else str(error)
    return "" if len(cells) == width else f"{len(cells)} values, not {width}"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of numbers: NaN where the cell is none."""

    cells: pa.Array
    values: _Array
    is_blank: _Array

    @property
    def is_none(self) -> _Array:
        """Whether a cell holds something else than a number."""
        return np.asarray(np.isnan(self.values) & ~self.is_blank)


@dataclass(frozen=True, slots=True)
class _Accesses:
    """The columns with their types, whatever they hold."""

    time_s: _Numbers
    op: _Array
    """Its place in OPS, -1 where it is none of them."""
    op_cells: pa.Array
    key: pa.DictionaryArray
    key_bytes: _Numbers
    value_bytes: _Numbers
    ttl_s: _Numbers

    def columns(self) -> dict[str, pa.Array]:
        """As `read_trace` yields them; only of accesses without a fault."""
        def sizes(column: _Numbers) -> pa.Array:
            whole = np.where(column.is_blank, 0, column.values).astype(np.int64)
            return pa.array(whole, mask=column.is_blank)

        return {"time_s": pa.array(self.time_s.values),
                "op": pa.DictionaryArray.from_arrays(pa.array(self.op), pa.array(OPS)), "key": self.key,
                "key_bytes": sizes(self.key_bytes), "value_bytes": sizes(self.value_bytes),
                "ttl_s": pa.array(self.ttl_s.values, from_pandas=True)}


def _accesses(table: pa.Table) -> _Accesses:
    # A table of one block: `combine_chunks` would build its dictionaries anew.
    column = {name: table[name].chunk(0) for name in COLUMNS}
    known = {op: number for number, op in enumerate(OPS)}
    named = [known.get(op.strip().lower(), -1) for op in column["op"].dictionary.to_pylist()]
    op = np.array([*named, -1], dtype=np.int8)[column["op"].indices.to_numpy(zero_copy_only=False)]
    ttl = column["ttl_s"]
    return _Accesses(_numbers(column["time_s"]), op, column["op"], column["key"],
                     _numbers(column["key_bytes"]), _numbers(column["value_bytes"]),
                     _numbers(ttl, words={"none": "inf"}))


def _numbers(cells: pa.Array, words: dict[str, str] | None = None) -> _Numbers:
    texts = pc.utf8_trim_whitespace(cells)
    for word, number in (words or {}).items():
        texts = pc.if_else(pc.equal(pc.utf8_lower(texts), word), number, texts)
    is_blank = pc.equal(texts, "")
    try:
        values = pc.cast(pc.if_else(is_blank, "nan", texts), pa.float64())
    except pa.ArrowInvalid:  # it does not say which
        each = texts.dictionary_encode()
        values = pa.array([_number(text) for text in each.dictionary]).take(each.indices)
    return _Numbers(cells, values.to_numpy(zero_copy_only=False), is_blank.to_numpy(zero_copy_only=False))


def _number(text: pa.StringScalar) -> float:
    try:
        return text.cast(pa.float64()).as_py()  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return math.nan


def _faulty(accesses: _Accesses, last_s: float) -> list[tuple[int, str]]:
    """Rows with a fault, and the first fault of each."""
    time, key_bytes, value, ttl, op = (accesses.time_s, accesses.key_bytes, accesses.value_bytes,
                                       accesses.ttl_s, accesses.op)
    is_time = np.abs(time.values) <= _LATEST_S
    last = np.maximum.accumulate(np.where(is_time, np.arange(len(op)), -1))  # the last row that has a time
    before = np.concatenate(([last_s], np.where(last >= 0, time.values[last], last_s)))[:-1]
    no_key = accesses.key.indices.to_numpy(zero_copy_only=False) == pc.index(
        accesses.key.dictionary, "").as_py()

    def cell(column: _Numbers, row: int) -> str:
        return repr(column.cells[row].as_py()[:40])

    def size(name: str, column: _Numbers) -> tuple[_Array, Callable[[int], str]]:
        return _is_no_size(column), lambda row: (
            f"{name} is {cell(column, row)}, not a whole number from 0 to {_LARGEST_BYTES:,}")

    rules: list[tuple[_Array, Callable[[int], str]]] = [
        (np.isnan(time.values), lambda row: f"time_s is {cell(time, row)}, not a number"),
        (~is_time,
         lambda row: f"time_s is {cell(time, row)}, and seconds are meant"),
        (time.values < before,
         lambda row: f"time_s goes back from {before[row]:.6f} to {time.values[row]:.6f}"),
        (op < 0, lambda row: f"op is {accesses.op_cells[row].as_py()[:40]!r}, not one of {', '.join(OPS)}"),
        (no_key, lambda row: "key is missing"),
        size("key_bytes", key_bytes), size("value_bytes", value),
        (value.is_blank & np.isin(op, _NEED_SIZE), lambda row: f"{OPS[op[row]]} lacks its value_bytes"),
        (ttl.is_none | (ttl.values <= 0.0),
         lambda row: f"ttl_s is {cell(ttl, row)}, and no number above 0, nor none, nor blank"),
        (ttl.is_blank & (op == OPS.index("expire")), lambda row: "expire lacks its ttl_s"),
    ]
    is_faulty = np.any([mask for mask, _ in rules], axis=0)
    return [(int(row), next(text(int(row)) for mask, text in rules if mask[row]))
            for row in np.flatnonzero(is_faulty)[:10]]


def _is_no_size(column: _Numbers) -> _Array:
    with np.errstate(invalid="ignore"):
        fits = (column.values >= 0) & (column.values <= _LARGEST_BYTES) & (column.values % 1 == 0)
    return np.asarray(~column.is_blank & ~fits)
