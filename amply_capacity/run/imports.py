"""Files of key accesses made into runs: a trace (CSV), and what `redis-cli MONITOR` printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from amply_capacity.errors import BadInput
from amply_capacity.run.imported import ImportedRun
from amply_capacity.run.monitor_file import MonitorFile
from amply_capacity.run.production_text import production_text
from amply_capacity.run.read_sizes import ReadSizes
from amply_capacity.run.trace_file import read_trace

__all__ = ["import_monitor", "import_trace", "imported_text"]

Tell = Callable[[int], None]
"""Is told how many bytes of the file have been read."""

_MOST_NAMED = 5


def import_trace(path: Path, directory: Path | None, tell: Tell) -> ImportedRun:
    """Make a run of a trace; in `directory`, or in one of its own under `data/runs`.

    Raises BadInput for a file with faults, or a folder that holds something, and DiskFull; then nothing is
    left behind.
    """
    valued, without_ttl = 0, Counter[str]()
    with ImportedRun("trace", path, directory) as run:
        for columns, read_bytes in read_trace(path):
            hashed = run.hashed(columns.pop("key"))
            columns["key_bytes"] = pc.coalesce(columns["key_bytes"], hashed.pop("key_bytes"))
            whole = {**columns, **hashed}
            run.append(whole)
            lives = _lives(whole)
            valued += pc.sum(lives).as_py() or 0
            unsaid = whole["key_class"].filter(pc.and_(lives, pc.is_null(whole["ttl_s"])))
            without_ttl.update({one["values"]: one["counts"] for one in unsaid.value_counts().to_pylist()})
            tell(read_bytes)
        if unsaid_count := without_ttl.total():
            run.assumptions.append(_ttl_sentence(unsaid_count, valued, without_ttl))
    return run


def import_monitor(path: Path, directory: Path | None, tell: Tell) -> ImportedRun:
    """Make a run of MONITOR's output, as `import_trace` does, and with the same errors."""
    monitor = MonitorFile(path)
    with ImportedRun("monitor", path, directory) as run:
        sizes = ReadSizes(run.scratch / "sizes.parquet")
        for columns, read_bytes in monitor.blocks():
            hashed = run.hashed(columns.pop("key"))
            sizes.add({**hashed, **columns})
            tell(read_bytes)
        reads, unknown = 0, 0
        for columns in sizes.known():
            run.append(columns)
            is_read = pc.equal(columns["op"].cast(pa.string()), "get")
            reads += pc.sum(is_read).as_py() or 0
            unknown += pc.sum(pc.and_(is_read, pc.is_null(columns["value_bytes"]))).as_py() or 0
        if not run.access_count:
            raise BadInput(f"{path} holds no access that a run has an op for",
                           got=_left_out(monitor.left_out + monitor.keyless),
                           do="capture GET, SET, INCR, SADD and the like")
        run.skipped = monitor.left_out + monitor.keyless
        run.assumptions += _monitor_sentences(monitor, reads, unknown)
    return run


def imported_text(run: str, imported: Mapping[str, Any]) -> str:
    """What an imported run holds, for people; `imported` as `run.json` has it."""
    if imported["kind"] == "cloudwatch":
        return production_text(run, imported)
    ops = ", ".join(f"{op} {count:,}" for op, count in imported["ops"].items())
    classes = list(imported["classes"].items())
    named = [f"  {name or '(no prefix)':<24} {count:>14,}" for name, count in classes[:12]]
    more = [f"  … and {len(classes) - 12} more (--json lists all)"] if len(classes) > 12 else []
    return "\n".join([
        f"{run}: {imported['accesses']:,} accesses to {imported['keys']:,} keys in "
        f"{imported['seconds']:,.1f} s, from {imported['file']}",
        f"  ops: {ops}", "", "Accesses by class of keys", *named, *more,
        *(f"assumed: {text}" for text in imported["assumptions"]), "",
        "It holds key accesses alone, no load: `amply-capacity predict hit-rate` uses them."])


def _lives(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Whether an access says a value that would be stored, which has a TTL or none."""
    op = columns["op"].cast(pa.string())
    return pc.or_(pc.is_in(op, pa.array(["set", "setex"])),
                  pc.and_(pc.equal(op, "get"), pc.is_valid(columns["value_bytes"])))


def _ttl_sentence(unsaid: int, valued: int, by_class: Counter[str]) -> str:
    names = ", ".join(f"{name}:*" if name else "keys without a prefix"
                      for name, _ in by_class.most_common(_MOST_NAMED))
    more = f" and {len(by_class) - _MOST_NAMED} more classes" if len(by_class) > _MOST_NAMED else ""
    whose = "no value's TTL is known" if unsaid == valued else (
        f"the TTL of {unsaid:,} of {valued:,} values is not known")
    return (f"{whose} ({names}{more}): a prediction takes the usual TTL of the class, else a long one, so "
            "that a volatile policy may evict it; write none in ttl_s for what never expires")


def _monitor_sentences(monitor: MonitorFile, reads: int, unknown: int) -> list[str]:
    said = []
    if reads:
        said.append(
            f"MONITOR shows no replies: {reads - unknown:,} of {reads:,} reads got size and TTL of their "
            "key's last write, else of the next; the others missed, or no write of their key was seen")
    if monitor.conditional:
        said.append(f"writes with NX or XX are taken to have been done: {monitor.conditional:,}")
    if len(monitor.databases) > 1:
        each = ", ".join(f"{count:,} in {number}" for number, count in monitor.databases.most_common())
        said.append(f"commands of all databases were taken, since they share the memory: {each}")
    if monitor.left_out:
        said.append(_left_out(monitor.left_out, ", having no op in a run"))
    if monitor.keyless:
        said.append(_left_out(monitor.keyless, ", touching no key"))
    if monitor.is_cut_off:
        said.append("the last line is not whole, and was left out")
    return said


def _left_out(commands: Counter[str], why: str = "") -> str:
    """`12,345 commands of 4 other kinds were left out: HSET 10,000, …`; `why` comes before the colon."""
    names = ", ".join(f"{name} {count:,}" for name, count in commands.most_common(_MOST_NAMED))
    more = ", …" if len(commands) > _MOST_NAMED else ""
    kinds = f"{len(commands)} other kinds" if len(commands) > 1 else "another kind"
    what = f"{commands.total():,} commands of {kinds} were" if commands.total() > 1 else "1 other command was"
    return f"{what} left out{why}: {names}{more}"
