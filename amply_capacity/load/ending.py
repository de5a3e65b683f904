"""How a Locust process of ours ends: on its signals, once, and with what its workers measured last."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import locust.runners
import locust.stats
from locust.env import Environment
from locust.rpc import Message

__all__ = ["EarlySignals", "end_test", "gather_last_reports", "only_once", "quit_on_interrupt", "terminable",
           "write_csv_once_more"]

_INTERRUPTED, _TERMINATED = 130, 143  # as a shell reports SIGINT and SIGTERM
_LAST_REPORTS_SECONDS = 15.0


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within: SIGTERM and SIGINT raise KeyboardInterrupt, so that what was started is tidied up.

    In this greenlet, where it waits next: the one that happens to run would print a traceback first, and what
    is raised between two instructions is swallowed in a finaliser, or leaves a lock held. At the end of the
    block at the latest.
    """
    here, hub = gevent.getcurrent(), gevent.get_hub()
    interrupts: list[Any] = []

    def interrupt(*_: object) -> None:
        if not interrupts:
            interrupts.append(hub.loop.run_callback(here.throw, KeyboardInterrupt()))

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
        if interrupts:
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for callback in interrupts:
            callback.stop()


class EarlySignals:
    """SIGINT and SIGTERM between the preparation and the load, while a master waits for its workers.

    Locust's main greenlet heeds neither there. `abandon` has to tidy up; then the process ends.
    """

    def __init__(self, environment: Environment, abandon: Callable[[], None]) -> None:
        self._environment, self._abandon = environment, abandon
        self._is_over = False
        self._termination: Any = None
        if environment.parsed_options.headless:
            self._termination = gevent.signal_handler(signal.SIGTERM, self.end, _TERMINATED)

    def end(self, code: int = _INTERRUPTED) -> bool:
        """End the process unless the load has begun; whether it does."""
        if self._is_over:
            return False
        self._is_over = True
        self._environment.runner.quit()
        self._abandon()
        gevent.kill(gevent.get_hub().parent, SystemExit(code))
        return True

    def over(self) -> None:
        """The load begins: from here on the signals are Locust's."""
        self._is_over = True
        if self._termination is not None:
            self._termination.cancel()
            self._termination = None


def quit_on_interrupt(environment: Environment, early: EarlySignals | None = None) -> None:
    """End as at the end of the run time on Ctrl-C, with the web page as Locust does; on a second one at once.

    Python would raise KeyboardInterrupt in whichever user's greenlet is running, with a traceback.
    """
    has_page = not environment.parsed_options.headless and not environment.parsed_options.worker
    interrupts: list[Any] = []

    def interrupt() -> None:
        interrupts.append(signal.SIGINT)
        if len(interrupts) > 1:
            os._exit(_INTERRUPTED)  # the server ends with us; the run can be recovered
        if has_page:  # it ends when the main greenlet is interrupted
            gevent.kill(gevent.get_hub().parent, KeyboardInterrupt())
        elif early is None or not early.end():
            environment.runner.quit()

    gevent.signal_handler(signal.SIGINT, interrupt)


def end_test(environment: Environment) -> None:
    """End the test, soon, as at the end of the run time: the web page stays, and its workers, for another."""
    runner = environment.runner
    gevent.spawn(runner.quit if environment.parsed_options.headless else runner.stop)


def gather_last_reports(master: Any) -> None:
    """Have the workers quit, and wait until each has sent what it measured last, some seconds at most.

    Without the web page a test's end is the workers' end as well, but Locust gives them half a second only.
    """
    at_work = {locust.runners.STATE_RUNNING, locust.runners.STATE_SPAWNING}
    for worker in master.clients.all:
        master.server.send_to_client(Message("quit", None, worker.id))
    deadline = time.monotonic() + _LAST_REPORTS_SECONDS
    while any(worker.state in at_work for worker in master.clients.all) and time.monotonic() < deadline:
        gevent.sleep(0.05)


def write_csv_once_more() -> None:
    """Let Locust's --csv, written on a beat of its own, have the last figures, and no beat after that one.

    A later one would find its files closed.
    """
    beat_seconds, locust.stats.CSV_STATS_INTERVAL_SEC = locust.stats.CSV_STATS_INTERVAL_SEC, 3600.0
    gevent.sleep(beat_seconds + 0.1)


def only_once(calls: list[int]) -> None:
    """Return to the first caller only; the others wait for the end.

    On SIGTERM Locust shuts down in the signal's greenlet and, as soon as the runner has quit, in the main one
    as well; in one more for each further signal, and `timeout` sends two. The first closes the run and exits:
    that ends the others, wherever they wait.
    """
    calls.append(os.getpid())
    while len(calls) > 1:
        gevent.sleep(1.0)
