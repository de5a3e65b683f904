"""Which build of jemalloc a live server uses, told by what it says of itself or of its keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from amply_capacity.target.sampled_key import SampledKey

__all__ = ["QUANTA", "allocator_of", "allocator_of_keys"]

QUANTA: Mapping[str, int] = MappingProxyType({"bundled": 8, "debian": 16})
"""The names of `model.allocator`, and how many bytes lie between the smallest classes of each."""

_QUANTUM = re.compile(r"^Quantum size:\s+(\d+)$", re.MULTILINE)
_ENTRY_BYTES, _SLOT_BYTES, _OBJECT_BYTES, _EMBEDDING_BYTES = 24, 16, 16, 20
_AGREEING_SHARE = 0.9


def allocator_of(client: Any, mem_allocator: str) -> str | None:
    """`bundled` or `debian`; None for libc's (`mem_allocator` of INFO) and where the server does not say.

    jemalloc tells the spacing of its smallest classes among its statistics: 8 bytes in the build that Redis
    and Valkey bring, 16 in Debian's own. A server may refuse to show them.
    """
    from redis import exceptions

    if not mem_allocator.startswith("jemalloc"):
        return None
    try:
        found = _QUANTUM.search(str(client.memory_malloc_stats()))
    except exceptions.ResponseError:
        return None
    return next((name for name, quantum in QUANTA.items() if found and quantum == int(found[1])), None)


def allocator_of_keys(keys: Iterable[SampledKey], mem_allocator: str, *, is_cluster: bool) -> str | None:
    """The same from what keys with string values take, where the two builds differ; None where they do not.

    A string that was changed in place may have room to spare, so that nine of ten have to agree.
    """
    if not mem_allocator.startswith("jemalloc"):
        return None
    votes: Counter[str] = Counter()
    for key in keys:
        if key.type in {"string", "int"}:
            fitting = [name for name, quantum in QUANTA.items()
                       if _usage_bytes(key, quantum, is_cluster) == key.usage_bytes]
            votes.update(fitting if len(fitting) == 1 else ())
    name, most = max(votes.items(), key=lambda vote: vote[1], default=("", 0))
    return name if most and most >= _AGREEING_SHARE * votes.total() else None


def _usage_bytes(key: SampledKey, quantum: int, is_cluster: bool) -> int:
    """What MEMORY USAGE would say (object.c, objectComputeSize)."""
    entry = _ENTRY_BYTES + (_SLOT_BYTES if is_cluster else 0)
    name = _class_bytes(_text_bytes(key.name_bytes), quantum)
    match key.encoding:
        case "int":
            return entry + name + _OBJECT_BYTES
        case "embstr":
            return entry + name + _class_bytes(_EMBEDDING_BYTES + key.length, quantum)
        case _:
            return entry + name + _OBJECT_BYTES + _class_bytes(_text_bytes(key.length), quantum)


def _text_bytes(length: int) -> int:
    """What a string of its own asks for: header, text and end (sds.h)."""
    return length + 1 + (1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9)


def _class_bytes(wanted: int, quantum: int) -> int:
    """The size class that holds so much (jemalloc): multiples of the quantum, then four a doubling."""
    spacing = quantum if wanted <= 64 else 1 << ((wanted - 1).bit_length() - 3)
    return 8 if wanted <= 8 else -(-wanted // spacing) * spacing
