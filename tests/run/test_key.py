from __future__ import annotations

from hashlib import blake2b
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.load.tally import access_rows
from amply_capacity.load.wire import Batch
from amply_capacity.run.key import class_of_prefix, key_class, key_hashes, key_prefix


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_the_upper_half_of_a_hash_is_the_crc_that_decides_the_sample(keys: list[bytes]) -> None:
    hashes = key_hashes(keys)
    assert hashes.dtype == "uint64"
    assert [int(one) >> 32 for one in hashes] == [crc32(key) for key in keys]
    assert [int(one) & 0xFFFFFFFF for one in hashes] == [
        int.from_bytes(blake2b(key, digest_size=4).digest(), "big") for key in keys]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_a_recorded_and_an_imported_key_have_one_hash_and_one_class(keys: list[str]) -> None:
    batch = Batch(labels=[], accesses=[(1.0, "get", key, 1, None, 1 << 32) for key in keys],
                     errors=[], offered=[])
    recorded = access_rows(batch)
    raw = [key.encode() for key in keys]
    assert recorded["key_hash"].to_pylist() == key_hashes(raw).tolist()
    assert recorded["key_class"].to_pylist() == [key_class(key) for key in raw]


@pytest.mark.parametrize(("key", "name"), [
    (b"session:ses_1", "session"), (b"user_sessions:usr_1", "user_sessions"), (b"rate:api:key_1", "rate"),
    (b"celery-task-meta-0f-1", "celery-task-meta"), (b"celery-task-meta-0f-1:sub", "celery-task-meta"),
    (b"{shop}:cart", "{shop}"), ("größe:1".encode(), "größe"), (b"v2:x", "v2"),
])
def test_a_class_is_what_stands_before_the_first_colon_or_a_tasks_id(key: bytes, name: str) -> None:
    assert key_class(key) == name == class_of_prefix(key_prefix(key))


@pytest.mark.parametrize("key", [
    b"", b"plain", b":", b"someone@example.com:cart", b"12345:name", b"user123456:name", b"a" * 31 + b":x",
    b"0f3ab2c4-5d6e-4f70-8192-a3b4c5d6e7f8:x", b"a b:x", b"\xff\x00:x", b"line\nfeed:x",
])
def test_what_may_identify_somebody_is_no_class(key: bytes) -> None:
    assert key_class(key) == ""
