"""How a key stands in `accesses.parquet`: by a hash that decides the sample, and by its class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_of_prefix", "key_class", "key_hashes", "key_prefix"]

_TASK_PREFIX = b"celery-task-meta-"
_NAME = re.compile(r"(?!.*\d{4})\{?[^\W\d][\w.{}/-]{0,29}")


def key_hashes(keys: Sequence[bytes]) -> NDArray[Any]:
    """64 bits a key, uint64: the CRC-32, which decides the sample, in the upper half; BLAKE2b below."""
    upper = np.fromiter(map(crc32, keys), dtype=np.uint64, count=len(keys))
    lower = b"".join([blake2b(key, digest_size=4).digest() for key in keys])
    return np.asarray(upper << np.uint64(32) | np.frombuffer(lower, dtype=">u4"))


def key_class(key: bytes) -> str:
    """The key up to its first colon, or before a task's id; empty where that is no name.

    A name begins with a letter, and has at most 30 characters and no four digits in a row: what identifies
    somebody (an id, an address) is no class, and is not kept.
    """
    return class_of_prefix(key_prefix(key))


def key_prefix(key: bytes) -> bytes:
    """The key up to its first colon and with it, or before a task's id; empty where it has neither."""
    end = key.find(b":") + 1
    return key[:end] if end else _TASK_PREFIX if key.startswith(_TASK_PREFIX) else b""


@lru_cache(maxsize=1024)
def class_of_prefix(prefix: bytes) -> str:
    """The class of the keys that begin so."""
    if prefix.startswith(_TASK_PREFIX):
        return _TASK_PREFIX[:-1].decode()
    name = prefix[:-1].decode(errors="replace")
    return name if _NAME.fullmatch(name) else ""
