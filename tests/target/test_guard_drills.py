"""Which servers may be broken on purpose: clusters of ours, and those whose mark says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from amply_capacity.errors import Refused
from amply_capacity.target import guard
from amply_capacity.target.cluster import Cluster


def _check(url: str) -> None:
    target = guard.resolve(url)
    with guard.open_target(target) as primaries:
        guard.check_drills(target, primaries)


def test_a_mark_allows_drills_only_where_it_says_so(plain_redis: Callable[..., int]) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}"
    with pytest.raises(Refused, match="not marked as a test target"):
        _check(url)
    guard.mark(url, "me", date.today(), today=date.today())
    with pytest.raises(Refused, match=r"not marked for drills.*--allow-drills.*may be lost"):
        _check(url)
    marked = guard.mark(url, "me", date.today(), today=date.today(), allow_drills=True)
    assert marked["allow_drills"] is True
    _check(url)


def test_a_cluster_of_ours_needs_no_mark(redis_cluster: Cluster) -> None:
    _check(redis_cluster.name)
