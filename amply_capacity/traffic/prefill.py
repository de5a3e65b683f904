"""The keyspace before the measured phase, as it stands at one moment of a steady operation.

A TTL of 7 days does not fill up in a test of minutes, so every class of keys is written at once, each key
with the TTL that it has left at that moment. Deterministic: the same population, time, counts and seed give
the same commands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from random import Random

from . import cache, celery_results, rate_limit, sessions
from .clients import client_info, ip_binding
from .identifiers import uuid8_text
from .operation import Command
from .population import Population

__all__ = ["PrefillClass", "prefill_plan"]

_SHORTEST_TTL_SECONDS = 60
_MOST_RESULTS = 100_000_000


@dataclass(frozen=True, slots=True)
class PrefillClass:
    """One class of keys: sessions, user_sessions, counters, cached or results."""

    name: str
    count: int
    """Keys that it leaves."""
    commands_per_key: int
    commands: Callable[[], Iterator[Command]]
    """A new iterator over its commands, `count` × `commands_per_key` of them."""


def prefill_plan(
    population: Population,
    share: float,
    now_s: float,
    *,
    counters: int,
    results: int,
    cached: int | None = None,
    seed: int = 0,
) -> tuple[PrefillClass, ...]:
    """The classes to write, for all workers' users: one process writes all of it.

    `share` (above 0, at most 1) is the part of the users that is filled, the most popular ones first; the
    sessions of the others are as good as expired. `counters` rate-limit windows are open (those of the most
    popular API keys), `cached` organisations' statistics present (also the most popular; `share` of them
    unless given), `results` Celery results not yet expired, all at the moment `now_s` of Unix time. Raises
    ValueError, all faults at once.
    """
    shape = population.shape
    if cached is None:
        cached = ceil(shape.organisations * share) if 0.0 < share <= 1.0 else 0
    faults = [] if 0.0 < share <= 1.0 else [f"share lies above 0 and is at most 1, got {share}"]
    faults += [
        f"{name} must be from 0 to {most}, got {count}"
        for name, count, most in (
            ("counters", counters, shape.api_keys),
            ("cached", cached, shape.organisations),
            ("results", results, _MOST_RESULTS),
        )
        if not 0 <= count <= most
    ]
    if faults:
        raise ValueError("; ".join(faults))
    users = ceil(shape.users * share)
    live, stale = population.session_counts(users), population.stale_counts(users)

    def random(name: str) -> Random:
        return Random(f"{shape.seed}:{seed}:prefill:{name}")

    def part(
        name: str, count: int, commands: Callable[[], Iterator[Command]], per_key: int = 1
    ) -> PrefillClass:
        return PrefillClass(name, count, per_key, commands)

    return (
        part("sessions", int(live.sum()), lambda: _sessions(population, users, now_s, random("sessions"))),
        part("user_sessions", int((live + stale > 0).sum()), lambda: _indexes(population, users)),
        part("counters", counters, lambda: _counters(population, counters, random("counters")), 2),
        part("cached", cached, lambda: _cached(population, cached, random("cached"))),
        part("results", results, lambda: _results(results, now_s, random("results"))),
    )


def _sessions(population: Population, users: int, now_s: float, random: Random) -> Iterator[Command]:
    """SETEX with the TTL that is left; the age is uniform over 7 days, less the last minute."""
    for user in range(users):
        user_id, stamp = population.user_id(user), population.security_stamp(user)
        for session_id in population.session_ids(user):
            age_seconds = random.random() * (sessions.SESSION_TTL_SECONDS - _SHORTEST_TTL_SECONDS)
            data = sessions.payload(
                user_id,
                stamp,
                client_info(random),
                ip_binding(random),
                now_s - age_seconds,
                now_s - age_seconds * random.random(),
            )
            ttl_seconds = sessions.SESSION_TTL_SECONDS - int(age_seconds)
            yield ("SETEX", sessions.SESSION_PREFIX + session_id, ttl_seconds, data)


def _indexes(population: Population, users: int) -> Iterator[Command]:
    """One SADD a user, of live sessions and of those that expired unnoticed."""
    for user in range(users):
        members = population.session_ids(user) + population.stale_session_ids(user)
        if members:
            yield ("SADD", sessions.USER_SESSIONS_PREFIX + population.index_id(user), *members)


def _counters(population: Population, count: int, random: Random) -> Iterator[Command]:
    """INCR and EXPIRE as the application's, with what is left of each window: they do not end together."""
    for api_key in range(count):
        key = rate_limit.counter_key(population.api_key(api_key))
        yield ("INCR", key)
        yield ("EXPIRE", key, random.randint(1, rate_limit.WINDOW_SECONDS))


def _cached(population: Population, count: int, random: Random) -> Iterator[Command]:
    for organisation in range(count):
        org_id = population.organisation_id(organisation)
        data = json.dumps(cache.organisation_statistics(org_id))
        yield ("SETEX", cache.cache_key(org_id), random.randint(1, cache.CACHE_TTL_SECONDS), data)


def _results(count: int, now_s: float, random: Random) -> Iterator[Command]:
    for _ in range(count):
        task_id = uuid8_text(random.getrandbits(88))
        ttl_seconds = random.randint(_SHORTEST_TTL_SECONDS, celery_results.RESULT_EXPIRES_SECONDS)
        done_s = now_s - (celery_results.RESULT_EXPIRES_SECONDS - ttl_seconds)
        data = celery_results.meta(task_id, celery_results.return_value(random), done_s)
        yield ("SETEX", celery_results.TASK_KEY_PREFIX + task_id, ttl_seconds, data)
