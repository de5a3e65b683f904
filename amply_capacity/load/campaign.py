"""What one generator process of a scenario needs to play its part."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from amply_capacity.load.journal import Journal
from amply_capacity.load.labels import Labels
from amply_capacity.load.link import Link
from amply_capacity.load.options import Options
from amply_capacity.load.pace import Entry, Pace
from amply_capacity.load.reactor import Reactor
from amply_capacity.load.recorder import Recorder
from amply_capacity.load.routing import opener
from amply_capacity.load.wire import Batch
from amply_capacity.target.guard import Target
from amply_capacity.traffic.application import Application
from amply_capacity.traffic.arrivals import DayRate, SteadyRate, positions
from amply_capacity.traffic.operation import Operation
from amply_capacity.traffic.population import Population, PopulationShape

if TYPE_CHECKING:
    from locust.env import Environment

__all__ = ["Campaign", "current_campaign", "set_campaign"]

_ATTRIBUTE = "amply_campaign"
_LONGEST_GAP_SECONDS = 60
_HEAD_START_SECONDS = 0.1
"""Between a client's start and the schedule's for it: the others that start then connect meanwhile, of which
a hundred take some 30 ms of the loop."""
_ACCESSES_PER_SECOND = 1000
"""Key accesses in the trace, of all workers together."""


class Campaign:
    """Endpoint, population, application, schedule and recorder of this process, as one worker of so many.

    `clients` are the Locust users of all workers together; each has its share of the rate and, where a number
    of operations was given, of those.
    """

    def __init__(self, options: Options, target: Target, shape: PopulationShape, *,
                 topology: str = "single", worker_index: int = 0, worker_count: int = 1, clients: int = 1,
                 peak_to_mean: float = 1.0) -> None:
        self.options = options
        self.target, self.topology = target, topology
        self.shape = shape
        self.recorder = Recorder(max(_ACCESSES_PER_SECOND // worker_count, 1))
        self.worker_index, self.worker_count = worker_index, worker_count
        self.clients, self.peak_to_mean = max(clients, 1), peak_to_mean
        self.rate = options.rate
        """Operations a second asked for now, of all clients of all workers; None in a closed loop."""
        self.is_through = Event()
        """Set when every client of this process has played its share of `--iterations`."""
        self.started_clients = self.clients_through = 0
        self._paces: list[Pace] = []
        self._playable: dict[Any, tuple[Labels, Callable[[], Operation]]] = {}
        self._offered_until = int(time.time())

    @cached_property
    def schedule(self) -> SteadyRate | DayRate | None:
        """Each client's rate over time, from the moment it is first asked for; None in a closed loop."""
        options = self.options
        if self.rate is None:
            return None
        rate, now = self.rate / self.clients, perf_counter()
        if options.arrivals == "day":
            return DayRate(rate, now, options.day_seconds, self.peak_to_mean)
        return SteadyRate(rate, now)

    def begin(self, clients: int) -> None:
        """A load begins, which for the web page may be another one, of another number of clients."""
        self.clients = max(clients, 1)
        self.__dict__.pop("schedule", None)

    @cached_property
    def reactor(self) -> Reactor:
        """What wakes the clients of this process at their intended starts."""
        return Reactor.of(gevent.get_hub())

    @property
    def awake_seconds(self) -> float:
        """How long the event loop was only kept awake so far (`Reactor`)."""
        return self.reactor.awake_seconds if "reactor" in self.__dict__ else 0.0

    @cached_property
    def _application(self) -> Application:
        index, count = self.worker_index, self.worker_count
        return Application(
            Population(self.shape, index, count), seed=self.options.seed * 1009 + index,
            compute_seconds=self.options.compute_seconds,
        )

    def application(self) -> Application:
        """This process' application: its clients share one, as the requests of one API process do."""
        return self._application

    @cached_property
    def connection(self) -> Callable[[], Link]:
        """Makes a new client's connection, not opened yet.

        Its replies are stamped where times are what is asked for; flat out, it is the rate.
        """
        options = self.options
        return opener(self.target.endpoint, self.target.cluster, self.topology, options.timeout_seconds,
                      options.rate is not None or options.think_time_seconds > 0.0)

    @cached_property
    def journal(self) -> Journal | None:
        """Where this process writes down what became of each operation; None unless asked to."""
        directory = self.options.journal
        return None if directory is None else Journal(directory / f"{self.worker_index}.jsonl")

    def follow(self, use_case: str, name: str, operation: Operation) -> Operation:
        """The operation, written down where that is asked for."""
        return operation if self.journal is None else self.journal.follow(use_case, name, operation)

    def playable(self, task: Any, user: Any) -> tuple[Labels, Callable[[], Operation]]:
        """Under which labels a user's task is recorded, and what makes its operations.

        The same object for all users wherever it can be: each command looks into it, and what each client has
        of its own is in no cache when its turn comes.
        """
        known = self._playable.get(task)
        if known is None:
            known = (self.recorder.labels(task.use_case, task.operation),
                     self._followed(task.use_case, task.operation, task.bound(user)))
            if not task.is_of_user:
                self._playable[task] = known
        return known

    def _followed(self, use_case: str, name: str, make: Callable[[], Operation]) -> Callable[[], Operation]:
        """A maker of such operations; the same one where none are written down, since it is called a lot."""
        return make if self.journal is None else lambda: self.follow(use_case, name, make())

    def enter(self, rng: Random) -> Entry | None:
        """A new client's part of the schedule; None in a closed loop.

        All clients of the process share one pace, but for the pools, which are processes of the application.
        """
        if self.schedule is None:
            return None
        if self.options.pool_size is not None:
            self._paces.append(Pace(self.schedule, self.reactor))
        elif not self._paces:
            self._paces.append(Pace(self.schedule, self.reactor, -(-self.clients // self.worker_count)))
        return self._paces[-1].enter(positions(self.options.arrivals, rng),
                                     perf_counter() + _HEAD_START_SECONDS)

    def leave(self, entry: Entry) -> None:
        """The client of that part has ended."""
        entry.pace.leave(entry)
        if entry.pace.is_empty:
            self._paces.remove(entry.pace)

    def change_rate(self, rate: float) -> None:
        """Another rate, of all clients of all workers together, from now on."""
        self.rate = rate
        if isinstance(self.schedule, SteadyRate):
            self.schedule.change(rate / self.clients, perf_counter())
            for pace in self._paces:
                pace.reschedule()
            self.reactor.wake_all()

    def drain(self) -> Batch:
        """Take what was measured so far, and what the schedule wanted in each second that has ended."""
        batch = self.recorder.drain()
        ended = int(time.time())
        for second in range(max(self._offered_until, ended - _LONGEST_GAP_SECONDS), ended):
            boundary = perf_counter() - time.time() + second + 1.0
            count = sum(pace.offered_until(boundary) for pace in self._paces)
            if count:
                batch.offered.append((second, count))
        self._offered_until = ended
        return batch

    def next_client(self) -> int:
        """The number of a client that starts, from 0; no two of all workers share one."""
        self.started_clients += 1
        self.is_through.clear()
        return (self.started_clients - 1) * self.worker_count + self.worker_index

    def quota(self, client: int) -> int | None:
        """How many operations that client plays; None without end."""
        if self.options.iterations is None:
            return None
        each, rest = divmod(self.options.iterations, self.clients)
        return each + (client % self.clients < rest)

    def client_is_through(self) -> None:
        """One of our clients has played its share."""
        self.clients_through += 1
        if self.clients_through == self.started_clients:
            self.is_through.set()


def current_campaign(environment: Environment) -> Campaign | None:
    """The campaign of this process; None before it has one."""
    return getattr(environment, _ATTRIBUTE, None)


def set_campaign(environment: Environment, campaign: Campaign) -> None:
    """Make it this process' campaign: Locust hands its environment to users and listeners alike."""
    setattr(environment, _ATTRIBUTE, campaign)
