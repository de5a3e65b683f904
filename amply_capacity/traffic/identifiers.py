"""Names that any process can work out from a seed and a number, so that no two need to share state.

Each identifier bears a mark that no real one can bear, at the length of a real one, so that the memory which
keys take is unchanged and our keys are told from anybody's by their names alone (`ownership`). `~` is the
mark: it stands in no alphabet of which identifiers are made (hexadecimal, base 32, 58, 62, 64, base64url,
nanoid, UUID). A Celery task's id has to be a UUID, so ours is one of version 8 (RFC 9562, 5.8: custom), while
Celery makes version 4 (kombu.utils.uuid).
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MARK",
    "TASK_ID_START",
    "hash_hex",
    "mix28",
    "mix32",
    "mix32_array",
    "uuid8_text",
]

MARK = "~"
TASK_ID_START = "616d706c"
"""The first group of our task ids: `ampl` in hexadecimal."""

_MASK = 0xFFFFFFFF
_MASK_28 = 0xFFFFFFF


def mix32(number: int) -> int:
    """A 32-bit number scrambled into another, one to one: no two inputs share an output.

    MurmurHash3's finaliser (fmix32, smhasher/src/MurmurHash3.cpp). One to one matters: 100,000 users hashed
    at random into the 32 bits of a user id would share one on average.
    """
    number = ((number ^ number >> 16) * 0x85EBCA6B) & _MASK
    number = ((number ^ number >> 13) * 0xC2B2AE35) & _MASK
    return number ^ number >> 16


def mix32_array(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """`mix32` of each number, any shape."""
    mixed: NDArray[np.uint32] = (numbers ^ numbers >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ mixed >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return mixed ^ mixed >> np.uint32(16)


def hash_hex(text: str, characters: int) -> str:
    """`characters` (even, at most 128) hexadecimal digits of the BLAKE2b hash of `text`."""
    return blake2b(text.encode(), digest_size=characters // 2).hexdigest()


def mix28(number: int) -> int:
    """A 28-bit number scrambled into another, one to one, in the steps of `mix32`.

    Every step (an exclusive or with the number's own higher bits, a product with an odd number modulo 2**28)
    can be undone, so that no two users share an id.
    """
    number = ((number ^ number >> 14) * 0x85EBCA6B) & _MASK_28
    number = ((number ^ number >> 11) * 0xC2B2AE35) & _MASK_28
    return number ^ number >> 14


def uuid8_text(bits: int) -> str:
    """The UUID of version 8 with our first group and the 22 hexadecimal digits of `bits` (88 of them).

    The variant (RFC 9562, 4.1) repeats two of the bits.
    """
    digits = f"{bits:022x}"
    return f"{TASK_ID_START}-{digits[:4]}-8{digits[4:7]}-{'89ab'[bits >> 56 & 3]}{digits[7:10]}-{digits[10:]}"
