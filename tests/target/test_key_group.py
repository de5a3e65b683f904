"""Groups of keys: the TTL they were given, rows that the allocator treats alike, TTLs that were lost."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.interval import Interval
from amply_capacity.model.allocator import BUNDLED, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.run.keyspace import read_keyspace, write_keyspace
from amply_capacity.target.finding import lost_ttls
from amply_capacity.target.key_group import KeyGroup, groups_of, shapes_of, usual_ttl_s
from amply_capacity.target.sampled_key import SampledKey


@pytest.mark.parametrize("given_s", [60, 300, 3600, 86_400 * 7])
@pytest.mark.parametrize("keys", [20, 200, 2000])
def test_the_ttl_that_keys_were_given_is_told_from_what_is_left_of_it(given_s: int, keys: int) -> None:
    told = [usual_ttl_s([int(random.random() * given_s * 1000) for _ in range(keys)])
            for random in map(Random, range(100))]
    assert told.count(float(given_s)) >= 97


def test_a_ttl_that_is_not_usual_stays_what_was_seen() -> None:
    assert usual_ttl_s([step * 11_111 for step in range(1, 61)]) == 667.0
    assert usual_ttl_s([]) is None
    assert usual_ttl_s([59_999]) == 60.0


def _key(name: str, size: int, ttl_ms: int | None = None) -> SampledKey:
    return SampledKey(name, "string", "raw", ttl_ms, 24 + len(name) + 3 + size, size, value_bytes=size)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3000)), min_size=1, max_size=200))
def test_rows_cost_what_their_keys_cost_together(sizes: list[tuple[int, int]]) -> None:
    keys = [_key("x" * name, value) for name, value in sizes]
    groups = groups_of({"x": Interval.exact(len(keys))}, (("x", key) for key in keys), quantum_bytes=8,
                       is_cluster=False)
    rows = list(shapes_of(groups))
    assert sum(row.count for row in rows) == pytest.approx(len(keys))
    for layout in (Layout(BUNDLED), Layout(DEBIAN)):
        billed = sum(row.count * (layout.key(round(row.key_bytes), False)
                                  + layout.string(int(row.value_bytes))) for row in rows)
        real = sum(layout.key(name, False) + layout.string(value) for name, value in sizes)
        assert billed == pytest.approx(real)


_TTLS = st.none() | st.integers(0, 10**9)
_KEYS = st.one_of(
    st.builds(SampledKey, st.text(max_size=9), st.just("int"), st.just("int"), _TTLS,
              st.integers(50, 99), st.integers(1, 9)),
    st.builds(SampledKey, st.text(max_size=9), st.just("set"), st.just("intset"), st.none(),
              st.integers(50, 99), st.integers(1, 300), st.none(), st.sampled_from([2.0, 4.0, 8.0])),
    st.builds(SampledKey, st.text(max_size=9), st.sampled_from(["list", "stream", "set", "zset", "hash"]),
              st.sampled_from(["hashtable", "listpack"]), _TTLS,
              st.integers(50, 9999), st.integers(0, 3000), st.floats(0, 500), st.floats(0, 500)))
_PREFIXES = st.sampled_from(["a:", "b,\"\n:", "\udcff", "(others)", "größe:"])


@given(keys=st.lists(st.tuples(_PREFIXES, _KEYS), min_size=1, max_size=50), whole=st.booleans())
def test_rows_come_back_from_their_file(tmp_path_factory: pytest.TempPathFactory,
                                        keys: list[tuple[str, SampledKey]], whole: bool) -> None:
    counts = {prefix: Interval.exact(60.0) if whole else Interval(40.0, 60.0, 90.0) for prefix, _ in keys}
    rows = list(shapes_of(groups_of(counts, keys, quantum_bytes=16, is_cluster=False)))
    path = Path(tmp_path_factory.mktemp("rows")) / "keyspace.csv"
    write_keyspace(path, rows)
    back = read_keyspace(path)
    assert [(row.prefix, row.type, row.count) for row in back] == [
        (row.prefix, row.type, pytest.approx(row.count)) for row in rows]
    assert sum(row.count for row in rows) == pytest.approx(60.0 * len(counts))


def _groups(volatile: int, lasting: int, prefix: str = "rate:api:") -> list[KeyGroup]:
    keys = [_key(f"rate:api:{number}", 8, 60_000 if number < volatile else None)
            for number in range(volatile + lasting)]
    return groups_of({prefix: Interval.exact(10.0 * len(keys))}, ((prefix, key) for key in keys),
                     quantum_bytes=8, is_cluster=False)


def test_few_keys_without_a_ttl_among_many_with_one_have_lost_theirs() -> None:
    finding, = lost_ttls(_groups(95, 5))
    told = finding.as_json()
    assert (told["kind"], told["prefix"], told["count"]) == ("lost-ttl", "rate:api:", 50)
    assert told["count_low"] < 50 < told["count_high"]
    assert told["bytes"] == pytest.approx(50 * (24 + 11 + 3 + 8), abs=25)
    assert told["bytes_low"] <= told["bytes"] <= told["bytes_high"]
    assert told["examples"] == ["rate:api:…"]
    assert finding.as_json(shows_names=True)["examples"] == ["rate:api:95", "rate:api:96", "rate:api:97"]


def test_keys_that_mostly_have_none_or_all_have_one_have_lost_nothing() -> None:
    assert lost_ttls(_groups(80, 20)) == []
    assert lost_ttls(_groups(100, 0)) == []
    assert lost_ttls(_groups(0, 100)) == []
    assert lost_ttls(_groups(95, 5, "(others)")) == []
