from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid1, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.traffic.application import OPERATIONS, Application
from amply_capacity.traffic.mix import CELERY_MIX, DEFAULT_MIX, MixDraw
from amply_capacity.traffic.operation import Command, play
from amply_capacity.traffic.ownership import OWN_KEYS, is_own
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan
from amply_capacity.traffic.sessions import MULTI_KEY_FORMS, MultiKey

from .conftest import NOW_S

SHAPE = PopulationShape(users=400, organisations=60, api_keys=60, seed=3)
SPEC = Path(__file__).resolve().parents[3] / "shared" / "spec" / "elasticache-redis.md"
PREFIXES = ("session:", "session:ses_", "session:ses_{", "user_sessions:", "user_sessions:usr_", "rate:api:",
            "rate:api:key_", "cache:org:stats:", "cache:org:stats:org_", "celery-task-meta-")


@pytest.mark.parametrize("form", MULTI_KEY_FORMS)
def test_every_key_of_the_prefill_is_own_and_of_its_class(form: MultiKey) -> None:
    population = Population(replace(SHAPE, multi_key=form))
    for entry in prefill_plan(population, 1.0, NOW_S, counters=60, results=200):
        keys = [str(command[1]) for command in entry.commands()]
        assert keys
        for key in keys:
            assert is_own(key)
            assert [name for name, pattern in OWN_KEYS.items() if re.fullmatch(pattern, key)] == [entry.name]


@pytest.mark.parametrize("form", MULTI_KEY_FORMS)
def test_every_key_of_the_application_is_own(form: MultiKey) -> None:
    app = Application(Population(replace(SHAPE, multi_key=form)), clock=lambda: NOW_S)
    keys: list[str] = []

    def answer(command: Command) -> Any:
        if command[0] not in {"MULTI", "EXEC"}:
            # Only the first argument of most commands is a key; all of DEL's are.
            keys.extend(map(str, command[1:] if command[0] == "DEL" else command[1:2]))
        return {"SMEMBERS": ["ses_~~0123456789abcdef012345"], "INCR": 1}.get(str(command[0]))

    for mix in (DEFAULT_MIX, CELERY_MIX):
        draw = MixDraw(mix, seed=1)
        for _ in range(3_000):
            play(getattr(app, OPERATIONS[draw.draw()].method)(), answer)
    assert len({key.split(":")[0] for key in keys}) > 4
    assert [key for key in keys if not is_own(key)] == []
    indexes = {key for key in keys if key.startswith("user_sessions:")}
    assert indexes
    assert {key.startswith("user_sessions:{") for key in indexes} == {form == "hash-tag"}


def real_identifiers() -> list[str]:
    """What applications make identifiers of."""
    made = [str(make()) for make in (uuid4, uuid1) for _ in range(500)]
    made += [uuid4().hex for _ in range(500)] + [str(uuid5(uuid4(), "x")) for _ in range(100)]
    for size in (3, 4, 8, 11, 12, 14, 16, 18, 24, 32):
        made += [secrets.token_hex(size) for _ in range(100)]
        made += [secrets.token_urlsafe(size) for _ in range(100)]
    return made


def test_no_identifier_that_is_usual_makes_a_key_ours() -> None:
    keys = [prefix + one for one in real_identifiers() for prefix in PREFIXES]
    assert [key for key in keys if is_own(key)] == []


@pytest.mark.skipif(not SPEC.exists(), reason=f"{SPEC.name} is not beside the checkout")
def test_no_word_of_the_specification_is_ours() -> None:
    words = set(re.findall(r"[\w:{}~-]+", SPEC.read_text("utf-8")))
    assert [word for word in words for prefix in ("", *PREFIXES) if is_own(prefix + word)] == []


@given(st.sampled_from(PREFIXES), st.text(st.characters(exclude_characters="~"), max_size=40))
def test_without_the_mark_nothing_but_a_custom_uuid_is_ours(prefix: str, rest: str) -> None:
    assert not is_own(prefix + rest) or rest.startswith("616d706c-")


@given(st.sampled_from(sorted(OWN_KEYS)).flatmap(lambda name: st.from_regex(OWN_KEYS[name], fullmatch=True)),
       st.text(min_size=1, max_size=3))
def test_a_key_that_goes_on_or_begins_earlier_is_not_ours(key: str, more: str) -> None:
    assert is_own(key)
    assert not is_own(key + more)
    assert not is_own(more + key)
    assert not is_own(key[:-1])


def test_keys_have_the_length_of_unmarked_ones_so_that_memory_is_the_same() -> None:
    population = Population(SHAPE)
    for made, real in (
        (population.user_id(0), "usr_01234567"), (population.organisation_id(0), "org_01234567"),
        (population.api_key(0), "key_0123456789abcdef01234567"),
        (population.session_id(0, 0), "ses_0123456789abcdef01234567"),
        (population.session_id_of(0, "f" * 22), "ses_0123456789abcdef01234567"),
    ):
        assert len(made.encode()) == len(real)
        assert json.dumps(made) == f'"{made}"'


def test_no_two_users_share_an_id_also_among_many() -> None:
    population = Population(SHAPE)
    assert len({population.user_id(user) for user in range(200_000)}) == 200_000
