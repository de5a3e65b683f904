"""`amply-capacity predict hit-rate`: hits and evictions at memories that were not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

if TYPE_CHECKING:
    from amply_capacity.model.hit_rate import Question

__all__ = ["hit_rate"]

_MOST_SAMPLES, _MOST_SCALE = 64, 1000.0


def hit_rate(
    run: Annotated[str, typer.Argument(help="A run's directory or name: recorded, or imported.")],
    maxmemory: Annotated[str, typer.Option(
        help="Memories, comma-separated, e.g. 8mb,16mb,20971520; or node types, e.g. cache.t3.micro.")],
    samples: Annotated[int | None, typer.Option(
        help="maxmemory-samples; the run's own without, else 5.")] = None,
    policy: Annotated[str | None, typer.Option(
        help="maxmemory-policy; the run's own without, else volatile-lru.")] = None,
    connections: Annotated[int | None, typer.Option(
        help="Client connections, which take memory too.")] = None,
    allocator: Annotated[str, typer.Option(
        help="auto: the run's own, else bundled; bundled: jemalloc as Redis brings it; debian.")] = "auto",
    scale: Annotated[float, typer.Option(help="Times the users of the run.")] = 1.0,
    json_: Json = False,
) -> None:
    """Predict hit rate and evictions of a run's traffic at other memories, from an emulation of Redis.

    Example: amply-capacity predict hit-rate RUN --maxmemory 8mb,16mb,cache.t3.micro --scale 10
    """
    from amply_capacity.model.eviction import MOST_PLAYS
    from amply_capacity.model.hit_rate import answer
    from amply_capacity.progress import progress
    from amply_capacity.run.reader import read_run

    question = _question(maxmemory, samples, policy, connections, allocator, scale)
    recorded = read_run(run)
    with progress("emulating", MOST_PLAYS * len(question.memories_bytes)) as advance:
        found = answer(recorded, question, advance)
    print_answer(json_, found.as_json(), _text(found.as_json()))


def _question(maxmemory: str, samples: int | None, policy: str | None, connections: int | None,
              allocator: str, scale: float) -> Question:
    """Raises BadInput with all faults at once."""
    from amply_capacity.model.allocator import ALLOCATORS
    from amply_capacity.model.evictor import POLICIES
    from amply_capacity.model.hit_rate import Question

    faults: list[str] = []
    memories = [_memory(part.strip(), faults) for part in maxmemory.split(",")]
    if samples is not None and not 1 <= samples <= _MOST_SAMPLES:
        faults.append(f"--samples {samples} is not from 1 to {_MOST_SAMPLES}")
    if policy is not None and policy not in POLICIES:
        faults.append(f"--policy {policy!r} is none of {', '.join(POLICIES)}")
    if connections is not None and connections < 0:
        faults.append(f"--connections {connections} is less than 0")
    if allocator not in {"auto", *ALLOCATORS}:
        faults.append(f"--allocator {allocator!r} is none of auto, {', '.join(ALLOCATORS)}")
    if not 1.0 <= scale <= _MOST_SCALE:
        faults.append(f"--scale {scale:g} is not from 1 to {_MOST_SCALE:g}")
    if faults:
        raise BadInput("this cannot be predicted", got="; ".join(faults), do="correct these options")
    return Question([one for one in memories if one], policy, samples, connections,
                    None if allocator == "auto" else allocator, scale)


def _memory(text: str, faults: list[str]) -> int:
    """Bytes of a size, or what a node type leaves for keys after its reserve; 0 where there is a fault."""
    from amply_capacity.catalog.nodes import node_type
    from amply_capacity.errors import UnknownName
    from amply_capacity.target.cluster import parse_bytes

    try:
        return node_type(text).usable_bytes() if text.startswith("cache.") else parse_bytes(text)
    except (BadInput, UnknownName, ValueError) as error:
        faults.append(f"--maxmemory {text!r}: {str(error).rstrip('.')}")
        return 0


def _text(found: dict[str, Any]) -> str:
    lines = [f"{'maxmemory':>14}  {'hit rate':>9} {'90 % interval':>17}  {'INFO hit rate':>13}  "
             f"{'evictions/min':>13}  {'refused writes':>14}"]
    for one in found["predictions"]:
        info = one["info_hit_rate"]
        rate = _percent(one["hit_rate"])
        interval = f"{_percent(one['low'])}–{_percent(one['high'])}" if one["low"] is not None else "–"
        lines.append(f"{one['maxmemory_bytes']:>14,}  {rate:>9} {interval:>17}  "
                     f"{_percent(info['mid'] if info else None):>13}  "
                     f"{one['evictions_per_minute']['mid']:>13,.0f}  {one['refused_writes']['mid']:>14,.0f}")
    lines.append(f"{found['policy']}, {found['samples']} samples, {found['accesses']:,} accesses in "
                 f"{found['seconds']:,.0f} s of {found['sampling_rate']:.1%} of the keys"
                 + (f", {found['scale']:g} times the users" if found["scale"] != 1.0 else "")
                 + f"; sizes of {found['allocator']} jemalloc")
    lines += [f"assumed: {words}" for words in found["assumptions"]]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100.0 * share:.2f} %"
