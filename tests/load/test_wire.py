from __future__ import annotations

import io
from typing import Any

import pytest

from amply_capacity.load.wire import Batch, Sync, packed, received, unpacked

_BATCH = Batch(labels=[(), (("sessions", "validate", "GET", "hit", "service"),)],
               counts=[(7, bytes(30_000)), (8, b"1234")], offered=[(7, 3)])


def _read(pipe: io.BytesIO) -> Any:
    body = received(pipe)
    assert body is not None
    return unpacked(body)


def test_messages_arrive_as_they_were_one_after_the_other() -> None:
    pipe = io.BytesIO(b"".join(map(packed, [Sync(1), _BATCH, Sync(2)])))
    assert [_read(pipe) for _ in range(3)] == [Sync(1), _BATCH, Sync(2)]
    assert received(pipe) is None


@pytest.mark.parametrize("written_bytes", [0, 7, 8, 31, 20_000, -1])
def test_a_pipe_that_ends_in_the_middle_of_a_message_has_ended(written_bytes: int) -> None:
    assert received(io.BytesIO(packed(_BATCH)[:written_bytes])) is None
