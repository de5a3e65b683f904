"""Whom the application serves: users and their sessions, organisations, API keys, and how popular each is.

Everything follows from the shape and its seed: which ids there are, which sessions the pre-fill gave a user,
which entries of a user's index are stale. Any process knows it without asking another, and without a table of
it.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, replace
from math import ceil, exp, floor

import numpy as np
from numpy.typing import NDArray

from .identifiers import hash_hex, mix28, mix32, mix32_array
from .popularity import Zipf
from .sessions import MULTI_KEY_FORMS, MultiKey

__all__ = ["Population", "PopulationShape"]

_MASK = 0xFFFFFFFF
_MASK_28 = 0xFFFFFFF
_TWO_32 = float(1 << 32)
_MOST_MEMBERS = 50_000_000  # 400 MB of distribution function
_MOST_SESSIONS_PER_USER = 100.0
_KINDS = ("user", "organisation", "api_key", "sessions", "stale")


@dataclass(frozen=True, slots=True)
class PopulationShape:
    """Sizes and popularity laws of a population; every fault of the numbers in one ValueError.

    The Zipf exponents are assumptions between the uniform and the strongly skewed clusters of Yang, Yue and
    Rashmi (OSDI 2020), whose median is 1.1: people are asked for more evenly than cached objects.
    """

    users: int
    organisations: int
    api_keys: int
    sessions_per_user: float = 1.5
    """Live sessions in the pre-fill, mean. From 1 on, each user has one and a Poisson number more; below 1,
    that share of the users has one and the rest none."""
    user_zipf: float = 0.7
    organisation_zipf: float = 0.9
    api_key_zipf: float = 0.6
    seed: int = 1
    stale_share: float = 0.05
    """Share of the pre-filled index entries whose session has expired."""
    multi_key: MultiKey = "spec"
    """The form of what the specification does to several keys at once (`sessions.MultiKey`)."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} must be at least 1 and at most {_MOST_MEMBERS}, got {value}"
            for name, value in (("users", self.users), ("organisations", self.organisations),
                                ("api_keys", self.api_keys))
            if not 1 <= value <= _MOST_MEMBERS
        ]
        faults += [
            f"{name} must be at least 0 and at most {most:g}, got {value}"
            for name, value, most in (
                ("sessions_per_user", self.sessions_per_user, _MOST_SESSIONS_PER_USER),
                ("user_zipf", self.user_zipf, 5.0),
                ("organisation_zipf", self.organisation_zipf, 5.0),
                ("api_key_zipf", self.api_key_zipf, 5.0),
                ("stale_share", self.stale_share, 0.9),
            )
            if not 0.0 <= value <= most
        ]
        if self.seed < 0:
            faults.append(f"seed must be at least 0, got {self.seed}")
        if self.multi_key not in MULTI_KEY_FORMS:
            faults.append(f"multi_key must be one of {', '.join(MULTI_KEY_FORMS)}, got {self.multi_key!r}")
        if faults:
            raise ValueError("; ".join(faults))

    def scaled(self, share: float) -> PopulationShape:
        """The same population with `share` (above 0, at most 1) of its users, organisations and API keys."""
        if not 0.0 < share <= 1.0:
            raise ValueError(f"a share lies above 0 and is at most 1, got {share}")
        return replace(
            self,
            users=ceil(self.users * share),
            organisations=ceil(self.organisations * share),
            api_keys=ceil(self.api_keys * share),
        )


