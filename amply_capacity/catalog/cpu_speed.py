"""How fast the cores of each node family are, as published, and what engines gain on larger nodes.

`cpu_speed.csv` holds a figure as it was published: relative to another family. "Up to 28 % more requests" is
an upper end, so the gain is taken as 0 to 28 % with 90 % confidence, and its middle as half of it in
logarithms; "about 20 %" is a middle. Where nothing is published the row says `guess`. The reference is r6g
(Graviton2), whose own row says how it compares with the recording host: a guess.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from amply_capacity.catalog.files import CATALOG_DIR, CpuSpeedRow, EngineGainRow, read_table
from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["FamilySpeed", "PublishedGain", "family_speeds", "published_gains", "read_family_speeds",
           "version_numbers"]

_HOST = "host"
_BASES = {"published", "same processor", "guess"}


@dataclass(frozen=True, slots=True)
class FamilySpeed:
    """One published figure, or a guess that says so."""

    family: str
    relative_to: str | None
    """Another family; None for the reference, whose ratio is to the recording host."""
    processor: str
    cpu_ratio: Interval
    """CPU time of a command on this family over that on `relative_to`: less is faster."""
    basis: str
    """`published`, `same processor`, or `guess`."""
    rests_on: str
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class PublishedGain:
    """What a vendor says that an engine version gains on a node type. For reading: no model multiplies it."""

    what: str
    throughput_up_to_percent: float | None
    """None where no figure is published."""
    p99_down_by_up_to_percent: float | None
    against: str | None
    """What it was compared with."""
    conditions: str
    source: str
    as_of: str


def family_speeds() -> Mapping[str, FamilySpeed]:
    """Every family's figure, the one that it is relative to always before it; the reference comes first."""
    return _shipped()


def read_family_speeds(path: Path) -> Mapping[str, FamilySpeed]:
    """As `family_speeds`, from that file. Raises BadInput with all faults at once."""
    speeds: dict[str, FamilySpeed] = {}
    faults = []
    for line, row in enumerate(read_table(CpuSpeedRow, path), 2):
        try:
            ratio = Interval(float(row.low), float(row.mid), float(row.high))
            if ratio.low <= 0.0 or row.basis not in _BASES or row.family in speeds:
                raise ValueError("the ratio is not positive, the basis unknown, or the family there twice")
            if (row.relative_to == _HOST) != (not speeds):
                raise ValueError(f"the first row, and no other, is relative to {_HOST}")
            if row.relative_to != _HOST and row.relative_to not in speeds:
                raise ValueError(f"{row.relative_to!r} does not stand above it")
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        speeds[row.family] = FamilySpeed(
            row.family, None if row.relative_to == _HOST else row.relative_to, row.processor, ratio,
            row.basis, row.rests_on, row.source, row.as_of)
    if faults or not speeds:
        raise BadInput("the speeds of the node families cannot be read",
                       got=f"{path}: " + ("; ".join(faults) or "no rows"), do="restore data/catalog")
    return MappingProxyType(speeds)


def published_gains(node: NodeType | str, engine: str, version: str) -> tuple[PublishedGain, ...]:
    """The published gains of that engine (`redis` or `valkey`) and version on that node type.

    Example: `published_gains("cache.r7g.4xlarge", "redis", "7.1")` names enhanced I/O, its multiplexing, and
    the parsing by I/O threads. Raises UnknownName for no node type, BadInput for no version.
    """
    on = node_type(node) if isinstance(node, str) else node
    have = version_numbers(version)
    found = []
    for row in read_table(EngineGainRow, CATALOG_DIR / "engine_gains.csv"):
        least = row.redis_min_version if engine == "redis" else row.valkey_min_version
        vcpu = row.graviton_min_vcpu if on.is_graviton else row.x86_min_vcpu
        if not least or have < version_numbers(least) or not getattr(on, row.needs):
            continue
        if vcpu and (on.vcpu is None or on.vcpu < int(vcpu)):
            continue
        found.append(PublishedGain(
            row.what, _percent(row.throughput_up_to_percent), _percent(row.p99_down_by_up_to_percent),
            row.against or None, row.conditions, row.source, row.as_of))
    return tuple(found)


def version_numbers(version: str) -> tuple[int, ...]:
    """`7.0.15` as (7, 0, 15). Raises BadInput for what is no version."""
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        raise BadInput("this is no engine version", got=repr(version),
                       do="give it as 7.0 or 7.0.15") from None


@functools.cache
def _shipped() -> Mapping[str, FamilySpeed]:
    return read_family_speeds(CATALOG_DIR / "cpu_speed.csv")


def _percent(text: str) -> float | None:
    return float(text) if text else None
