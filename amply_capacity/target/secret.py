"""Where a target's password comes from that is not given itself: a file, Secrets Manager, or a signed token.

Such a source is asked when a connection is opened, so that a password that is rotated while a run goes on is
followed: what the server refuses is read anew, once. A source holds no secret when it is pickled, printed or
written into a run; each process asks for itself.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from amply_capacity.aws.secret_value import TOKEN_LIVES_S, is_secret_arn, read_secret, signed_token
from amply_capacity.errors import BadInput

__all__ = ["FILE_VARIABLE", "IAM_VARIABLE", "PASSWORD_VARIABLE", "SECRET_VARIABLE", "Credentials",
           "FileSecret", "Secret", "SignedToken", "StoredSecret", "secret_from"]

PASSWORD_VARIABLE = "AMPLY_REDIS_PASSWORD"
FILE_VARIABLE = "AMPLY_REDIS_PASSWORD_FILE"
SECRET_VARIABLE = "AMPLY_REDIS_SECRET_ARN"
IAM_VARIABLE = "AMPLY_REDIS_IAM_CACHE"
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_SERVERLESS = "serverless:"

Credentials = tuple[str | None, str]
"""User, None for the default one, and password."""


class _Memory:
    """What a process has read, and when to read it again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: Credentials | None = None
        self.until = 0.0


class Secret(ABC):
    """A source of user and password. What was read is kept in this process' memory for `keep_seconds`."""

    keep_seconds = float("inf")
    _memory: _Memory

    def __post_init__(self) -> None:
        object.__setattr__(self, "_memory", _Memory())  # no field: in no copy, comparison, pickle or print

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def credentials(self) -> Credentials:
        """What is to be sent now. Raises AmplyError where it cannot be had."""
        memory = self._memory
        with memory.lock:
            if memory.kept is None or time.monotonic() >= memory.until:
                return self._read_anew()
            return memory.kept

    def renewed(self, refused: str | None = None) -> Credentials | None:
        """What is there now instead of a password that was refused; None where it is still that one.

        Of many connections that are refused at once, the first one reads. Without `refused` it is read in any
        case. Raises AmplyError.
        """
        with self._memory.lock:
            kept = self._memory.kept
            if kept is None or refused is None or kept[1] == refused:
                kept = self._read_anew()
            return None if kept[1] == refused else kept

    @abstractmethod
    def read(self) -> Credentials:
        """Read it from where it is."""

    def _read_anew(self) -> Credentials:
        found = self.read()
        self._memory.kept, self._memory.until = found, time.monotonic() + self.keep_seconds
        return found


@dataclass(frozen=True)
class FileSecret(Secret):
    """The password is what a private file holds, but for a line's end."""

    path: str

    def read(self) -> Credentials:
        try:
            mode = Path(self.path).stat().st_mode
            text = Path(self.path).read_text().strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput("the password's file cannot be read", got=f"{self.path}: {type(error).__name__}",
                           do=f"correct {FILE_VARIABLE}") from None
        if mode & 0o077:
            raise BadInput("others may read the password's file",
                           got=f"{self.path} has mode {mode & 0o777:03o}",
                           do=f"chmod 600 {self.path}")
        if not text:
            raise BadInput("the password's file is empty", got=self.path, do=f"correct {FILE_VARIABLE}")
        return None, text


@dataclass(frozen=True)
class StoredSecret(Secret):
    """The AUTH token, or a user's password, in Secrets Manager."""

    arn: str

    def read(self) -> Credentials:
        return read_secret(self.arn)


@dataclass(frozen=True)
class SignedToken(Secret):
    """An IAM token, signed anew before the one before is too old."""

    cache: str
    user: str
    region: str
    is_serverless: bool = False
    keep_seconds = TOKEN_LIVES_S * 2 / 3

    def read(self) -> Credentials:
        return self.user, signed_token(self.cache, self.user, self.region, is_serverless=self.is_serverless)


def secret_from(environment: Mapping[str, str], username: str | None, *, tls: bool,
                fault: Callable[[str], None]) -> Secret | None:
    """The source that the environment names; `fault` is told what is wrong with it. None without one."""
    named = [name for name in (PASSWORD_VARIABLE, FILE_VARIABLE, SECRET_VARIABLE, IAM_VARIABLE)
             if environment.get(name)]
    if len(named) > 1:
        fault(f"several passwords, in {' and '.join(named)}")
        return None
    if file := environment.get(FILE_VARIABLE):
        return FileSecret(file)
    if arn := environment.get(SECRET_VARIABLE):
        if not is_secret_arn(arn):
            fault(f"{SECRET_VARIABLE} is no ARN (arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME)")
        return StoredSecret(arn)
    if cache := environment.get(IAM_VARIABLE):
        region = next((environment[name] for name in _REGION_VARIABLES if environment.get(name)), "")
        for is_missing, words in ((not username, "IAM authentication without a user"),
                                  (not tls, "IAM authentication without TLS (rediss://)"),
                                  (not region, "IAM authentication without AWS_REGION")):
            if is_missing:
                fault(words)
        return SignedToken(cache.removeprefix(_SERVERLESS), username or "", region,
                           is_serverless=cache.startswith(_SERVERLESS))
    return None
