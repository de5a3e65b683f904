"""What is wrong with a demand file, said in the file's own words: one line per fault, with its dotted path.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from amply_capacity.catalog import nodes, prices
from amply_capacity.errors import AmplyError

__all__ = ["catalog_faults", "faults_of", "nearest"]


def nearest(name: str, known: Iterable[str]) -> str:
    """`nearest: a, b` of the known names, or the first few of them where none is alike."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.45)
    return f"nearest: {', '.join(near)}" if near else f"one of {', '.join(names[:12])}"


def faults_of(errors: Iterable[Mapping[str, Any]], schema: type) -> Iterator[str]:
    """Pydantic's error records for the dataclass `schema`, as lines such as `users.registered: missing`."""
    for error in errors:
        location = tuple(str(step) for step in error["loc"])
        yield f"{'.'.join(location) or 'the file'}: {_fault(error, location, schema)}"


def _fault(error: Mapping[str, Any], location: tuple[str, ...], schema: type) -> str:
    kind, given = error["type"], error.get("input")
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "missing"
    if kind == "unexpected_keyword_argument":
        return f"unknown key ({nearest(location[-1], _keys_at(schema, location[:-1]))})"
    if kind in ("dataclass_type", "dataclass_exact_type"):
        return f"must be a table, got {given!r}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    message = error["msg"].removeprefix("Input ").removeprefix("should ")
    return f"should {message}, got {given!r}"


def _keys_at(schema: type, path: tuple[str, ...]) -> tuple[str, ...]:
    for step in path:
        # A number is a place in a list of tables.
        schema = typing.get_args(schema)[0] if step.isdigit() else _table(typing.get_type_hints(schema)[step])
    return tuple(field.name for field in dataclasses.fields(schema))


def _table(hint: Any) -> Any:
    """The table itself, of one that may be left out."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    return next(one for one in typing.get_args(hint) if dataclasses.is_dataclass(one))


def catalog_faults(cluster: object) -> Iterator[str]:
    """Names of today's cluster that the catalog does not know, or knows but not together."""
    if not isinstance(cluster, Mapping):
        return
    known = {
        "region": prices.regions(),
        "engine": prices.ENGINES,
        "node_type": tuple(node.name for node in nodes.node_types()),
        "term": prices.TERMS,
    }
    named = {key: name for key in known if isinstance(name := cluster.get(key), str)}
    unknown = [key for key, name in named.items() if name not in known[key]]
    for key in unknown:
        kind = key.replace("_", " ")
        yield f"cluster.{key}: unknown {kind} {named[key]!r} ({nearest(named[key], known[key])})"
    if unknown or not {"region", "engine", "node_type"} <= named.keys():
        return
    try:
        prices.price(named["region"], named["engine"], named["node_type"], named.get("term", "on_demand"))
    except AmplyError as error:
        yield f"cluster: {str(error).rstrip('.')}"
