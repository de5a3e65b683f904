"""`amply-capacity profile`: what keys a live Redis holds, from a sample that changes nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

if TYPE_CHECKING:
    from amply_capacity.run.keyspace import Shape
    from amply_capacity.target.profile import Profile

__all__ = ["profile"]

_MIB = 1024.0**2
_MOST_ROWS = 40
_BESIDE_KEYS = ("used_memory_startup", "mem_clients_normal", "mem_clients_slaves", "mem_replication_backlog",
                "mem_aof_buffer", "mem_cluster_links")


def profile(
    url: Annotated[str, typer.Argument(help="redis://host:6379/0, or a local cluster's name.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("keyspace.csv"),
    sample: Annotated[float | None, typer.Option(
        help="Share of the keys to look at, e.g. 0.02; without, 2 % but 10,000 to 50,000 keys.")] = None,
    keys: Annotated[int | None, typer.Option(help="Look at about so many keys at most.")] = None,
    names: Annotated[int, typer.Option(
        help="Read so many names at most; beyond, counts are scaled.")] = 1_000_000,
    commands_per_second: Annotated[float, typer.Option(help="Send no more than this.")] = 5000.0,
    show_names: Annotated[bool, typer.Option(
        "--show-names", help="Findings name keys in full; names may tell whose they are.")] = False,
    json_: Json = False,
) -> None:
    """Profile a live Redis, primary or replica, by reading alone: what keys there are and what they take.

    A bounded SCAN for the names, and of a random sample their types, sizes and TTLs; never KEYS, no value is
    got. Needs no mark. Best asked of a replica.

    Example: amply-capacity profile redis://replica.internal:6379 --out keyspace.csv
    """
    from amply_capacity.run.keyspace import write_keyspace
    from amply_capacity.target.extent import Extent
    from amply_capacity.target.guard import resolve
    from amply_capacity.target.profile import take_profile

    _check_writable(out)
    found = take_profile(resolve(url).endpoint, Extent(sample, keys, names, commands_per_second))
    shapes = found.shapes()
    write_keyspace(out, shapes)
    content = {"keyspace": str(out), **found.as_json(shows_names=show_names), "check": _check(found, shapes)}
    print_answer(json_, content, _text(content))


def _check_writable(out: Path) -> None:
    """Raise BadInput now rather than after minutes."""
    if out.is_dir():
        raise BadInput("--out is no file", got=f"the folder {out}", do="name a file, e.g. --out keyspace.csv")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        got = "not writable" if out.parent.is_dir() else "no such folder"
        raise BadInput("the keyspace file cannot be written", got=f"{out.parent}: {got}",
                       do="choose a folder that you may write to")


def _check(found: Profile, shapes: list[Shape]) -> dict[str, Any] | None:
    """`used_memory` as the model makes it from the keyspace file, beside the server's own.

    None where the model cannot: an allocator that it does not know, keys that the file does not hold.
    """
    from amply_capacity.model.allocator import ALLOCATORS
    from amply_capacity.model.layouts import layout_of
    from amply_capacity.model.memory import shape_bytes, table_items

    server, info = found.server, found.server.info
    if server.allocator is None or server.other_databases or "used_memory_startup" not in info:
        return None
    layout = layout_of(server.engine, server.version)(
        ALLOCATORS[server.allocator], is_cluster=server.is_cluster)
    of_keys = [shape_bytes(shape, layout).scaled(shape.count) for shape in shapes]
    low, mid, high = (sum(getattr(item, bound) for item in of_keys) for bound in ("low", "mid", "high"))
    tables = table_items(layout, sum(shape.count for shape in shapes),
                         sum(shape.count for shape in shapes if shape.ttl_s is not None))
    used = (mid + sum(item.bytes.mid for item in tables) + layout.histogram_bytes * server.latency_histograms
            + sum(int(info.get(name, 0)) for name in _BESIDE_KEYS))
    # What the sample leaves open comes on top of what the model does: it errs by group, independently.
    open_low = math.hypot(mid - low, *(group.bytes_error[0] for group in found.groups))
    open_high = math.hypot(high - mid, *(group.bytes_error[1] for group in found.groups))
    return {"used_memory": info["used_memory"], "predicted": round(used),
            "low": round(used - open_low), "high": round(used + open_high),
            "error_percent": round(100.0 * (used / info["used_memory"] - 1.0), 2)}


def _text(content: Mapping[str, Any]) -> str:
    """The answer for people."""
    server, prefixes = content["server"], content["prefixes"]
    names = "all names read" if content["all_scanned"] else f"{content['scanned']:,} names read"
    gone = f", {content['vanished']:,} gone meanwhile" if content["vanished"] else ""
    lines = [f"{server['engine']} {server['version']}, {server['role']}, {server['url']}: "
             f"{content['keys']:,} keys, {names}, {content['sampled']:,} keys looked at{gone}", "",
             f"{'prefix':<28} {'type':<7} {'TTL':>7} {'keys':>27} {'bytes each':>24} {'MiB':>10}"]
    lines += [f"{_short(row['prefix'])} {row['type']:<7} {_duration(row['ttl_s']):>7} "
              f"{_bounded(row['count'], row['count_low'], row['count_high']):>27} "
              f"{_bounded(row['bytes_each'], row['bytes_low'], row['bytes_high']):>24} "
              f"{row['bytes'] / _MIB:>10,.2f}" for row in prefixes[:_MOST_ROWS]]
    if len(prefixes) > _MOST_ROWS:
        lines.append(f"… and {len(prefixes) - _MOST_ROWS} more, which --json lists")
    lines.append("")
    for finding in content["findings"]:
        cost = (f" ({finding['bytes']:,} bytes; {', '.join(finding['examples'])})"
                if "bytes" in finding else "")
        lines.append(f"finding: {finding['what']}{cost}")
    if content["check"]:
        check = content["check"]
        lines.append(f"check: from these keys {check['predicted'] / _MIB:,.1f} MiB of used_memory are "
                     f"predicted, and {check['used_memory'] / _MIB:,.1f} MiB are used "
                     f"({check['error_percent']:+.1f} %)")
    return "\n".join([*lines, f"written to {content['keyspace']}"])


def _short(prefix: str) -> str:
    return f"{prefix}*"[:28].ljust(28) if prefix != "(others)" else f"{prefix:<28}"


def _bounded(mid: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{mid:,.0f} (unbounded)"
    return f"{mid:,.0f}" if low == high else f"{mid:,.0f} ({low:,.0f}–{high:,.0f})"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