class Population:
    """A population as worker `worker_index` of `worker_count` sees it.

    Users are striped: a worker draws only those whose index leaves the remainder `worker_index`, so no two
    processes race on one user's sessions. Organisations and API keys are drawn from all of them by every
    worker. Every id bears the mark of `identifiers`, `~`. The ids, counts and members of any index are the
    same in every worker. An index is also a popularity rank: 0 is asked for most.
    """

    __slots__ = (
        "_has_hash_tags",
        "_more_sessions",
        "_offsets",
        "_session_salt",
        "_stale_mean",
        "draw_api_key",
        "draw_organisation",
        "draw_user",
        "shape",
        "worker_count",
        "worker_index",
    )

    def __init__(self, shape: PopulationShape, worker_index: int = 0, worker_count: int = 1) -> None:
        if not 0 <= worker_index < worker_count:
            raise ValueError(f"a worker's index lies from 0 to below {worker_count}, got {worker_index}")
        if shape.users < worker_count:
            raise ValueError(f"{worker_count} workers need as many users, got {shape.users}")
        self.shape, self.worker_index, self.worker_count = shape, worker_index, worker_count
        self._offsets = {kind: int(hash_hex(f"{shape.seed}:{kind}", 8), 16) for kind in _KINDS}
        self._has_hash_tags = shape.multi_key == "hash-tag"
        self._session_salt = f"{shape.seed}:session:"
        self._more_sessions = _poisson_steps(max(shape.sessions_per_user - 1.0, 0.0))
        self._stale_mean = shape.sessions_per_user * shape.stale_share / (1.0 - shape.stale_share)
        seed, worker = shape.seed, worker_index
        # Bound methods of the laws themselves: a draw costs one call.
        self.draw_user = Zipf(
            shape.users, shape.user_zipf, (seed, 1, worker), start=worker_index, step=worker_count
        ).draw
        self.draw_organisation = Zipf(shape.organisations, shape.organisation_zipf, (seed, 2, worker)).draw
        self.draw_api_key = Zipf(shape.api_keys, shape.api_key_zipf, (seed, 3, worker)).draw

    def user_id(self, user: int) -> str:
        """The id of the user with that index: `usr_`, the mark, 7 hexadecimal digits; no two share one."""
        return f"usr_~{mix28(user + self._offsets['user'] & _MASK_28):07x}"

    def index_id(self, user: int) -> str:
        """The id under which the user's index of sessions stands: the user's, as a hash tag if it is one."""
        return f"{{{self.user_id(user)}}}" if self._has_hash_tags else self.user_id(user)

    def organisation_id(self, organisation: int) -> str:
        """The id of the organisation with that index, formed as a user's; no two share one."""
        return f"org_~{mix28(organisation + self._offsets['organisation'] & _MASK_28):07x}"

    def api_key(self, api_key: int) -> str:
        """The API key with that index: `key_`, the mark twice, 22 hexadecimal digits."""
        return "key_~~" + hash_hex(f"{self.shape.seed}:api_key:{api_key}", 22)

    def session_id(self, user: int, ordinal: int) -> str:
        """The id of a user's pre-filled session 0, 1, … (below session_count)."""
        digits = hash_hex(f"{self._session_salt}{user}:{ordinal}", 22)
        # Written out here too: this is the hottest path of all, and a call would show.
        return self.session_id_of(user, digits) if self._has_hash_tags else "ses_~~" + digits

    def session_id_of(self, user: int, digits: str) -> str:
        """The user's session id of 22 hexadecimal digits: `ses_`, the mark twice, the digits (28 characters).

        With hash tags it is `ses_{usr_…}~~…`, 14 characters longer.
        """
        if self._has_hash_tags:
            return f"ses_{self.index_id(user)}~~{digits}"
        return "ses_~~" + digits

    def stale_session_id(self, user: int, ordinal: int) -> str:
        """The id of a session that has expired and still stands in its user's index."""
        return self.session_id(user, -1 - ordinal)

    def security_stamp(self, user: int) -> str:
        """What every session of the user repeats, 32 hexadecimal digits."""
        return hash_hex(f"{self.shape.seed}:stamp:{user}", 32)

    def session_count(self, user: int) -> int:
        """How many live sessions the pre-fill gives the user."""
        uniform = mix32(user + self._offsets["sessions"] & _MASK) / _TWO_32
        if self.shape.sessions_per_user < 1.0:
            return int(uniform < self.shape.sessions_per_user)
        return 1 + bisect(self._more_sessions, uniform)

    def session_counts(self, users: int) -> NDArray[np.int64]:
        """`session_count` of the first `users` users."""
        uniform = self._uniforms("sessions", users)
        if self.shape.sessions_per_user < 1.0:
            return (uniform < self.shape.sessions_per_user).astype(np.int64)
        return 1 + np.searchsorted(self._more_sessions, uniform, side="right").astype(np.int64)

    def stale_count(self, user: int) -> int:
        """How many stale entries the pre-fill plants in the user's index."""
        return floor(self._stale_mean + mix32(user + self._offsets["stale"] & _MASK) / _TWO_32)

    def stale_counts(self, users: int) -> NDArray[np.int64]:
        """`stale_count` of the first `users` users."""
        return np.floor(self._stale_mean + self._uniforms("stale", users)).astype(np.int64)

    def session_ids(self, user: int) -> list[str]:
        """The ids of the user's pre-filled live sessions."""
        return [self.session_id(user, ordinal) for ordinal in range(self.session_count(user))]

    def stale_session_ids(self, user: int) -> list[str]:
        """The ids of the user's pre-filled stale index entries."""
        return [self.stale_session_id(user, ordinal) for ordinal in range(self.stale_count(user))]

    def _uniforms(self, kind: str, users: int) -> NDArray[np.float64]:
        numbers = np.arange(users, dtype=np.uint64) + np.uint64(self._offsets[kind])
        return mix32_array(numbers.astype(np.uint32)) / _TWO_32


def _poisson_steps(mean: float) -> tuple[float, ...]:
    """The distribution function of a Poisson variable at 0, 1, … until 32 bits of chance cannot pass it."""
    steps, probability, total, count = [], exp(-mean), 0.0, 0
    while total + probability < 1.0 - 1.0 / _TWO_32 and count < 1_000:
        total += probability
        steps.append(total)
        count += 1
        probability *= mean / count
    return tuple(steps)
