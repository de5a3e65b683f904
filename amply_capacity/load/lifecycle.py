"""A scenario from start to end: what happens at each of Locust's events.

One process (the local runner, or the master) owns the target and the run; workers measure and report to it
with Locust's own messages. `scenario(...)` at the end of a locustfile makes it so.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust
import locust.runners
import locust.stats
from locust.env import Environment
from locust.rpc import Message

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.load import messages
from amply_capacity.load.campaign import Campaign, current_campaign, set_campaign
from amply_capacity.load.director import Director
from amply_capacity.load.options import Options, add_options, read_options
from amply_capacity.load.recorder import Recorder
from amply_capacity.progress import say
from amply_capacity.traffic.working_set import WorkingSet

__all__ = ["scenario"]

_INTERRUPTED = 130  # as a shell reports SIGINT
_LAST_REPORTS_SECONDS = 15.0


def scenario(name: str, working_set_of: Callable[[Path], WorkingSet]) -> None:
    """Make the locustfile that calls this a scenario of ours: options, target, pre-fill and recording.

    `working_set_of` reads a demand file; it is handed in, since demand is the plan's business, above the
    load's.
    """
    events = locust.events

    def _init(environment: Environment, **_: Any) -> None:
        if environment.parsed_options is None:
            return
        try:
            if isinstance(environment.runner, locust.runners.WorkerRunner):
                _start_worker(environment)
            else:
                _start_owner(name, environment, working_set_of)
        except AmplyError as error:
            say(f"locust: {error}")
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            say("locust: interrupted before the load began; nothing was recorded")
            sys.exit(_INTERRUPTED)

    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(_init)


def _start_owner(
    name: str, environment: Environment, working_set_of: Callable[[Path], WorkingSet]
) -> None:
    parsed = environment.parsed_options
    options = read_options(parsed)
    if parsed.num_users is None and parsed.headless:
        parsed.num_users = 1
    if options.arrivals != "closed" and parsed.num_users is None:
        raise BadInput("a schedule is shared out among a stated number of Locust users", got="no -u",
                       do=f"give -u with --arrivals {options.arrivals}")
    _apply_mix(environment, options)
    director = Director(name, environment, options, working_set_of(options.demand))
    campaign = director.prepare()
    set_campaign(environment, campaign)
    if isinstance(environment.runner, locust.runners.MasterRunner):
        messages.instruct_workers(parsed, campaign)

    closings: list[int] = []

    def drain() -> None:
        director.take(campaign.recorder.drain())

    def begin(**_: Any) -> None:
        campaign.recorder.drain()
        director.begin()

    def end(**_: Any) -> None:
        if parsed.headless and isinstance(environment.runner, locust.runners.MasterRunner):
            _gather_last_reports(environment.runner)
        drain()
        director.end()
        director.settle()

    def report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        batch = messages.unpack(data)
        if batch is not None:
            director.take(batch)

    def quitting(**_: Any) -> None:
        drain()
        director.settle()

    def close(exit_code: int, **_: Any) -> None:
        _only_once(closings)
        drain()
        if parsed.csv_prefix:
            _write_csv_once_more()
        director.close()
        if director.failure is not None and exit_code != director.failure.exit_code:
            sys.exit(director.failure.exit_code)  # it failed after Locust had made up its mind

    events = environment.events
    events.test_start.add_listener(begin)
    events.test_stop.add_listener(end)  # all users have stopped: Locust's last table is printed after this
    events.worker_report.add_listener(report)
    events.quitting.add_listener(quitting)  # Locust decides on its exit code after this
    events.quit.add_listener(close)
    gevent.spawn(_drain_every_second, campaign, drain, closings)
    _quit_on_interrupt(environment)


def _start_worker(environment: Environment) -> None:
    # What a killed worker had measured is lost for a second at most.
    locust.runners.WORKER_REPORT_INTERVAL = 1.0

    def begin(**_: Any) -> None:
        campaign = messages.campaign_of_worker(environment)
        set_campaign(environment, campaign)
        _apply_mix(environment, campaign.options)
        gevent.spawn(_watch_generator, campaign.recorder)

    def report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        campaign = current_campaign(environment)
        if campaign is not None:
            messages.pack(campaign.recorder.drain(), data)

    _quit_on_interrupt(environment)
    environment.events.test_start.add_listener(begin)
    environment.events.report_to_master.add_listener(report)


def _quit_on_interrupt(environment: Environment) -> None:
    """End as at the end of the run time on Ctrl-C; on a second one at once.

    Python would raise KeyboardInterrupt in whichever user's greenlet is running, with a traceback.
    """
    if not environment.parsed_options.headless and not environment.parsed_options.worker:
        return  # the web page ends when the main greenlet is interrupted
    interrupts = []

    def interrupt() -> None:
        interrupts.append(signal.SIGINT)
        if len(interrupts) > 1:
            os._exit(_INTERRUPTED)  # the server ends with us; the run can be recovered
        environment.runner.quit()

    gevent.signal_handler(signal.SIGINT, interrupt)


def _gather_last_reports(master: Any) -> None:
    """Have the workers quit, and wait until each has sent what it measured last, some seconds at most.

    Without the web page a test's end is the workers' end as well, but Locust gives them half a second only.
    """
    at_work = {locust.runners.STATE_RUNNING, locust.runners.STATE_SPAWNING}
    for worker in master.clients.all:
        master.server.send_to_client(Message("quit", None, worker.id))
    deadline = time.monotonic() + _LAST_REPORTS_SECONDS
    while any(worker.state in at_work for worker in master.clients.all) and time.monotonic() < deadline:
        gevent.sleep(0.05)


def _write_csv_once_more() -> None:
    """Let Locust's --csv, written on a beat of its own, have the last figures, and no beat after that one.

    A later one would find its files closed.
    """
    beat_seconds, locust.stats.CSV_STATS_INTERVAL_SEC = locust.stats.CSV_STATS_INTERVAL_SEC, 3600.0
    gevent.sleep(beat_seconds + 0.1)


def _only_once(calls: list[int]) -> None:
    """Return to the first caller only.

    On SIGTERM Locust shuts down in the signal's greenlet and, as soon as the runner has quit, in the main one
    as well. The first of the two closes the run and exits: that ends the main greenlet, wherever it waits.
    """
    calls.append(os.getpid())
    if len(calls) > 1:
        while gevent.getcurrent() is gevent.get_hub().parent:
            gevent.sleep(1.0)
        raise gevent.GreenletExit


def _apply_mix(environment: Environment, options: Options) -> None:
    from amply_capacity.load.user import operation_tasks

    if options.mix is not None:
        for user_class in environment.user_classes:
            weighted = operation_tasks(options.mix).items()
            user_class.tasks = [task for task, weight in weighted for _ in range(weight)]


def _drain_every_second(campaign: Campaign, drain: Callable[[], None], closings: list[int]) -> None:
    """Until the run is being closed. Never killed: a batch on its way out would be lost, or cut in half."""
    watcher = gevent.spawn(_watch_generator, campaign.recorder)
    try:
        while True:
            gevent.sleep(1.0)
            if closings:
                return
            drain()
    finally:
        watcher.kill()


def _watch_generator(recorder: Recorder) -> None:
    """Note this process' CPU and the lag of its event loop, every second."""
    while True:
        cpu, wall = time.process_time(), time.perf_counter()
        gevent.sleep(1.0)
        elapsed = time.perf_counter() - wall
        recorder.event("generator", "load", pid=os.getpid(), lag_ms=round(1000.0 * (elapsed - 1.0), 3),
                       cpu_percent=round(100.0 * (time.process_time() - cpu) / elapsed, 2))
