"""What the operating system knows of a server: its process, its directory, its port."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["end", "exists", "free_port", "is_free", "spawn", "works_in"]

_STOP_SECONDS = 10.0
_REAP_SECONDS = 2.0


def spawn(command: list[str], directory: Path, *, stays: bool) -> subprocess.Popen[bytes]:
    """Start a server in its directory and a session of its own; unless it `stays`, it ends when we do."""
    return subprocess.Popen(
        command, cwd=directory, start_new_session=True, preexec_fn=None if stays else _die_with_parent,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def end(pid: int, directory: Path) -> None:
    """End the server that works in the directory, by force if it does not obey; nothing if it is gone."""
    with contextlib.suppress(ProcessLookupError):
        if works_in(pid, directory):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while works_in(pid, directory) and time.monotonic() < deadline:
                time.sleep(0.02)
            if works_in(pid, directory):
                os.kill(pid, signal.SIGKILL)
    _reap(pid)


def exists(pid: int) -> bool:
    """Whether there is such a process, of whichever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process runs in that directory, which tells our server from another with a recycled pid."""
    if not exists(pid):
        return False
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) == directory.resolve()
    except OSError:
        return not Path("/proc").is_dir()  # no /proc on this system: the pid has to do


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:  # pragma: no cover - runs in the child between fork and exec
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _reap(pid: int) -> None:
    """Collect the ended server's exit status, so that the process table forgets it; only our own child's."""
    deadline = time.monotonic() + _REAP_SECONDS
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
