"""One process of the application: it picks who does what next, and remembers which sessions it changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from time import time
from types import MappingProxyType

from . import cache, celery_results, rate_limit, sessions
from .clients import client_info, ip_binding
from .identifiers import uuid8_text
from .moments import utc_text
from .operation import MISS, Operation
from .population import Population

__all__ = ["OPERATIONS", "Application", "UseCaseOperation"]

_RECENT_TASKS = 512
_REMEMBERED = 100_000  # ids of each kind: some 20 MB at most


@dataclass(frozen=True, slots=True)
class UseCaseOperation:
    """Where an operation belongs, and the method of `Application` that makes one."""

    use_case: str
    method: str


OPERATIONS: Mapping[str, UseCaseOperation] = MappingProxyType(
    {
        "validate": UseCaseOperation("sessions", "validate"),
        "touch": UseCaseOperation("sessions", "touch"),
        "create": UseCaseOperation("sessions", "create"),
        "log_out": UseCaseOperation("sessions", "log_out"),
        "list_active": UseCaseOperation("sessions", "list_active"),
        "log_out_everywhere": UseCaseOperation("sessions", "log_out_everywhere"),
        "check": UseCaseOperation("rate_limit", "check_rate_limit"),
        "cached_read": UseCaseOperation("cache", "cached_read"),
        "store_result": UseCaseOperation("celery_results", "store_result"),
        "get_result": UseCaseOperation("celery_results", "get_result"),
        "forget_result": UseCaseOperation("celery_results", "forget_result"),
    }
)
"""Every operation by the name under which it is mixed and recorded."""


class Application:
    """The operations of one worker's share of a population; each method returns one, ready to be played.

    Operations of the same application may be played interleaved (one driver, many connections). An operation
    has chosen its user when its first step is taken and enters what it changed when it ends: one that fails
    half-way changes nothing here, and a session that is not found in Redis (evicted, expired, lost to a race)
    is struck off. The book holds only users who changed since the pre-fill; all others follow from the
    population.

    A user without live sessions presents the last one known (a stale cookie). `compute_seconds` is the time
    that a missed cached read computes, `limit` the requests a window that an API key may make; the form of
    commands over several keys is the population's (`multi_key`). Same population, `seed`, `clock` (Unix
    seconds) and replies: same commands.
    """

    def __init__(
        self,
        population: Population,
        clock: Callable[[], float] = time,
        seed: int = 0,
        compute_seconds: float = 0.0,
        limit: int = rate_limit.LIMIT,
    ) -> None:
        self._population = population
        self._clock = clock
        self._compute_seconds = compute_seconds
        self._limit = limit
        self._multi_key = population.shape.multi_key
        self._random = Random(f"{population.shape.seed}:{seed}:{population.worker_index}")
        # The popular are asked for again and again: what hashing gives is kept for as many as fit.
        self._first_sessions = lru_cache(_REMEMBERED)(population.session_ids)
        self._api_key = lru_cache(_REMEMBERED)(population.api_key)
        self._organisation_id = lru_cache(_REMEMBERED)(population.organisation_id)
        self._live: dict[int, list[str]] = {}
        self._last_known: dict[int, str] = {}
        self._recent_tasks: deque[str] = deque(maxlen=_RECENT_TASKS)

    def live_sessions(self, user: int) -> tuple[str, ...]:
        """The session ids of the user that should be in Redis, as far as this application knows."""
        return tuple(self._sessions_of(user))

    def changed_users(self) -> tuple[int, ...]:
        """The users whose sessions are no longer those of the pre-fill."""
        return tuple(self._live)

    def recent_tasks(self) -> tuple[str, ...]:
        """The Celery tasks stored last and not forgotten, oldest first (at most 512)."""
        return tuple(self._recent_tasks)

    def validate(self) -> Operation:
        """A request with a session cookie."""
        user = self._population.draw_user()
        session_id = self._presented(user)
        outcome = yield from sessions.validate(session_id)
        if outcome is MISS:
            self._strike(user, session_id)
        return outcome

    def touch(self) -> Operation:
        """The note of a user's last activity."""
        user = self._population.draw_user()
        session_id = self._presented(user)
        outcome = yield from sessions.touch(session_id, utc_text(self._clock()))
        if outcome is MISS:
            self._strike(user, session_id)
        return outcome

    def create(self) -> Operation:
        """A login."""
        population, random = self._population, self._random
        user = population.draw_user()
        session_id = population.session_id_of(user, f"{random.getrandbits(88):022x}")
        data = sessions.payload(
            population.user_id(user), population.security_stamp(user), client_info(random),
            ip_binding(random), self._clock(),
        )
        outcome = yield from sessions.create(session_id, population.index_id(user), data)
        self._book(user).append(session_id)
        return outcome

    def log_out(self) -> Operation:
        """The end of one session."""
        user = self._population.draw_user()
        session_id = self._presented(user)
        outcome = yield from sessions.log_out(session_id, self._population.index_id(user))
        self._strike(user, session_id)
        return outcome

    def list_active(self) -> Operation:
        """The page that shows a user where they are logged in."""
        user = self._population.draw_user()
        return sessions.list_active(self._population.index_id(user))

    def log_out_everywhere(self) -> Operation:
        """The end of all sessions of a user: here, those known at its start (a login may come meanwhile)."""
        user = self._population.draw_user()
        ended = tuple(self._sessions_of(user))
        index_id = self._population.index_id(user)
        outcome = yield from sessions.log_out_everywhere(index_id, self._multi_key)
        for session_id in ended:
            self._strike(user, session_id)
        return outcome

    def check_rate_limit(self) -> Operation:
        """An API request."""
        return rate_limit.check(self._api_key(self._population.draw_api_key()), self._limit)

    def cached_read(self) -> Operation:
        """A look at an organisation's statistics."""
        return cache.cached_read(
            self._organisation_id(self._population.draw_organisation()),
            cache.organisation_statistics,
            self._compute_seconds,
        )

    def store_result(self) -> Operation:
        """The end of a Celery task."""
        task_id = uuid8_text(self._random.getrandbits(88))
        value = celery_results.return_value(self._random)
        outcome = yield from celery_results.store_result(task_id, value, self._clock())
        self._recent_tasks.append(task_id)
        return outcome

    def get_result(self) -> Operation:
        """A look at a recent task's result; before any was stored, at that of a task still running."""
        return celery_results.get(self._recent_task())

    def forget_result(self) -> Operation:
        """The end of a recent task's result."""
        task_id = self._recent_task()
        outcome = yield from celery_results.forget(task_id)
        if task_id in self._recent_tasks:
            self._recent_tasks.remove(task_id)
        return outcome

    def _recent_task(self) -> str:
        recent = self._recent_tasks
        if recent:
            return recent[int(self._random.random() * len(recent))]
        return uuid8_text(self._random.getrandbits(88))

    def _presented(self, user: int) -> str:
        live = self._sessions_of(user)
        if live:
            return live[int(self._random.random() * len(live))]
        return self._last_known.get(user) or self._population.session_id(user, 0)

    def _sessions_of(self, user: int) -> Sequence[str]:
        live = self._live.get(user)
        return self._first_sessions(user) if live is None else live

    def _book(self, user: int) -> list[str]:
        live = self._live.get(user)
        if live is None:
            live = self._live[user] = list(self._first_sessions(user))
        return live

    def _strike(self, user: int, session_id: str) -> None:
        live = self._book(user)
        if session_id in live:
            live.remove(session_id)
            if not live:
                self._last_known[user] = session_id
