"""Progress of long work on stderr: a bar where somebody watches, a line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "progress", "say"]

_LINE_EVERY_SECONDS = 5.0


class Advance(Protocol):
    """Tells that `steps` more are done."""

    def __call__(self, steps: int = 1) -> None: ...


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how far `label` is, out of `total` steps; yields the function that advances it."""
    if sys.stderr.isatty():
        with _bar(label, total) as advance:
            yield advance
        return
    done, last = 0, time.monotonic()

    def line(steps: int = 1) -> None:
        nonlocal done, last
        done += steps
        now = time.monotonic()
        if now - last >= _LINE_EVERY_SECONDS:
            say(f"{label}  {done:,} of {total:,}")
            last = now

    yield line
    say(f"{label}  {done:,} done")


@contextmanager
def _bar(label: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total)

        def advance(steps: int = 1) -> None:
            bars.advance(task, steps)

        yield advance
