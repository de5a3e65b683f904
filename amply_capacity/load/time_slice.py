"""How long at a stretch a process asks to run where others want its core too."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

__all__ = ["ask_for_long_slices"]

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # by number: neither Python nor older C libraries name it
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr (sched_setattr(2)): size, policy, flags, nice, priority, slice in ns, and two more."""
_SLICE_NS = 100_000_000


def ask_for_long_slices() -> None:
    """Ask for 100 ms, the most there is, instead of some 3, for the calling thread and those it starts.

    For processes of a closed loop that share a core: each time another gets it, what the caches hold is the
    other's. Linux hears of it from 6.12 on; whoever asks for less, as a server does that asks for nothing,
    still comes first when it wakes. Elsewhere nothing happens.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _SLICE_NS, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, attributes, 0)
