"""The language between what the application does and who plays it: commands, steps, operations, outcomes.

An operation is a generator. It yields a step, is sent the step's reply and returns its outcome:

    operation = sessions.validate("ses_...")
    step = operation.send(None)              # ("GET", "session:ses_...")
    operation.send(reply)                    # StopIteration.value is HIT or MISS

Replies are decoded, as the application's pool decodes them: str, int, a list (or set) of those, None. An
error reply is the driver's affair: it throws into the operation, or closes it, and records an outcome of its
own (`ERROR`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "ALLOWED",
    "ERROR",
    "HIT",
    "LIMITED",
    "MISS",
    "OK",
    "Command",
    "Compute",
    "Operation",
    "Pipeline",
    "Step",
    "play",
]

Command: TypeAlias = tuple[str | int | float | bytes, ...]
"""A Redis command and its arguments, the name first and in capitals: `("SETEX", key, 300, value)`."""

OK = "ok"
HIT = "hit"
MISS = "miss"
ALLOWED = "allowed"
LIMITED = "limited"
ERROR = "error"
"""The one outcome that no operation returns: the driver's, for an error reply or a lost connection."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands that leave in one write; the reply is a list with one reply a command."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Compute:
    """Work of the application outside Redis: the driver waits `seconds` (not at all when 0), replies None."""

    seconds: float


# A command is a bare tuple, not a class: at tens of thousands a second its construction would show.
Step: TypeAlias = Command | Pipeline | Compute
Operation: TypeAlias = Generator[Step, Any, str]


def play(operation: Operation, answer: Callable[[Command], Any]) -> tuple[str, tuple[Step, ...]]:
    """Drive an operation to its end with a function from command to reply; returns its outcome and its steps.

    Nothing waits: a `Compute` step takes no time. An exception of `answer` reaches the caller as it is, with
    the operation closed.

    Example: `play(sessions.validate("ses_1"), lambda command: None)` is `("miss", (("GET",
    "session:ses_1"),))`.
    """
    steps: list[Step] = []
    reply: Any = None
    try:
        while True:
            try:
                step = operation.send(reply)
            except StopIteration as end:
                return end.value, tuple(steps)
            steps.append(step)
            if isinstance(step, Pipeline):
                reply = [answer(command) for command in step.commands]
            elif isinstance(step, Compute):
                reply = None
            else:
                reply = answer(step)
    finally:
        operation.close()
