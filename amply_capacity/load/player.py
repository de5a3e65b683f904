"""Plays one operation of the application on one connection, and records what it took."""

from __future__ import annotations

from time import perf_counter
from typing import Any, NamedTuple
from zlib import crc32

import gevent

from amply_capacity.load.client import ReplyError
from amply_capacity.load.recorder import TRACED, Recorder, to_us
from amply_capacity.load.routing import Link
from amply_capacity.load.wire import Kind
from amply_capacity.traffic.operation import ERROR, OK, Command, Compute, Operation, Pipeline

__all__ = ["Played", "Player"]


class Player:
    """One simulated client: a connection and the recorder of its process."""

    def __init__(self, connection: Link, recorder: Recorder) -> None:
        self.connection = connection
        self._recorder = recorder
        self._labels: dict[str, _Labels] = {}

    def play(self, use_case: str, name: str, operation: Operation, intended: float | None = None,
             held: list[Played] | None = None) -> str:
        """Drive the operation to its end; its outcome, or a failed one. No fault of the server raises.

        `intended` is the start that the schedule asked for, on `time.perf_counter`; None in a closed loop,
        where the operation is meant to start when its first command leaves (when its connection has to be
        opened: before that). Compute waits of the application are left out of all clocks.
        """
        recorder, connection = self._recorder, self.connection
        labels = self._labels.get(name)
        if labels is None:
            labels = self._labels[name] = _Labels(recorder, use_case, name)
        started = answered = waited = 0.0
        only, only_us = "", 0  # the first command, until a second one shows that it was not the whole
        sending = False
        reply: Any = None
        outcome: str
        try:
            if connection.is_closed:
                if intended is None:
                    intended = perf_counter()
                connection.connect()
            while True:
                step = operation.send(reply)
                if type(step) is tuple:
                    sending = True
                    reply = connection.call(step)
                    command: Any = step[0]
                    failed = reply if type(reply) is ReplyError else None
                    if failed is None and command in TRACED and (
                            crc32(step[1].encode()) < recorder.access_below or command == "DEL"):  # type: ignore[union-attr]
                        self._trace(connection.answered, step, reply)
                elif type(step) is Pipeline:
                    sending = True
                    reply = connection.pipeline(step.commands)
                    command = "+".join(str(part[0]) for part in step.commands)
                    failed = _first_error(reply)
                    if failed is None:
                        for part in step.commands:
                            if part[0] in TRACED:
                                self._trace(connection.answered, part, None)
                elif isinstance(step, Compute):
                    reply = None
                    waited += _wait_for(step)
                    continue
                else:
                    raise TypeError(f"an operation yields commands, pipelines and computations, not {step!r}")
                answered = connection.answered
                if answered >= recorder.second_ends:
                    recorder.roll(answered)
                took_us = int((answered - connection.sent) * 1e6)
                if not started:
                    started = connection.sent
                    if failed is None:
                        only, only_us = command, took_us
                        continue
                elif only:
                    recorder.samples.append((labels.commands.get(only) or labels.command(only)) + only_us)
                    only = ""
                if failed is None:
                    recorder.samples.append(
                        (labels.commands.get(command) or labels.command(command)) + took_us)
                else:
                    recorder.samples.append(labels.failed_command(command) + took_us)
                    operation.close()
                    recorder.error(use_case, name, str(failed))
                    outcome = ERROR
                    break
        except StopIteration as end:
            outcome = end.value
            if only and intended is None and held is None:
                recorder.samples.append(
                    (labels.whole.get((only, outcome)) or labels.whole_operation(only, outcome)) + only_us)
                return outcome
        except ValueError as error:  # a value that is not the application's, as it notices when it reads it
            outcome = ERROR
            recorder.error(use_case, name, f"unreadable value: {error}")
        except (OSError, ReplyError) as error:
            operation.close()
            connection.close()
            answered = perf_counter()
            outcome = "timeout" if isinstance(error, TimeoutError) else "disconnected"
            if not sending:  # there was no connection to be had
                outcome, started = "unreachable", answered
            elif not started:
                started = connection.sent
            recorder.error(use_case, name, f"{outcome}: {error}")
            if answered >= recorder.second_ends:
                recorder.roll(answered)
        if only:
            recorder.samples.append((labels.commands.get(only) or labels.command(only)) + only_us)
        if not started:  # an operation that had nothing to ask
            started = answered = perf_counter()
        played = Played(outcome, to_us(answered - started - waited),
                        None if intended is None else to_us(answered - intended - waited),
                        0 if intended is None else to_us(started - intended), labels)
        if held is None:
            self.record(played)
        else:
            held.append(played)
        return outcome

    def record(self, played: Played, complaint: str | None = None) -> None:
        """Record an operation as it ended, or as failed with a caller's complaint."""
        outcome, labels, recorder = played.outcome, played.labels, self._recorder
        if complaint is not None:
            outcome = ERROR
            recorder.error(labels.use_case, labels.operation, complaint)
        samples = recorder.samples
        if played.response_us is None:
            samples.append((labels.closed.get(outcome) or labels.closed_operation(outcome))
                           + played.service_us)
            return
        service, response, lateness = labels.scheduled.get(outcome) or labels.scheduled_operation(outcome)
        samples.append(service + played.service_us)
        samples.append(response + played.response_us)
        samples.append(lateness + played.lateness_us)

    def _trace(self, now: float, command: Command, reply: Any) -> None:
        recorder = self._recorder
        op = str(command[0]).lower()
        for key in command[1:] if op == "del" else command[1:2]:
            if crc32(str(key).encode()) < recorder.access_below:
                recorder.access(now, op, str(key), *_value_and_ttl(op, command, reply))


class Played(NamedTuple):
    """An operation that has ended; a response of its own only where a schedule asked for it."""

    outcome: str
    service_us: int
    response_us: int | None
    lateness_us: int
    labels: _Labels


class _Labels:
    """The recorder's packed labels of one operation, each made when first met."""

    def __init__(self, recorder: Recorder, use_case: str, operation: str) -> None:
        self._recorder, self.use_case, self.operation = recorder, use_case, operation
        self.commands: dict[str, int] = {}
        self.whole: dict[tuple[str, str], int] = {}
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


def _wait_for(compute: Compute) -> float:
    """Seconds for which the application computed outside Redis."""
    if compute.seconds <= 0.0:
        return 0.0
    began = perf_counter()
    gevent.sleep(compute.seconds)
    return perf_counter() - began


def _value_and_ttl(op: str, command: Command, reply: Any) -> tuple[int | None, float | None]:
    if op == "get":
        return (len(reply.encode()) if isinstance(reply, str) else None), None
    if op == "setex":
        return len(str(command[3]).encode()), float(command[2])
    if op == "expire":
        return None, float(command[2])
    if op in {"sadd", "srem"}:
        return sum(len(str(member).encode()) for member in command[2:]), None
    if op == "smembers":
        return sum(len(member.encode()) for member in reply or ()), None
    return None, None


def _first_error(replies: list[Any]) -> ReplyError | None:
    """The first error among a pipeline's replies, those inside EXEC's list included."""
    for reply in replies:
        if isinstance(reply, ReplyError):
            return reply
        if isinstance(reply, list) and (inner := _first_error(reply)) is not None:
            return inner
    return None
