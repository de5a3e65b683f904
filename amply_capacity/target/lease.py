"""One load at a time: who holds a target now, so that a second run is refused by name.

A marked server holds the lease as a key with a TTL that the run renews each second; after a kill it frees
itself. A cluster of ours is locked by a file (`flock`), which ends with its process at once and leaves
the measured keyspace alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Collection
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from amply_capacity.target.mark import LEASE_KEY

__all__ = ["DRILL_LOCK", "LEASE_MS", "LeaseTaken", "drop_lease", "keep_lease", "lease_holder", "lock",
           "lock_holder", "take_lease"]

LEASE_MS = 10_000
DRILL_LOCK = "drill.lock"
"""In a cluster's directory, the file by which a drill holds it: its servers may then be gone on purpose."""
_LOCK_ATTEMPTS = 3
_UNKNOWN = "somebody"


class LeaseTaken(Exception):
    """Another run loads this target; the text says who and since when."""


def take_lease(client: Any) -> str:
    """Take the server's lease for `LEASE_MS`; its content, which proves whose it is. Raises LeaseTaken."""
    content = json.dumps({**_who(), "token": secrets.token_hex(8)})
    if not client.set(LEASE_KEY, content, nx=True, px=LEASE_MS):
        raise LeaseTaken(lease_holder(client) or _UNKNOWN)
    return content


def keep_lease(client: Any, content: str) -> None:
    """Renew the lease; one that was evicted or ran out is taken again. Raises LeaseTaken.

    PEXPIRE and not SET, since a server that is out of memory refuses the latter.
    """
    held = client.get(LEASE_KEY)
    if held == content and client.pexpire(LEASE_KEY, LEASE_MS):
        return
    if held not in {None, content} or not client.set(LEASE_KEY, content, nx=True, px=LEASE_MS):
        raise LeaseTaken(lease_holder(client) or _UNKNOWN)


def drop_lease(client: Any, content: str) -> None:
    """Free the server, if the lease still is ours."""
    if client.get(LEASE_KEY) == content:
        client.delete(LEASE_KEY)


def lease_holder(client: Any) -> str | None:
    """Who loads the server and since when, in words; None where nobody does."""
    content = client.get(LEASE_KEY) if client.type(LEASE_KEY) == "string" else None
    return None if content is None else _in_words(content)


def lock(path: Path) -> TextIOWrapper:
    """Lock a cluster of ours by a file until it is closed or this process ends. Raises LeaseTaken."""
    with contextlib.ExitStack() as opening:
        file = opening.enter_context(path.open("a+", encoding="utf-8"))
        for attempt in range(1, _LOCK_ATTEMPTS + 1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == _LOCK_ATTEMPTS:
                    file.seek(0)
                    raise LeaseTaken(_in_words(file.read())) from None
                time.sleep(0.05)  # a look by `lock_holder` lasts no longer
        file.truncate(0)
        file.write(json.dumps(_who()))
        file.flush()
        opening.pop_all()
        return file


def lock_holder(path: Path, besides: Collection[int] = ()) -> str | None:
    """Who holds a cluster of ours and since when, in words; None for nobody, and for these processes."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                content = file.read()
                return None if _pid(content) in besides else _in_words(content)
    except FileNotFoundError:
        pass
    return None


def _who() -> dict[str, Any]:
    name = _UNKNOWN
    with contextlib.suppress(OSError, KeyError):  # a container's user need not have a name
        name = getpass.getuser()
    return {"who": f"{name}@{socket.gethostname()}, process {os.getpid()}",
            "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", "pid": os.getpid()}


def _pid(content: str) -> int | None:
    try:
        return int(json.loads(content)["pid"])
    except (ValueError, KeyError, TypeError):
        return None


def _in_words(content: str) -> str:
    try:
        held = json.loads(content)
        return f"{held['who']}, since {held['since']}"
    except (ValueError, KeyError, TypeError):
        return _UNKNOWN
