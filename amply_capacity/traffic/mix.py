"""How often each operation occurs: the mixes of the scenarios, their text form, and drawing from them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np

from .application import OPERATIONS

__all__ = [
    "CACHE_MIX",
    "CELERY_MIX",
    "DEFAULT_MIX",
    "RATE_LIMIT_MIX",
    "SESSIONS_MIX",
    "Mix",
    "MixDraw",
    "format_mix",
    "parse_mix",
]

Mix = Mapping[str, int]
"""Operation name to its weight; the mixes below are per mille of operations."""

DEFAULT_MIX: Mix = MappingProxyType(
    {
        "validate": 400,
        "check": 300,
        "cached_read": 120,
        "touch": 100,
        "create": 30,
        "store_result": 15,
        "get_result": 15,
        "log_out": 10,
        "list_active": 8,
        "log_out_everywhere": 2,
    }
)

# The session operations in the proportions of the default mix.
SESSIONS_MIX: Mix = MappingProxyType(
    {"validate": 727, "touch": 182, "create": 55, "log_out": 18, "list_active": 14, "log_out_everywhere": 4}
)
RATE_LIMIT_MIX: Mix = MappingProxyType({"check": 1000})
CACHE_MIX: Mix = MappingProxyType({"cached_read": 1000})
CELERY_MIX: Mix = MappingProxyType({"store_result": 450, "get_result": 450, "forget_result": 100})

_BLOCK_DRAWS = 4096


def parse_mix(text: str) -> dict[str, int]:
    """The mix that `validate=400,touch=100` states: weights of operations, which need not add up to 1000.

    Raises ValueError with all faults of the text at once.
    """
    mix: dict[str, int] = {}
    faults: list[str] = []
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            faults.append(f"{part.strip()!r} is not of the form operation=weight")
            continue
        if name not in OPERATIONS:
            offered = get_close_matches(name, OPERATIONS, n=2) or OPERATIONS
            faults.append(f"there is no operation {name!r} (use {' or '.join(offered)})")
        elif name in mix:
            faults.append(f"{name} is given twice")
        if not (number.isascii() and number.isdigit()):
            faults.append(f"the weight of {name} must be a whole number from 0, got {number!r}")
            number = "1"
        mix.setdefault(name, int(number))
    if not faults and not any(mix.values()):
        faults.append("every weight is 0")
    if faults:
        raise ValueError("; ".join(faults))
    return mix


def format_mix(mix: Mix) -> str:
    """The text that `parse_mix` reads as this mix."""
    return ",".join(f"{name}={weight}" for name, weight in mix.items())


class MixDraw:
    """Draws operation names in the proportions of a mix; the same seed and worker give the same names."""

    __slots__ = ("_block", "_cumulative", "_generator", "_names")

    def __init__(self, mix: Mix, seed: int, worker_index: int = 0) -> None:
        weights = np.array([*mix.values()], dtype=np.float64)
        if not weights.size or weights.min() < 0.0 or weights.sum() <= 0.0:
            raise ValueError(f"a mix needs weights from 0 and one above, got {dict(mix)}")
        self._names = np.array([*mix], dtype=object)
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._generator = np.random.default_rng((seed, 4, worker_index))
        self._block: list[str] = []

    def draw(self) -> str:
        """The name of the next operation."""
        if not self._block:
            places = np.searchsorted(self._cumulative, self._generator.random(_BLOCK_DRAWS), side="right")
            self._block = self._names[places].tolist()
        return self._block.pop()
