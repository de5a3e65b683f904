"""Redis' hash table: a power of two buckets, and the smaller array that goes bucket by bucket."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.dictionary import lingering_share, occupied_buckets, table_bytes, tables_bytes


@pytest.mark.parametrize(("keys", "table"), [
    (0, 0), (1, 32), (4, 32), (5, 64), (1_000, 8_192), (1_024, 8_192), (1_025, 16_384),
    (1_000_000, 8_388_608)])
def test_a_hash_table_is_8_bytes_times_the_next_power_of_two(keys: int, table: int) -> None:
    assert table_bytes(keys) == table
    assert tables_bytes(np.array([float(keys)])) == table


@given(st.integers(min_value=4, max_value=10**9))
def test_a_hash_table_has_a_bucket_for_every_key_and_less_than_two(keys: int) -> None:
    assert 8 * keys <= table_bytes(keys) < 16 * keys


def test_the_smaller_table_of_a_set_goes_bucket_by_bucket() -> None:
    shares = [lingering_share(members) for members in range(4, 10)]
    assert shares == pytest.approx([0.0, 1.0, 1 - 4 / 256, 1 - 88 / 256, 24 / 256, 1.0])


@pytest.mark.parametrize("buckets", [64, 1024, 4096])
def test_the_smaller_table_is_there_when_the_larger_one_comes_and_gone_before_the_next(buckets: int) -> None:
    shares = [lingering_share(members) for members in range(buckets + 1, 2 * buckets + 1)]
    assert shares[0] == pytest.approx(1.0)
    assert shares[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(shares))


@given(st.integers(1, 5_000), st.sampled_from([4, 64, 4096]))
def test_no_more_buckets_are_occupied_than_there_are_or_than_entries(entries: int, buckets: int) -> None:
    assert 0.0 < occupied_buckets(entries, buckets) <= min(entries, buckets) + 1e-9
