"""What jemalloc really gives for a request: Redis counts `used_memory` in these, not in what it asked for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALLOCATORS", "BUNDLED", "DEBIAN", "Allocator"]

_CLASSES_A_DOUBLING_BITS = 2


@dataclass(frozen=True, slots=True)
class Allocator:
    """A build of jemalloc, told apart by the spacing of its smallest classes.

    Source: jemalloc's size_classes; Redis builds its own with `--with-lg-quantum=3` (deps/Makefile).
    """

    name: str
    quantum_bytes: int

    def size(self, wanted_bytes: int) -> int:
        """The size class that holds so many bytes: what `malloc_usable_size` says of such an allocation."""
        if wanted_bytes <= 8:
            return 8
        if wanted_bytes <= 4 * 16:
            return -(-wanted_bytes // self.quantum_bytes) * self.quantum_bytes
        spacing = 1 << ((wanted_bytes - 1).bit_length() - 1 - _CLASSES_A_DOUBLING_BITS)
        return -(-wanted_bytes // spacing) * spacing


BUNDLED = Allocator("bundled", 8)
"""As Redis and Valkey bring it; the most likely one on ElastiCache, which does not say."""
DEBIAN = Allocator("debian", 16)
"""Debian's and Ubuntu's own jemalloc, which their redis-server packages use."""
ALLOCATORS = {one.name: one for one in (BUNDLED, DEBIAN)}
