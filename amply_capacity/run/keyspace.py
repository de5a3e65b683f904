"""A keyspace as a table of shapes: how many keys look alike (`keyspace.csv`)."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import BadInput

__all__ = ["TYPES", "Shape", "read_keyspace", "write_keyspace"]

TYPES = ("string", "int", "set", "hash", "list", "zset", "stream")
_MOST_FAULTS = 10
_OF_MEMBERS = frozenset({"set", "hash", "list", "zset", "stream"})


@dataclass(frozen=True, slots=True)
class Shape:
    """Keys that look alike; sizes in bytes, means where they differ a little."""

    prefix: str
    """What their names begin with, e.g. `session:`."""
    type: str
    """One of TYPES; `int` is a string that holds an integer."""
    count: float
    key_bytes: float
    value_bytes: float | None
    """Of a string; of a hash: of one field's value; of a set of integers: of one of them (2, 4 or 8)."""
    members: float | None
    """Members, fields or elements of one key."""
    member_bytes: float | None
    """Of one member, element or field name; None for a set of integers."""
    ttl_s: float | None
    """None for keys that never expire."""


_COLUMNS = tuple(field.name for field in fields(Shape))


def read_keyspace(path: Path) -> list[Shape]:
    """The shapes of a keyspace file. Raises BadInput with up to ten faults, each with its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {path}", got=error.strerror or str(error),
                       do="name a keyspace.csv, as `amply-capacity profile` writes it") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no text", got=f"byte {error.start} is not UTF-8",
                       do="name a keyspace.csv, as `amply-capacity profile` writes it") from None
    rows = csv.reader(text.splitlines())
    header = next(rows, [])
    if tuple(header) != _COLUMNS:
        raise BadInput(f"{path}, line 1: not the header of a keyspace",
                       got=",".join(header)[:200] or "nothing", do=f"begin with {','.join(_COLUMNS)}")
    shapes: list[Shape] = []
    faults: list[str] = []
    try:
        for row in rows:
            if row:
                try:
                    shapes.append(_shape(row))
                except ValueError as error:
                    faults.append(f"line {rows.line_num}: {error}")
            if len(faults) == _MOST_FAULTS:
                break
    except csv.Error as error:
        faults.append(f"line {rows.line_num}: {error}")
    if faults:
        more = " (the first ten)" if len(faults) == _MOST_FAULTS else ""
        raise BadInput(f"{path} does not describe a keyspace", got="; ".join(faults) + more,
                       do="correct these lines")
    if not shapes:
        raise BadInput(f"{path} describes no key", got="a header alone", do="add a row per shape of key")
    return shapes


def write_keyspace(path: Path, shapes: Iterable[Shape]) -> None:
    """Write the file in one step. Raises DiskFull."""
    with on_disk(path.parent), replacing(path) as partial, open(
            partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows([_text(value) for value in astuple(shape)] for shape in shapes)


def _shape(row: list[str]) -> Shape:
    """Raises ValueError that says what is wrong with the row."""
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{len(row)} values, not {len(_COLUMNS)}")
    cells = dict(zip(_COLUMNS, (cell.strip() for cell in row), strict=True))
    kind = cells["type"]
    if kind not in TYPES:
        raise ValueError(f"type is {kind!r}, not one of {', '.join(TYPES)}")
    needed = {"count", "key_bytes"} | ({"value_bytes"} if kind in {"string", "hash"} else set()) | (
        {"members"} if kind in _OF_MEMBERS else set()) | (
        {"member_bytes"} if kind in _OF_MEMBERS - {"set"} else set())
    numbers = {name: _number(name, cells[name], name in needed) for name in _COLUMNS[2:]}
    if kind == "set" and numbers["member_bytes"] is None and numbers["value_bytes"] not in {2.0, 4.0, 8.0}:
        raise ValueError("a set needs member_bytes, or value_bytes of 2, 4 or 8 for a set of integers")
    count, key_bytes = numbers["count"], numbers["key_bytes"]
    assert count is not None
    assert key_bytes is not None
    return Shape(cells["prefix"], kind, count, key_bytes, numbers["value_bytes"], numbers["members"],
                 numbers["member_bytes"], numbers["ttl_s"])


def _number(name: str, cell: str, is_needed: bool) -> float | None:
    if not cell:
        if is_needed:
            raise ValueError(f"{name} is missing")
        return None
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{name} is {cell[:40]!r}, not a number") from None
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} is {cell[:40]}, not a number of 0 or more")
    return value


def _text(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)
