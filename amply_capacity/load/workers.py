"""The master's view of its workers: who plays which share, who reports, who was lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.progress import say
from amply_capacity.run.worker_events import LOST, REJOINED

__all__ = ["Crew", "in_locusts_order"]

_SKEW_SECONDS = 0.5  # beyond it, a worker's seconds are not the master's


@dataclass(slots=True)
class _Worker:
    share: int
    last_report_s: float | None = None
    is_lost: bool = False
    clients: int = 0
    through: int = 0
    is_skewed: bool = False


def in_locusts_order(worker_ids: Iterable[str]) -> list[str]:
    """As Locust starts users on workers, one after the other (`locust.dispatch`): the first of each host, by
    id, then the second of each.

    Where users cannot be divided evenly, those with one more are the first of these.
    """
    ahead: Counter[str] = Counter()
    places = {}
    for worker_id in sorted(worker_ids):
        host = worker_id.split("_")[0]
        places[worker_id] = ahead[host]
        ahead[host] += 1
    return sorted(places, key=lambda worker_id: (places[worker_id], worker_id))


class Crew:
    """Workers by Locust's id (`host_<32 hex>`), each with its share of the population, counted from 0.

    `note` takes an event's name and details. A worker that is lost, or comes back or late, is an event, and
    one line on stderr at once.
    """

    def __init__(self, expected: int, note: Callable[..., None],
                 clock: Callable[[], float] = time.time) -> None:
        self.count = expected
        """Shares that the population is divided into."""
        self._note, self._clock = note, clock
        self._workers: dict[str, _Worker] = {}
        self._began = False

    @property
    def shares(self) -> dict[str, int]:
        """The share of each worker."""
        return {name: worker.share for name, worker in self._workers.items()}

    def admit(self, worker_id: str) -> None:
        """A worker has connected: it gets a share that nobody plays, else one that somebody plays too."""
        if worker_id in self._workers:
            return
        played = {worker.share for worker in self._workers.values() if not worker.is_lost}
        free = next((share for share in range(self.count) if share not in played), None)
        if free is None and not self._began:
            free, self.count = self.count, self.count + 1
        share = len(self._workers) % self.count if free is None else free
        self._workers[worker_id] = _Worker(share)
        if self._began:
            also = ", which another worker plays too" if free is None else ""
            self._tell("worker joined", worker_id, f"joined late and plays share {share}{also}")

    def begin(self) -> None:
        """The load begins, the first or another of the web page: the shares are settled."""
        self._began = True
        for worker in self._workers.values():
            worker.clients = worker.through = 0  # of the load before

    def has_played(self, clients: int) -> bool:
        """Whether all of so many clients, but for those of lost workers, have played their `--iterations`."""
        workers = self._workers.values()
        left = [worker for worker in workers if not worker.is_lost]
        # A report of before its last clients were started says less than there is to play.
        are_there = len(left) < len(workers) or sum(worker.clients for worker in left) >= clients
        return are_there and any(worker.clients for worker in left) and all(
            worker.through == worker.clients for worker in left)

    def report(self, worker_id: str, sent_s: float | None, clients: int = 0, through: int = 0) -> None:
        """A report has arrived, sent at `sent_s` by the worker's own clock: so many of its clients, which
        were started, are through with their share."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return
        now = self._clock()
        worker.last_report_s, worker.clients, worker.through = now, clients, through
        if worker.is_lost:
            self._came_back(worker_id, worker)
        if sent_s is not None and abs(now - sent_s) > _SKEW_SECONDS and not worker.is_skewed:
            worker.is_skewed = True
            self._note("clock skew", worker_id=worker_id, worker=worker.share, seconds=round(sent_s - now, 3))
            say(f"locust: the clock of worker {worker_id} is {abs(sent_s - now):.1f} s "
                f"{'ahead' if sent_s > now else 'behind'}: its seconds are recorded as it counts them; "
                "synchronise the hosts' clocks")

    def check(self, at_work: Mapping[str, bool]) -> bool:
        """Compare with what Locust knows: workers by id, and whether each still answers. Whether any is left.

        A worker that Locust no longer lists has quit in the middle of the load; that too is a loss.
        """
        if not self._began:
            return True
        for name, worker in self._workers.items():
            if not at_work.get(name, False) and not worker.is_lost:
                worker.is_lost = True
                ago = "it never reported" if worker.last_report_s is None else (
                    f"its last report came {self._clock() - worker.last_report_s:.0f} s ago")
                self._tell(LOST, name, f"was lost: {ago}; its data up to then is kept")
            elif at_work.get(name, False) and worker.is_lost:
                self._came_back(name, worker)
        return not self._workers or any(not worker.is_lost for worker in self._workers.values())

    def _came_back(self, worker_id: str, worker: _Worker) -> None:
        worker.is_lost = False
        self._tell(REJOINED, worker_id, "is back")

    def _tell(self, event: str, worker_id: str, words: str) -> None:
        worker = self._workers[worker_id]
        host = worker_id.rpartition("_")[0]
        detail: dict[str, Any] = {"worker_id": worker_id, "worker": worker.share, "host": host}
        if worker.last_report_s is not None:
            detail["last_second"] = int(worker.last_report_s)
        self._note(event, **detail)
        say(f"locust: worker {worker.share + 1} of {self.count} ({worker_id}) {words}")
