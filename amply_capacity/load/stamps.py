"""When the bytes of a reply reached this machine, as its kernel saw it, not when we came to read them.

A generator that plays hundreds of clients reads a reply late when it is busy with others, or was not given
the CPU. Taken by the kernel, the moment of arrival is free of that (socket(7), SO_TIMESTAMPNS).
"""

from __future__ import annotations

import sys
from socket import SOL_SOCKET
from struct import Struct
from time import perf_counter, time
from typing import Any

__all__ = ["StampedSocket", "stamped"]

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the same number names the stamp among what a read brings
_ROOM_BYTES = 64
_STAMP = Struct("@ll")  # a timespec: seconds and nanoseconds of Unix time
_OLDEST_SECONDS = 60.0
_SAME_MOMENT_SECONDS, _MOST_LOOKS = 20e-6, 3
_LOOK_SECONDS = 10e-3
"""How long a comparison of the two clocks is good for: what they drift apart meanwhile is far below 1 µs."""


class StampedSocket:
    """A bare non-blocking socket that notes when what it gave last had arrived."""

    __slots__ = ("_raw", "_stamp", "send")

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._stamp = b""
        self.send = raw.send

    def recv_into(self, buffer: bytearray) -> int:
        """As a socket's."""
        count: int
        count, ancillary, _, _ = self._raw.recvmsg_into((buffer,), _ROOM_BYTES)
        if ancillary:
            self._stamp = ancillary[0][2]
        return count

    def recv(self, most: int) -> bytes:
        """As a socket's."""
        data: bytes
        data, ancillary, _, _ = self._raw.recvmsg(most, _ROOM_BYTES)
        if ancillary:
            self._stamp = ancillary[0][2]
        return data

    def forget(self) -> None:
        """What it gave last was taken from it without its stamp."""
        self._stamp = b""

    def arrived(self) -> float:
        """When that was, on `time.perf_counter`; now, where the kernel did not say or its clock was set."""
        stamp = self._stamp
        if len(stamp) != _STAMP.size:
            return perf_counter()
        seconds, nanoseconds = _STAMP.unpack(stamp)
        unix = seconds + nanoseconds * 1e-9
        moment = unix - _CLOCKS.apart
        if _CLOCKS.looked <= moment < _CLOCKS.looked + _LOOK_SECONDS:
            return float(moment)
        now = _CLOCKS.look()
        age = now - (unix - _CLOCKS.apart)
        return now - age if 0.0 <= age < _OLDEST_SECONDS else now


class _Clocks:
    """How far Unix time is from `time.perf_counter`, looked at anew every some ms: over minutes they drift
    apart, and one of them may be set."""

    __slots__ = ("apart", "looked")

    def __init__(self) -> None:
        self.apart = self.looked = 0.0

    def look(self) -> float:
        """Compare them; now, of `time.perf_counter`."""
        now, unix = perf_counter(), time()
        for _ in range(_MOST_LOOKS):
            again = perf_counter()
            if again - now <= _SAME_MOMENT_SECONDS:
                break
            now, unix = again, time()  # we were interrupted between the two
        self.apart, self.looked = unix - now, now
        return now


_CLOCKS = _Clocks()


def stamped(raw: Any) -> StampedSocket | None:
    """The socket with stamps; None where the system has none."""
    if sys.platform != "linux":
        return None
    try:
        raw.setsockopt(SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return None
    return StampedSocket(raw)
