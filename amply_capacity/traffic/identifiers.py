"""Names that any process can work out from a seed and a number, so that no two need to share state."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["hash_hex", "mix32", "mix32_array", "uuid4_text"]

_MASK = 0xFFFFFFFF


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


def uuid4_text(bits: int) -> str:
    """The UUID of version 4 that `bits` (128 of them) make, as text."""
    digits = f"{bits:032x}"
    variant = "89ab"[bits >> 62 & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
