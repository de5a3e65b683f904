from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.traffic.identifiers import hash_hex, mix32, mix32_array, uuid4_text


@given(st.integers(0, 2**32 - 1))
def test_scrambling_is_undone_by_its_inverse_so_no_two_numbers_share_an_output(number: int) -> None:
    scrambled = mix32(number)
    value = scrambled ^ scrambled >> 16
    value = value * pow(0xC2B2AE35, -1, 2**32) % 2**32
    value ^= value >> 13 ^ value >> 26
    value = value * pow(0x85EBCA6B, -1, 2**32) % 2**32
    assert value ^ value >> 16 == number


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_the_array_form_scrambles_alike(numbers: list[int]) -> None:
    assert mix32_array(np.array(numbers, dtype=np.uint32)).tolist() == [mix32(number) for number in numbers]


@given(st.integers(0, 2**128 - 1))
def test_a_uuid_is_of_version_4(bits: int) -> None:
    parsed = UUID(uuid4_text(bits))
    assert str(parsed) == uuid4_text(bits)
    assert (parsed.version, parsed.variant) == (4, "specified in RFC 4122")


def test_a_hash_has_the_digits_asked_for_and_hangs_on_all_of_the_text() -> None:
    assert len(hash_hex("1:session:2:3", 24)) == 24
    assert hash_hex("1:session:2:3", 24) != hash_hex("1:session:2:4", 24)
