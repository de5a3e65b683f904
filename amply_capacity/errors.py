"""Every failure a user can do something about, one class per thing to do.

    AmplyError                   the paragraph on stderr: what, got, do this (exit code 2)
    ├── BadInput                 correct the value, file or option named
    │   ├── UnknownName          choose one of the names offered
    │   ├── NotOffered           choose another node type, region or engine
    │   ├── BadDemand            correct the demand file (all faults at once)
    │   └── BadRun               choose another run, or recover this one
    ├── TargetError              correct the endpoint, or start it
    │   ├── Unreachable          nothing answers there
    │   ├── NotRedis             something answers, but it does not speak Redis
    │   ├── AuthRequired         give the password by environment
    │   └── Refused              the guard will not load it: mark it, or choose another
    ├── NoServer                 install a redis-server
    ├── PortInUse                choose another port
    ├── ServerFailed             the local redis-server did not come up: read its log
    └── DiskFull                 free space; what was recorded so far is kept
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AmplyError",
    "AuthRequired",
    "BadDemand",
    "BadInput",
    "BadRun",
    "DiskFull",
    "NoServer",
    "NotOffered",
    "NotRedis",
    "PortInUse",
    "Refused",
    "ServerFailed",
    "TargetError",
    "UnknownName",
    "Unreachable",
]


class AmplyError(Exception):
    """A failure with its three parts: what happened, what was found, what to do.

    Example: `AmplyError("the port is taken", got="127.0.0.1:6379 is in use", do="choose another --port")`
    prints as `the port is taken. Got: 127.0.0.1:6379 is in use. Do: choose another --port.`
    """

    exit_code = 2

    def __init__(self, what: str, *, got: str | None = None, do: str | None = None) -> None:
        self.what, self.got, self.do = what, got, do
        parts = [what, f"Got: {got}" if got else None, f"Do: {do}" if do else None]
        super().__init__(" ".join(part.rstrip(". ") + "." for part in parts if part))


class BadInput(AmplyError):
    """A value, option or file that the user gave and can correct."""


class UnknownName(BadInput):
    """A name that is not in the list, with the nearest ones offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, see: str | None = None) -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name.lower(), names, n=4, cutoff=0.45) or names[:6]
        also = f" ({see} lists all {len(names)})" if see else ""
        super().__init__(f"unknown {kind}", got=repr(name), do=f"use one of {', '.join(near)}{also}")


class NotOffered(BadInput):
    """A node type that exists, but not in that region or for that engine."""


class BadDemand(BadInput):
    """A demand file with faults; all of them are listed."""


class BadRun(BadInput):
    """A run directory that is empty, truncated, or written by a newer version."""


class TargetError(AmplyError):
    """The Redis to be loaded or sampled cannot be used."""


class Unreachable(TargetError):
    """Nothing answers at the endpoint."""


class NotRedis(TargetError):
    """Something answers at the endpoint, but not in the Redis protocol."""


class AuthRequired(TargetError):
    """The endpoint wants a password, or another one than was given."""


class Refused(TargetError):
    """The guard will not load this server."""


class NoServer(AmplyError):
    """No redis-server or valkey-server program is to be found."""


class PortInUse(AmplyError):
    """The port asked for is taken."""


class ServerFailed(AmplyError):
    """A local server did not start, or ended unasked."""


class DiskFull(AmplyError):
    """The disk that holds a run or report is full."""
