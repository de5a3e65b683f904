"""Names as SCAN brings them: how many there are of each prefix, and the keys of some of them."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from amply_capacity.target.prefixes import Prefixes, find_prefixes
from amply_capacity.target.sampled_key import KeyReader, SampledKey

__all__ = ["NameSample"]

_LEARNED_NAMES = 200_000
_FEWEST_OF_A_PREFIX = 100


@dataclass(slots=True)
class NameSample:
    """Counts names, and reads the keys of a share of them while they come.

    The first 200,000 names are kept to find the prefixes from; what comes later is counted by them.
    """

    reader: KeyReader
    share: float
    seed: int
    scanned: int = 0
    """Names that came."""
    counts: Counter[str] = field(default_factory=Counter)
    """Names by prefix; whole after `complete`."""
    _learned: list[str] = field(default_factory=list)
    _prefixes: Prefixes | None = None
    _asked: set[str] = field(default_factory=set)
    """Names whose keys were looked at, there or gone."""
    _read: dict[str, SampledKey] = field(default_factory=dict)

    def add(self, names: Sequence[str]) -> None:
        """Count the names, and read the keys of those whose place lies below the share."""
        self.scanned += len(names)
        self._look_at([name for name in names if self._place(name) < self.share])
        if self._prefixes is not None:
            self.counts.update(map(self._prefixes.of, names))
            return
        self._learned += names
        if len(self._learned) >= _LEARNED_NAMES:
            self._find_prefixes()

    def complete(self) -> None:
        """After the last name: read keys of the prefixes of which few have been read."""
        prefixes = self._prefixes or self._find_prefixes()
        read = Counter(map(prefixes.of, self._read))
        lacking = {prefix: least - read[prefix] for prefix, number in self.counts.items()
                   if read[prefix] < (least := min(_FEWEST_OF_A_PREFIX, number))}
        waiting: defaultdict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(self._learned) if lacking else ():
            if (prefix := prefixes.of(name)) in lacking and name not in self._asked:
                waiting[prefix].append(name)
        self._look_at([name for prefix, names in waiting.items()
                       for name in heapq.nsmallest(lacking[prefix], names, key=self._place)])

    def sampled(self) -> Iterator[tuple[str, SampledKey]]:
        """Each key that was read, with its prefix."""
        prefixes = self._prefixes or self._find_prefixes()
        return ((prefixes.of(name), key) for name, key in self._read.items())

    def _find_prefixes(self) -> Prefixes:
        self._prefixes = find_prefixes(self._learned)
        self.counts.update(map(self._prefixes.of, self._learned))
        return self._prefixes

    def _look_at(self, names: Sequence[str]) -> None:
        # SCAN may bring a name twice while the server's table grows.
        new = [name for name in dict.fromkeys(names) if name not in self._asked]
        self._asked.update(new)
        self._read.update((key.name, key) for key in self.reader.read(new))

    def _place(self, name: str) -> float:
        """From 0 to 1, the name's own: below any bound lies that share of every prefix's names."""
        digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8,
                         salt=self.seed.to_bytes(16, "little"))
        return int.from_bytes(digest.digest(), "little") / 2.0**64
