"""Plays one operation of the application on one connection, and records what it took."""

from __future__ import annotations

import time
from typing import Any
from zlib import crc32

from amply_capacity.load.client import Connection, ReplyError
from amply_capacity.load.recorder import ACCESS_OPS, CLOCKS, Recorder, to_us
from amply_capacity.traffic.operation import Command, Compute, Operation, Pipeline

__all__ = ["Player"]



class _Labels:
    """The recorder's packed labels of one operation, by command and by outcome, made when first met."""

    def __init__(self, recorder: Recorder, use_case: str, operation: str) -> None:
        self._recorder, self._use_case, self._operation = recorder, use_case, operation
        self.commands: dict[tuple[str, bool], int] = {}
        self.outcomes: dict[str, tuple[int, int, int]] = {}

    def command(self, command: str, failed: bool) -> int:
        outcome = "error" if failed else "ok"
        label = self._recorder.label(self._use_case, self._operation, command, outcome, "service")
        self.commands[command, failed] = label
        return label

    def outcome(self, outcome: str) -> tuple[int, int, int]:
        service, response, lateness = (
            self._recorder.label(self._use_case, self._operation, "", outcome, clock) for clock in CLOCKS)
        self.outcomes[outcome] = service, response, lateness
        return service, response, lateness


class Player:
    """One simulated client: a connection and the recorder of its process."""

    def __init__(self, connection: Connection, recorder: Recorder) -> None:
        self.connection = connection
        self._recorder = recorder
        self._labels: dict[str, _Labels] = {}

    def play(self, use_case: str, name: str, operation: Operation, intended: float | None = None) -> str:
        """Drive the operation to its end; its outcome, or a failed one. No fault of the server raises.

        `intended` is the start that the schedule asked for, on `time.perf_counter`; None in a closed loop,
        where the operation is meant to start now. Compute waits of the application are left out of all
        clocks.
        """
        recorder, clock = self._recorder, time.perf_counter
        labels = self._labels.get(name)
        if labels is None:
            labels = self._labels[name] = _Labels(recorder, use_case, name)
        called = clock()
        if intended is None:
            intended = called
        started = sent = answered = called
        waited = 0.0
        first = True
        reply: Any = None
        try:
            if self.connection.is_closed:
                self.connection.connect()
            while True:
                step = operation.send(reply)
                if isinstance(step, Compute):
                    if step.seconds > 0.0:
                        paused = clock()
                        time.sleep(step.seconds)  # gevent's, under Locust
                        waited += clock() - paused
                    reply = None
                    continue
                sent = clock()
                if first:
                    started, first = sent, False
                if isinstance(step, Pipeline):
                    reply = self.connection.pipeline(step.commands)
                    command = "+".join(str(part[0]) for part in step.commands)
                    failed = _first_error(reply)
                else:
                    reply = self.connection.call(step)
                    command = str(step[0])
                    failed = reply if type(reply) is ReplyError else None
                answered = clock()
                if answered >= recorder.second_ends:
                    recorder.roll(answered)
                label = labels.commands.get((command, failed is not None))
                if label is None:
                    label = labels.command(command, failed is not None)
                recorder.samples.append(label + to_us(answered - sent))
                if failed is not None:
                    operation.close()
                    recorder.error(use_case, name, str(failed))
                    outcome = "error"
                    break
                if isinstance(step, Pipeline):
                    for part in step.commands:
                        self._trace(answered, part, None)
                else:
                    self._trace(answered, step, reply)
        except StopIteration as end:
            outcome = end.value
        except ValueError as error:  # a value that is not the application's, as it notices when it reads it
            outcome = "error"
            recorder.error(use_case, name, f"unreadable value: {error}")
        except (OSError, ReplyError) as error:
            operation.close()
            self.connection.close()
            answered = clock()
            outcome = "timeout" if isinstance(error, TimeoutError) else "disconnected"
            if first:  # nothing was sent: there was no connection to be had
                outcome, started = "unreachable", answered
            recorder.error(use_case, name, f"{outcome}: {error}")
        if answered >= recorder.second_ends:
            recorder.roll(answered)
        service, response, lateness = labels.outcomes.get(outcome) or labels.outcome(outcome)
        recorder.samples += (
            service + to_us(answered - started - waited),
            response + to_us(answered - intended - waited),
            lateness + to_us(started - intended),
        )
        return outcome

    def _trace(self, now: float, command: Command, reply: Any) -> None:
        recorder = self._recorder
        op = str(command[0]).lower()
        if op not in ACCESS_OPS:
            return
        keys = command[1:] if op == "del" else command[1:2]
        for key in keys:
            if crc32(str(key).encode()) < recorder.access_below:
                recorder.access(now, op, str(key), *_value_and_ttl(op, command, reply))


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
