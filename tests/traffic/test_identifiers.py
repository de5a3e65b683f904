from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.traffic.identifiers import (
    TASK_ID_START,
    hash_hex,
    mix28,
    mix32,
    mix32_array,
    uuid8_text,
)


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


@given(st.integers(0, 2**28 - 1))
def test_scrambling_to_28_bits_is_undone_too(number: int) -> None:
    scrambled = mix28(number)
    assert 0 <= scrambled < 2**28
    value = scrambled ^ scrambled >> 14
    value = value * pow(0xC2B2AE35, -1, 2**28) % 2**28
    value ^= value >> 11 ^ value >> 22
    value = value * pow(0x85EBCA6B, -1, 2**28) % 2**28
    assert value ^ value >> 14 == number


@given(st.integers(0, 2**88 - 1))
def test_a_task_id_is_a_uuid_of_version_8_and_of_the_length_of_celerys(bits: int) -> None:
    text = uuid8_text(bits)
    parsed = UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (8, "specified in RFC 4122")
    assert text.startswith(f"{TASK_ID_START}-")
    assert len(text) == len(str(uuid4()))


@given(st.integers(0, 2**88 - 1), st.integers(0, 87))
def test_task_ids_of_different_bits_differ(bits: int, flipped: int) -> None:
    assert uuid8_text(bits) != uuid8_text(bits ^ 1 << flipped)


def test_a_hash_has_the_digits_asked_for_and_hangs_on_all_of_the_text() -> None:
    assert len(hash_hex("1:session:2:3", 24)) == 24
    assert hash_hex("1:session:2:3", 24) != hash_hex("1:session:2:4", 24)
