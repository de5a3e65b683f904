"""Plays one operation of the application on one connection, and records what it took."""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import Any, NamedTuple
from zlib import crc32

import gevent

from amply_capacity.load.labels import Labels
from amply_capacity.load.link import Link, Unreachable
from amply_capacity.load.recorder import TRACED, Recorder, to_us
from amply_capacity.load.replies import ReplyError, errors_in
from amply_capacity.load.trace import key_text, value_and_ttl
from amply_capacity.traffic.operation import ERROR, OK, Command, Compute, Operation, Pipeline, Step

__all__ = ["Played", "Player"]

_OF_ONE_KEY = TRACED - {"DEL"}
_BROKEN: Step = ()
"""In place of the step of an operation that has raised something, or was closed."""


class Player:
    """One simulated client: a connection and the recorder of its process.

    `play` drives an operation to its end while its greenlet waits. Who drives one from the event loop calls
    `begin`, then `replied` with the reply to each step, until they return None instead of a step, or
    `failed`; `outcome` says how it ended.
    """

    _answered: float
    _began_step: float
    _computed: tuple[tuple[float, float], ...]  # when each computation began, and its seconds
    _held: list[Played] | None
    _intended: float | None
    _labels: Labels
    _only_us: int

    __slots__ = (
        "_answered", "_began_step", "_computed", "_course", "_go", "_held", "_intended", "_is_plain",
        "_labels", "_only", "_only_us", "_recorder", "_started", "_step", "connection", "outcome")

    def __init__(self, connection: Link, recorder: Recorder) -> None:
        self.connection = connection
        self.outcome = OK
        self._recorder = recorder
        self._started = 0.0
        self._only = ""  # the first command, until a second one shows that it was not the whole
        self._step: Step | None = None
        self._set_out()
        self._forget()

    def play(self, use_case: str, name: str, operation: Operation, intended: float | None = None,
             held: list[Played] | None = None) -> str:
        """Drive the operation to its end; its outcome, or a failed one. No fault of the server raises.

        `intended` is the start that the schedule asked for, on `time.perf_counter`; None in a closed loop,
        where the operation is meant to start when its first command leaves (when its connection has to be
        opened: before that). Compute waits of the application are left out of all clocks. What is to be
        recorded goes into `held`, where there is one, for the caller to judge and `record`.
        """
        labels, connection = self._recorder.labels(use_case, name), self.connection
        if connection.is_closed:
            if intended is None:
                intended = perf_counter()
            try:
                connection.connect()
            except (OSError, ReplyError) as error:
                operation.close()
                self.begin(labels, _nothing_asked(), intended, held)
                self.unreachable(error)
                return self.outcome
        step = self.begin(labels, operation, intended, held)
        try:
            while step is not None:
                if type(step) is tuple:
                    reply = connection.call(step)
                elif type(step) is Pipeline:
                    reply = connection.pipeline(step.commands)
                else:
                    reply = None
                    gevent.sleep(self.compute_seconds())
                step = self.replied(reply)
        except OSError as error:
            self.failed(error)
        return self.outcome

    def begin(self, labels: Labels, operation: Operation, intended: float | None = None,
              held: list[Played] | None = None) -> Step | None:
        """Begin an operation, with `intended` and `held` as `play` has them; its first step."""
        if self._step is not None:  # the last one was left in its middle
            self._abandon()
            self._forget()
        if held is not None:
            self._held, self._is_plain = held, False
        self._labels, self._intended, self._started, self._only = labels, intended, 0.0, ""
        go = self._go
        self._step = step = go(operation)
        return step

    def replied(self, reply: Any) -> Step | None:
        """Take the reply to the last step: a pipeline's is a list, a computation's None. The next step."""
        step, connection, recorder = self._step, self.connection, self._recorder
        command: Any
        if type(step) is tuple:
            command = step[0]
            failed = None
            if type(reply) is ReplyError:
                failed = reply
            elif command in _OF_ONE_KEY:
                key = step[1]
                if type(key) is not str:
                    key = key_text(key)
                if crc32(key.encode()) < recorder.access_below:
                    self._trace(step, reply)
            elif command == "DEL":
                self._trace(step, None)
        elif type(step) is Pipeline:
            command, failed = self._look_through(step, reply)
        else:
            return self._take_computation()
        self._answered = answered = connection.answered
        if answered >= recorder.second_ends:
            recorder.roll(answered)
        took_us = int((answered - connection.sent) * 1e6)
        if self._started:
            if self._only:
                self._record_only()
        else:
            self._started = connection.sent
            if self._is_plain and failed is None:
                self._only, self._only_us = command, took_us
        if not self._only:
            if failed is not None:
                recorder.samples.append(self._labels.failed_command(command) + took_us)
                self._end_early(ERROR, str(failed))
                return None
            labels = self._labels
            recorder.samples.append((labels.commands.get(command) or labels.command(command)) + took_us)
        go = self._go
        self._step = step = go(reply)
        return step

    def compute_seconds(self) -> float:
        """How long the application computes outside Redis, which the last step says, from now on.

        Raises TypeError for what is no step at all.
        """
        step = self._step
        if type(step) is not Compute:
            raise TypeError(f"an operation yields commands, pipelines and computations, not {step!r}")
        self._began_step = perf_counter()
        return step.seconds

    def failed(self, error: OSError) -> None:
        """The connection was lost in the middle of the operation, or did not answer in time."""
        if not self._started:
            self._started = self.connection.sent
        self._lose("unreachable" if isinstance(error, Unreachable) else
                   "timeout" if isinstance(error, TimeoutError) else "disconnected", error)

    def opening(self) -> None:
        """The next command has to open its connection first: that is its time, not the generator's."""
        self._started = self._started or perf_counter()

    def unreachable(self, error: Exception) -> None:
        """The connection that the next command wanted could not be opened."""
        self._started = self._started or perf_counter()
        self._lose("unreachable", error)

    def refused(self, why: str) -> None:
        """The next command was not sent, by the application's own doing."""
        now = perf_counter()
        self._started = self._started or now
        self._answer_at(now)
        self._end_early(ERROR, why)

    def record(self, played: Played, complaint: str | None = None) -> None:
        """Record an operation as it ended, or as failed with a caller's complaint."""
        outcome, labels, recorder = played.outcome, played.labels, self._recorder
        if complaint is not None:
            outcome = ERROR
            recorder.error(labels.use_case, labels.operation, complaint)
        recorder.samples.append((labels.outcomes.get(outcome) or labels.ended(outcome)) + played.service_us)
        if played.lateness_us:
            recorder.samples.append(played.lateness_us)

    def _play_on(self) -> Generator[Step | None, Any, None]:
        """Plays one operation after the other: is sent it, gives its steps, takes their replies, gives None.

        The end of a generator that is driven by itself is an exception, which takes 0.8 µs where one that
        another one leads takes 0.3: as much as a look at the clock, the draw of a task and packing a command.
        """
        recorder = self._recorder
        operation = yield None
        while True:
            try:
                self.outcome = outcome = yield from operation
            except ValueError as error:  # a value that is not the application's, as it notices when it reads
                self._fail(ERROR, f"unreadable value: {error}")
            except BaseException:
                self._step = _BROKEN
                raise
            else:
                only = self._only
                if only:  # an operation of one command, as most are: its time is the command's
                    labels, intended, samples = self._labels, self._intended, recorder.samples
                    try:
                        whole = labels.whole[only][outcome]
                    except KeyError:
                        whole = labels.whole_operation(only, outcome)
                    samples.append(whole + self._only_us)
                    if intended is not None and (lateness_us := to_us(self._started - intended)):
                        samples.append(lateness_us)
                else:
                    self._finish(outcome)
            operation = yield None

    def _set_out(self) -> None:
        self._course = self._play_on()
        self._go = self._course.send
        self._go(None)

    def _abandon(self) -> None:
        """Close the operation where it stands."""
        self._course.close()
        self._step = None
        self._set_out()

    def _look_through(self, step: Pipeline, replies: list[Any]) -> tuple[str, ReplyError | None]:
        """A pipeline's name, and the first error that it was answered with."""
        failed = next(errors_in(replies), None)
        if failed is None:
            for part in step.commands:
                if part[0] in TRACED:
                    self._trace(part, None)
        return "+".join(str(part[0]) for part in step.commands), failed

    def _take_computation(self) -> Step | None:
        if self._only:
            self._record_only()
        self._is_plain = False
        self._computed = *self._computed, (self._began_step, perf_counter() - self._began_step)
        self._step = step = self._go(None)
        return step

    def _lose(self, outcome: str, error: Exception) -> None:
        now = perf_counter()
        self._started = min(self._started, now)  # a command that has not left has no time of its own
        self._answer_at(now)
        self._end_early(outcome, f"{outcome}: {error}")

    def _answer_at(self, now: float) -> None:
        """The operation ends at that moment, without a reply."""
        self._answered = now
        if now >= self._recorder.second_ends:
            self._recorder.roll(now)

    def _end_early(self, outcome: str, why: str) -> None:
        self._abandon()
        self._fail(outcome, why)

    def _fail(self, outcome: str, why: str) -> None:
        self._recorder.error(self._labels.use_case, self._labels.operation, why)
        self._finish(outcome)

    def _finish(self, outcome: str) -> None:
        if self._only:
            self._record_only()
        if not self._started:  # an operation that had nothing to ask
            self._started = self._answered = perf_counter()
        started, answered, computed = self._started, self._answered, self._computed
        intended = started if self._intended is None else self._intended
        before = sum(seconds for began, seconds in computed if began < started)
        within = sum(seconds for began, seconds in computed if started <= began < answered)
        self.outcome = outcome
        played = Played(outcome, to_us(answered - started - within), to_us(started - intended - before),
                        self._labels)
        if self._held is None:
            self.record(played)
        else:
            self._held.append(played)
        self._forget()

    def _forget(self) -> None:
        """The next operation is a plain one, until it shows that it is not."""
        self._held = None
        self._computed = ()
        self._is_plain = True

    def _record_only(self) -> None:
        labels, only = self._labels, self._only
        self._recorder.samples.append((labels.commands.get(only) or labels.command(only)) + self._only_us)
        self._only = ""

    def _trace(self, command: Command, reply: Any) -> None:
        recorder, now = self._recorder, self.connection.answered
        op = str(command[0]).lower()
        for key in command[1:] if op == "del" else command[1:2]:
            text = key_text(key)
            if crc32(text.encode()) < recorder.access_below:
                recorder.access(now, op, text, *value_and_ttl(op, command, reply))


class Played(NamedTuple):
    """An operation that has ended."""

    outcome: str
    service_us: int
    lateness_us: int
    labels: Labels


def _nothing_asked() -> Operation:
    """In place of an operation whose first step is not even asked for: its connection cannot be had."""
    yield ()
    return ERROR
