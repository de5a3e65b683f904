"""What the operating system knows of servers: their processes, their directories, their ports."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = [
    "BUS_OFFSET",
    "began_ticks",
    "die_with",
    "end_all",
    "exists",
    "free_port",
    "is_free",
    "reap",
    "spawn",
    "terminable",
    "working_below",
    "works_in",
]

_END_SECONDS = 10.0
_REAP_SECONDS = 2.0
_PORT_LOOKS = 200
BUS_OFFSET = 10_000
"""A cluster-enabled Redis also listens at its port plus this (redis.conf, cluster-port)."""


def spawn(command: list[str], directory: Path, *, stays: bool, stdin: int = subprocess.DEVNULL,
          stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a server in its directory and a session of its own; unless it `stays`, it ends when we do."""
    return subprocess.Popen(
        command, cwd=directory, start_new_session=True,
        preexec_fn=None if stays else functools.partial(die_with, os.getpid()),
        # Redis writes its configuration anew with the mode 0644 less the mask, and passwords stand in it.
        umask=0o077,
        stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL,
    )


def end_all(pids: Iterable[int], directory: Path, program: Path) -> None:
    """End the servers that work in the directory or below it, by force: they have nothing to save.

    `pids` are those on record; a server whose starter was killed before it wrote the pid down is known by
    its `program`. A process that works elsewhere is not touched, nor is another program, e.g. a shell.
    """
    recorded = [pid for pid in pids if pid]
    deadline = time.monotonic() + _END_SECONDS
    while True:
        alive = {pid for pid in recorded if works_in(pid, directory)} | set(working_below(directory, program))
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in recorded:
            _reap(pid, waits=pid in alive)
        # One more look after a kill: a server may have forked meanwhile, to send its data to a replica.
        if not alive or time.monotonic() > deadline:
            return
        time.sleep(0.005)


def exists(pid: int) -> bool:
    """Whether there is such a process, of whichever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def began_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot: with its pid, what no other process ever has.

    None where there is no such process, or the system does not say (proc(5), `/proc/pid/stat`, field 22).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])  # the name before the ")" may hold blanks


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process works in that directory or below: our server, and not one that has its old pid."""
    if not exists(pid):
        return False
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return not Path("/proc").is_dir()  # no /proc on this system: the pid has to do
    return Path(place.removesuffix(" (deleted)")).is_relative_to(directory.resolve())


def working_below(directory: Path, program: Path | None = None) -> list[int]:
    """Processes in the directory or below it, of that program or of any; none where there is no `/proc`."""
    try:
        entries = os.listdir("/proc")
    except OSError:
        return []
    wanted, executable = str(directory.resolve()), str(program.resolve()) if program else None
    found = []
    for entry in entries:
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
                place = os.readlink(f"/proc/{entry}/cwd").removesuffix(" (deleted)")
                if (place == wanted or place.startswith(f"{wanted}/")) and (executable is None or os.readlink(
                        f"/proc/{entry}/exe").removesuffix(" (deleted)") == executable):
                    found.append(int(entry))
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(*, with_bus: bool = False) -> int:
    """A loopback port that is free now; `with_bus`, one whose cluster bus port is free as well."""
    for _ in range(_PORT_LOOKS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if not with_bus or (port + BUS_OFFSET < 65536 and is_free(port + BUS_OFFSET)):
            return port
    raise OSError("no free pair of ports")


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within: a SIGTERM, or the SIGHUP of a terminal that is closed, ends the program as an exception does,
    so that what is half made is unmade.

    Does nothing in a thread, nor for a signal that is ignored, by the wish of whoever started us (`nohup`).
    """
    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


def die_with(parent: int) -> None:  # pragma: no cover - runs in the child between fork and exec
    """For a child, before its program begins: it ends with that process, or thread, that is starting it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before we asked: no signal will come
            os._exit(1)


def reap(pid: int) -> None:
    """Wait for the end of a server of ours that was killed a moment ago, so that nothing of it is left."""
    _reap(pid, waits=True)


def _reap(pid: int, *, waits: bool) -> None:
    """Collect the ended server's exit status, so that the process table forgets it; only our own child's."""
    deadline = time.monotonic() + (_REAP_SECONDS if waits else 0.0)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
