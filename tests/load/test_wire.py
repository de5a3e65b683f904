from __future__ import annotations

import io
from array import array
from pickle import PickleBuffer
from typing import Any

import pytest

from amply_capacity.load.wire import RawBatch, Sync, packed, received, unpacked, write

_TIMES = array("q", range(30_000))
_BATCH = RawBatch(labels=[(), (("sessions", "validate", "GET", "hit", "service"),)],
                  seconds=[(7, PickleBuffer(_TIMES)), (8, PickleBuffer(_TIMES[:5]))], offered=[(7, 3)])


def _written(*messages: Any) -> bytes:
    pipe = io.BytesIO()
    for message in messages:
        for piece in packed(message):
            write(pipe, piece)
    return pipe.getvalue()


def _read(pipe: io.BytesIO) -> Any:
    parts = received(pipe)
    assert parts is not None
    return unpacked(parts)


def test_messages_arrive_as_they_were_one_after_the_other() -> None:
    pipe = io.BytesIO(_written(Sync(1), _BATCH, Sync(2)))
    assert _read(pipe) == Sync(1)
    arrived = _read(pipe)
    assert arrived == RawBatch(labels=_BATCH.labels, offered=_BATCH.offered, seconds=[
        (7, _TIMES.tobytes()), (8, _TIMES[:5].tobytes())])
    assert _read(pipe) == Sync(2)
    assert received(pipe) is None


def test_times_are_written_in_small_pieces_that_are_no_copies() -> None:
    pieces = packed(_BATCH)
    assert max(map(len, pieces)) == 1 << 16
    assert sum(piece.obj is _TIMES for piece in pieces) == 4  # of 240,000 bytes


@pytest.mark.parametrize("written_bytes", [0, 7, 8, 31, 32, 100, 200_000, -1])
def test_a_pipe_that_ends_in_the_middle_of_a_message_has_ended(written_bytes: int) -> None:
    assert received(io.BytesIO(_written(_BATCH)[:written_bytes])) is None
