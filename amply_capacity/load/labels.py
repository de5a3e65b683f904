"""What the recorded times of one operation stand for."""

from __future__ import annotations

from amply_capacity.load.recorder import Recorder
from amply_capacity.load.wire import Kind
from amply_capacity.traffic.operation import ERROR, OK

__all__ = ["Labels"]


class Labels:
    """The recorder's packed labels of one operation, each made when first met."""

    def __init__(self, recorder: Recorder, use_case: str, operation: str) -> None:
        self._recorder, self.use_case, self.operation = recorder, use_case, operation
        self.commands: dict[str, int] = {}
        self.whole: dict[tuple[str, str], int] = {}
        self.timed: dict[tuple[str, str], tuple[int, int, int]] = {}
        self.closed: dict[str, int] = {}
        self.scheduled: dict[str, tuple[int, int, int]] = {}

    def command(self, command: str) -> int:
        """A command's own time."""
        label = self.commands[command] = self._recorder.label(self._kind(command, OK, "service"))
        return label

    def failed_command(self, command: str) -> int:
        """The time of a command that was answered with an error."""
        return self._recorder.label(self._kind(command, ERROR, "service"))

    def whole_operation(self, command: str, outcome: str) -> int:
        """The time of a command that was an operation from end to end, in a closed loop."""
        label = self.whole[command, outcome] = self._recorder.label(
            self._kind(command, OK, "service"), *self._closed(outcome))
        return label

    def timed_operation(self, command: str, outcome: str) -> tuple[int, int, int]:
        """The same against a schedule: its service, which is the command's as well, response and lateness."""
        _, response, lateness = self.scheduled_operation(outcome)
        service = self._recorder.label(self._kind(command, OK, "service"), self._kind("", outcome, "service"))
        self.timed[command, outcome] = service, response, lateness
        return service, response, lateness

    def closed_operation(self, outcome: str) -> int:
        """An operation's time in a closed loop, where it was meant to start when it did."""
        label = self.closed[outcome] = self._recorder.label(*self._closed(outcome))
        return label

    def scheduled_operation(self, outcome: str) -> tuple[int, int, int]:
        """An operation's service, response and lateness against its schedule."""
        service, response, lateness = (
            self._recorder.label(self._kind("", outcome, clock))
            for clock in ("service", "response", "lateness"))
        self.scheduled[outcome] = service, response, lateness
        return service, response, lateness

    def _closed(self, outcome: str) -> tuple[Kind, ...]:
        return (self._kind("", outcome, "service"), self._kind("", outcome, "response"),
                self._kind("", outcome, "lateness", 0))

    def _kind(self, command: str, outcome: str, clock: str, factor: int = 1) -> Kind:
        return self.use_case, self.operation, command, outcome, clock, factor
