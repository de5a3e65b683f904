"""How much of a live server a profile looks at, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

from amply_capacity.catalog.faults import refuse
from amply_capacity.errors import BadInput

__all__ = ["COMMANDS_PER_SECOND", "MOST_NAMES", "Extent"]

COMMANDS_PER_SECOND = 5000.0
"""About a twentieth of a core of the server: a command takes 1 to 10 µs there."""
MOST_NAMES = 1_000_000

_USUAL_SHARE, _FEWEST_KEYS, _MOST_KEYS = 0.02, 10_000, 50_000


@dataclass(frozen=True, slots=True)
class Extent:
    """What is asked for; without `sample` and `keys` 2 % of the keys, but from 10,000 to 50,000 of them."""

    sample: float | None = None
    """Share of the keys that are looked at in detail."""
    keys: int | None = None
    """About how many of them are at most; whatever is wanted, 100 of each prefix are."""
    names: int = MOST_NAMES
    """How many names are read at most."""
    commands_per_second: float = COMMANDS_PER_SECOND
    seed: int = 0
    """Another one chooses other keys."""

    def check(self) -> None:
        """Raise BadInput with all faults at once."""
        faults = []
        if self.sample is not None and not 0.0 < self.sample <= 1.0:
            faults.append(BadInput("no share of the keys", got=f"--sample {self.sample:g}",
                                   do="give a --sample above 0 and up to 1"))
        faults += [BadInput(f"no number of {name}", got=f"--{name} {number}", do=f"give --{name} 1 or more")
                   for name, number in (("keys", self.keys), ("names", self.names))
                   if number is not None and number < 1]
        if not 1.0 <= self.commands_per_second <= 1e6:
            faults.append(BadInput(
                "no usable rate", got=f"--commands-per-second {self.commands_per_second:g}",
                do="give --commands-per-second from 1 to 1,000,000"))
        refuse(faults)

    def share_of_names(self, keys: int) -> float:
        """The share of the names read whose keys are looked at, in a database of so many keys."""
        wanted = (_USUAL_SHARE if self.sample is None else self.sample) * keys
        if self.keys is not None:
            wanted = self.keys if self.sample is None else min(wanted, self.keys)
        elif self.sample is None:
            wanted = min(max(wanted, _FEWEST_KEYS), _MOST_KEYS)
        return min(wanted / min(keys, self.names), 1.0)
