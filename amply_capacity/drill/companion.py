"""A small program of ours that works beside a drill, and ends with it: the proxy, the throttle."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from pathlib import Path
from typing import Self

from amply_capacity.errors import AmplyError
from amply_capacity.target import process

__all__ = ["Companion"]

_PATIENCE_SECONDS = 10.0


class Companion:
    """A module run as a program: it hears lines, answers each, and ends with its stdin.

    That is also its end where we are killed: it has the time to put right what it does to others.
    """

    def __init__(self, module: str, *arguments: str, directory: Path) -> None:
        """Start it in that directory."""
        self._name = module
        self._process = process.spawn([sys.executable, "-m", f"amply_capacity.drill.{module}", *arguments],
                                      directory, stays=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self) -> str:
        """Its next line. Raises AmplyError where none comes."""
        output = self._process.stdout
        assert output is not None
        line = output.readline() if select.select([output], [], [], _PATIENCE_SECONDS)[0] else b""
        if not line:
            raise AmplyError(f"the drill's {self._name} did not answer",
                             got=f"exit code {self._process.poll()}",
                             do="give the machine more CPU or memory, and try again")
        return line.decode().strip()

    def tell(self, order: str) -> None:
        """Have it obey. Raises AmplyError where it does not."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died: it answers nothing either
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.flush()
        answer = self.read()
        if answer != "ok":
            raise AmplyError(f"the drill's {self._name} does not know an order", got=order, do="report this")

    def kill(self) -> None:
        """End it as a machine that is lost: what it held is gone."""
        self._process.kill()

    def close(self) -> None:
        """Let it end by itself, or by force."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
