"""Prefixes found from names alone: the application's, other people's, and what is no prefix."""

from __future__ import annotations

import base64
from random import Random
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amply_capacity.target.prefixes import MOST_PREFIXES, OTHERS, find_prefixes, printable


def _hex(random: Random, digits: int) -> str:
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _base64(random: Random) -> str:
    return base64.urlsafe_b64encode(random.randbytes(18)).decode()


IDENTIFIERS = {"hexadecimal": lambda random: _hex(random, 22), "UUID": _uuid, "base64": _base64,
               "number": lambda random: str(random.randrange(10**9)),
               "tagged": lambda random: f"ses_{_hex(random, 16)}"}
PREFIXES = ("session:", "user_sessions:", "rate:api:", "cache:org:stats:", "celery-task-meta-", "page/about/",
            "org.acme.Service.", "Rails::Cache:")


@pytest.mark.parametrize("identifier", IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_the_prefixes_of_an_application_are_found_whatever_its_identifiers(identifier) -> None:
    random = Random(1)
    names = [prefix + identifier(random) for number, prefix in enumerate(PREFIXES[:4])
             for _ in range(3000 // (number + 1))]
    names += [f"celery-task-meta-{_uuid(random)}" for _ in range(200)]
    found = find_prefixes(names)
    assert found.known == set(PREFIXES[:5])
    assert [found.of(f"{prefix}never-seen") for prefix in PREFIXES[:5]] == list(PREFIXES[:5])


def test_our_own_task_ids_are_identifiers_although_all_begin_alike() -> None:
    random = Random(2)
    found = find_prefixes(f"celery-task-meta-616d706c-{_uuid(random)[9:]}" for _ in range(500))
    assert found.known == {"celery-task-meta-"}


@pytest.mark.parametrize(("names", "known"), [
    ([f"user{number}" for number in range(500)], {"user"}),
    ([f"user:{number:07x}z:{what}" for number in range(999) for what in ("cart", "profile")], {"user:"}),
    ([f"tenant:{name}:{number}" for name in ("acme", "globex") for number in range(300)],
     {"tenant:acme:", "tenant:globex:"}),
    ([f"app:{what}_{number}" for what in ("user_profile", "cart") for number in range(300)],
     {"app:user_profile_", "app:cart_"}),
    ([f"log:2026:{number}" for number in range(300)], {"log:"}),
    ([f"a:{number}" for number in range(5)] + [f"b:{number}" for number in range(4)], {"a:", "b:"}),
    ([_base64(Random(seed)) for seed in range(5000)], set()),
    ([_hex(Random(seed), 32) for seed in range(5000)], set()),
    ([], set()), (["alone:1"], set()),
], ids=["digits", "fields of a user", "few tenants", "words below a prefix", "years", "a handful", "base64",
        "hexadecimal", "no names", "one name"])
def test_a_token_is_part_of_the_prefix_where_few_differ_and_an_identifier_where_many_do(
        names: list[str], known: set[str]) -> None:
    assert find_prefixes(names).known == known


def test_thousands_of_prefixes_are_joined_but_for_those_that_are_common() -> None:
    random = Random(3)
    names = [f"p{_hex(random, 5)}q:{number}" for _ in range(3000) for number in range(30)]
    names += [f"session:{number}" for number in range(9000)]
    found = find_prefixes(names)
    assert found.known == {"session:"}
    assert found.of(names[0]) == OTHERS


@given(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=5, unique=True),
       st.sampled_from(sorted(IDENTIFIERS)), st.integers(60, 300), st.integers(0, 10**9))
def test_planted_prefixes_come_back(planted: list[str], kind: str, each: int, seed: int) -> None:
    random = Random(seed)
    assume(kind != "tagged" or all(prefix.endswith(":") for prefix in planted))  # else it is a part
    names = [prefix + IDENTIFIERS[kind](random) for prefix in planted for _ in range(each)]
    found = find_prefixes(names)
    assert {found.of(name) for name in names} == set(planted)


_NAMES = st.lists(st.text(st.sampled_from(":/|.-_ab1é\n\udcff{}"), max_size=12), max_size=80)


@given(_NAMES, st.randoms(use_true_random=False))
def test_any_names_have_one_prefix_each_whatever_their_order(names: list[str], random: Random) -> None:
    found = find_prefixes(names)
    assert len(found.known) <= MOST_PREFIXES
    for name in names:
        prefix = found.of(name)
        assert prefix == OTHERS or (name.startswith(prefix) and prefix in found.known)
    random.shuffle(names)
    assert find_prefixes(names).known == found.known


@given(st.binary(max_size=40))
def test_a_printed_name_is_one_line_of_printable_text(name: bytes) -> None:
    shown = printable(name.decode("utf-8", "surrogateescape"))
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_bytes_that_are_no_text_are_printed_as_such() -> None:
    assert printable(b"k\xff\x00\n:".decode("utf-8", "surrogateescape")) == "k\\xff\\x00\\n:"
    assert printable("größe:") == "größe:"
