"""The allocator of a live server, from its statistics and from what its keys take."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from amply_capacity.model.allocator import ALLOCATORS, DEBIAN
from amply_capacity.model.layout import Layout
from amply_capacity.target.allocator import QUANTA, allocator_of, allocator_of_keys
from amply_capacity.target.cluster import Cluster
from amply_capacity.target.pace import Pace
from amply_capacity.target.sampled_key import KeyReader, SampledKey


def test_the_names_are_those_of_the_memory_model() -> None:
    assert {name: one.quantum_bytes for name, one in ALLOCATORS.items()} == dict(QUANTA)


def test_statistics_and_keys_of_a_real_server_agree(redis_cluster: Cluster, redis_client: Any) -> None:
    build = redis_cluster.allocator
    for number in range(60):
        redis_client.set("k" * (number + 1), "v" * (5 * number))
        redis_client.set(f"counter:{'x' * number}", number + 10_000)
    said = allocator_of(redis_client, build)
    keys = list(KeyReader(redis_client, redis_cluster.endpoint, Pace(1e6)).read(redis_client.keys()))
    assert allocator_of_keys(keys, build, is_cluster=False) == said
    assert (said is None) == (not build.startswith("jemalloc"))


@pytest.mark.parametrize("name", QUANTA)
@pytest.mark.parametrize("is_cluster", [False, True])
def test_keys_tell_either_build(name: str, is_cluster: bool) -> None:
    layout = Layout(ALLOCATORS[name])
    entry = 40 if is_cluster else 24

    def key(length: int, size: int) -> SampledKey:
        return SampledKey("k" * length, "string", "embstr" if size <= 44 else "raw", None,
                          entry + layout.text(length) + layout.string(size), size)

    random = Random(1)
    keys = [key(random.randrange(1, 60), random.randrange(2000)) for _ in range(50)]
    assert allocator_of_keys(keys, "jemalloc-5.2.1", is_cluster=is_cluster) == name
    assert allocator_of_keys(keys, "libc", is_cluster=is_cluster) is None
    # A name of 28 and a value of 600 take the same in both.
    assert allocator_of_keys([key(28, 600)], "jemalloc-5.2.1", is_cluster=is_cluster) is None
    assert DEBIAN.size(30) == ALLOCATORS["bundled"].size(30) == 32
