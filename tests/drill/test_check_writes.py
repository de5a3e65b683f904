"""Writes looked for on a real server that takes its time to answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from histories import asked, wrote

from amply_capacity.drill.journal_file import Journal
from amply_capacity.drill.writes import check_writes
from amply_capacity.target.deny_list import DenyList
from amply_capacity.target.endpoint import parse_endpoint
from amply_capacity.target.primaries import open_primaries

_WINDOW_SECONDS, _PAUSE_SECONDS = 2.5, 3.0
_COUNTER, _RESULT = "rate:a", "celery-task-meta-a"


def test_what_ends_by_itself_while_the_look_lasts_is_neither_reset_nor_lost(
        plain_redis: Callable[..., int]) -> None:
    endpoint = parse_endpoint(f"redis://127.0.0.1:{plain_redis()}/0")
    with open_primaries(endpoint, DenyList()) as primaries:
        client = primaries[0].client
        began_s = time.time()
        for key in (_COUNTER, _RESULT):
            client.set(key, "5", px=round(1000.0 * _WINDOW_SECONDS))
        journal = Journal((), (
            asked(_COUNTER, 1, began_s - 0.002),
            wrote("EXPIRE", _COUNTER, None, began_s, ttl_s=_WINDOW_SECONDS),
            wrote("SETEX", _RESULT, 5, began_s, ttl_s=_WINDOW_SECONDS)))
        client.client_pause(round(1000.0 * _PAUSE_SECONDS))
        found = check_writes(primaries, journal, (), {}, began_s + 0.1)
    assert time.time() - began_s >= _PAUSE_SECONDS - 0.1, "the look was not held up"
    assert (found.limits.followed, found.limits.reset) == (0, 0)
    assert found.lost == 0
