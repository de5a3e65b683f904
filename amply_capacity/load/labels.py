"""What the recorded times of one operation stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from amply_capacity.load.wire import Kind
from amply_capacity.traffic.operation import ERROR, OK

__all__ = ["Labels"]


class Labels:
    """The packed labels of one operation, each asked of the recorder when first met."""

    def __init__(self, label: Callable[..., int], use_case: str, operation: str) -> None:
        self._label, self.use_case, self.operation = label, use_case, operation
        self.commands: dict[str, int] = {}
        self.outcomes: dict[str, int] = {}
        self.whole: dict[str, dict[str, int]] = defaultdict(dict)

    def command(self, command: str) -> int:
        """A command's own time."""
        label = self.commands[command] = self._label(self._kind(command, OK, "service"))
        return label

    def failed_command(self, command: str) -> int:
        """The time of a command that was answered with an error."""
        return self._label(self._kind(command, ERROR, "service"))

    def ended(self, outcome: str) -> int:
        """An operation's time, from its first command to its last reply."""
        label = self.outcomes[outcome] = self._label(*self._clocks(outcome))
        return label

    def whole_operation(self, command: str, outcome: str) -> int:
        """The time of a command that was an operation from end to end: both at once."""
        label = self.whole[command][outcome] = self._label(
            self._kind(command, OK, "service"), *self._clocks(outcome))
        return label

    def _clocks(self, outcome: str) -> tuple[Kind, ...]:
        return tuple(self._kind("", outcome, clock) for clock in ("service", "response", "lateness"))

    def _kind(self, command: str, outcome: str, clock: str) -> Kind:
        return self.use_case, self.operation, command, outcome, clock
