"""Log-ins until Redis refuses the next one: sessions have a TTL, the indexes of them have none.

Developed on seeds 1 to 5 and 101 to 105, other users and, but for 16, other sizes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from amply_capacity.interval import Interval
from amply_capacity.model.bill import added
from amply_capacity.model.leak import LogIn, log_ins_until_refused
from amply_capacity.model.members import IndexShape
from amply_capacity.model.memory import Server, fixed_items
from bench.claim import Claim, Experiment
from bench.memory import layout_here
from bench.server import Wire, bare_server

__all__ = ["experiments"]

_PAIRS, _MOST_PER_SECOND = 50, 20_000.0
"""Faster, and the end would come before the table of the TTLs is made smaller, ten times a second at most."""
_PREFIXES = "session:", "user_sessions:"
_SESSION_KEY_BYTES, _INDEX_KEY_BYTES, _ID_BYTES = 36, 26, 28
_COMMANDS = 2  # SETEX and SADD: nothing else is called before the end


@dataclass(frozen=True, slots=True)
class _Case:
    maxmemory_mb: float
    users: int | None
    """Among whom log-ins are drawn; None: each is another user's."""
    value_bytes: int
    seed: int

    @property
    def limit_bytes(self) -> int:
        return round(self.maxmemory_mb * 2**20)

    @property
    def words(self) -> str:
        whose = "another user's each" if self.users is None else f"of {self.users:,} users"
        return f"{self.maxmemory_mb:g} MB, {whose}, {self.value_bytes} B"


_CASES = (_Case(16.0, None, 480, 301), _Case(16.0, 15_000, 480, 302), _Case(19.0, 6_000, 530, 303),
          _Case(13.0, 400, 440, 304), _Case(22.0, None, 650, 305))


def experiments() -> list[Experiment]:
    return [_experiment(case) for case in _CASES]


def _experiment(case: _Case) -> Experiment:
    layout = layout_here()
    fixed = added(item.bytes for item in fixed_items(layout, Server(
        busy_connections=1, tracked_commands=Interval.exact(_COMMANDS))))
    log_in = LogIn(layout.string_key(_SESSION_KEY_BYTES, True, case.value_bytes),
                   IndexShape(_INDEX_KEY_BYTES, _ID_BYTES), case.users)
    predicted = log_ins_until_refused(case.limit_bytes, fixed, layout, log_in)
    claim = Claim("log-ins until out of memory", case.words, "", predicted, 0.03)
    return Experiment([claim], lambda: [_refused_after(case)],
                      {"maxmemory": case.limit_bytes, "users": case.users, "seed": case.seed})


def _refused_after(case: _Case) -> float:
    """How many log-ins a real server took before it refused a session."""
    random, value = Random(case.seed), "x" * case.value_bytes
    with (bare_server(maxmemory=case.limit_bytes, maxmemory_policy="volatile-lru") as port,
          Wire(port) as wire):
        done, began = 0, time.perf_counter()
        while True:
            time.sleep(max(began + done / _MOST_PER_SECOND - time.perf_counter(), 0.0))
            commands = []
            for number in range(done, done + _PAIRS):
                user = number if case.users is None else random.randrange(case.users)
                session = f"ses_{random.getrandbits(96):024x}"
                commands += [("SETEX", _PREFIXES[0] + session, "604800", value),
                             ("SADD", f"{_PREFIXES[1]}usr_{user:08x}", session)]
            for number, reply in enumerate(wire.ask(commands)[::2]):
                if isinstance(reply, Exception):
                    return float(done + number)
            done += _PAIRS
