"""A scenario from start to end: what happens at each of Locust's events.

One process (the local runner, or the master) owns the target and the run; workers measure and report to it
with Locust's own messages. `scenario(...)` at the end of a locustfile makes it so.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust
import locust.runners
from locust.env import Environment
from locust.rpc import Message

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.load import messages
from amply_capacity.load.campaign import current_campaign, set_campaign
from amply_capacity.load.director import Director
from amply_capacity.load.ending import (
    EarlySignals,
    end_test,
    gather_last_reports,
    only_once,
    quit_on_interrupt,
    write_csv_once_more,
)
from amply_capacity.load.master_port import choose_port
from amply_capacity.load.options import Options, add_options, read_options
from amply_capacity.load.time_slice import ask_for_long_slices
from amply_capacity.load.watch import Watch
from amply_capacity.load.workers import Crew, in_locusts_order
from amply_capacity.progress import say
from amply_capacity.traffic.working_set import WorkingSet

__all__ = ["scenario"]

_AFTER_SECOND_SECONDS = 0.03
_MERGE_SECONDS = 0.1
"""What a fast load records meanwhile takes 0.2 ms to count."""
_RATE_MESSAGE = "amply_rate"
_SLOW_START_SECONDS = 2.0
_INTERRUPTED = 130  # as a shell reports SIGINT
# A master that is gone must not leave workers that load a server for Locust's minute.
_MASTER_SILENT_SECONDS = 10
_LOADING = (locust.runners.STATE_SPAWNING, locust.runners.STATE_RUNNING)


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

    def _choose_port(parser: ArgumentParser) -> None:
        # Once: for its web page Locust makes another parser, when the port is taken by this very master.
        events.init_command_line_parser.remove_listener(_choose_port)
        choose_port(parser)

    events.init_command_line_parser.add_listener(add_options)
    events.init_command_line_parser.add_listener(_choose_port)
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
    if options.arrivals != "closed":
        _start_at_once(parsed)
    _apply_mix(environment, options)
    if options.pool_size is not None:
        _check_tasks(environment)
    director = Director(name, environment, options, working_set_of(options.demand))
    campaign = director.prepare()
    set_campaign(environment, campaign)
    master = environment.runner if isinstance(environment.runner, locust.runners.MasterRunner) else None
    crew = Crew(int(parsed.expect_workers or 1) if master else 1, director.note_worker)
    closings: list[int] = []
    stopped_s: list[float] = []

    def abandon() -> None:
        """It ends before the load has begun."""
        if not closings:
            only_once(closings)
            director.close("it was ended before the load began")

    def change_rate(rate: float) -> None:
        if master is None:
            campaign.change_rate(rate)
        else:
            campaign.rate = rate  # for who joins from now on
            master.send_message(_RATE_MESSAGE, {"rate": rate})

    director.change_rate = change_rate
    early = EarlySignals(environment, abandon)

    def drain() -> None:
        director.take(campaign.drain())

    def instruct() -> None:
        messages.instruct_workers(parsed, campaign, crew.count, crew.shares)

    def begin(**_: Any) -> None:
        early.over()
        if master is not None:
            for worker_id in in_locusts_order(master.clients):
                crew.admit(worker_id)
            crew.begin()
            instruct()
            if options.arrivals == "closed":
                ask_for_long_slices()
        _spare_the_collector()
        campaign.drain()
        campaign.begin(parsed.num_users or 1)
        director.begin()

    def spawned(user_count: int, **_: Any) -> None:
        if campaign.rate is not None and user_count != campaign.clients:
            offered = campaign.rate * user_count / campaign.clients
            say(f"locust: {user_count} users offer {offered:,.0f} of the {campaign.rate:,.0f} operations/s "
                f"asked for: the load was begun with {campaign.clients}, of which each has its share")

    def connect(client_id: str, **_: Any) -> None:
        if crew.shares:  # else the load has not begun
            crew.admit(client_id)
            instruct()

    def stopping(**_: Any) -> None:
        stopped_s.append(time.time())  # users stop one by one from here on: no longer the load asked for

    def end(**_: Any) -> None:
        if master is not None:
            _check_workers(master, crew, director, is_ending=True)
        if parsed.headless and master is not None:
            gather_last_reports(master)
        drain()
        director.end(stopped_s[-1] if stopped_s else time.time())
        director.settle()

    def report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        batch = messages.unpack(data)
        if batch is not None:
            crew.report(client_id, messages.sent_s(data), *messages.clients_and_through(data))
            director.take(batch)

    def quitting(**_: Any) -> None:
        drain()
        director.settle()

    def close(exit_code: int, **_: Any) -> None:
        only_once(closings)
        drain()
        if parsed.csv_prefix:
            write_csv_once_more()
        director.close()
        if director.failure is not None and exit_code != director.failure.exit_code:
            sys.exit(director.failure.exit_code)  # it failed after Locust had made up its mind

    def every_second() -> None:
        """Until the run is being closed. Never killed: a batch on its way would be lost, or cut in half."""
        watcher = gevent.spawn(Watch(lambda: campaign, "master" if master else "alone").run)
        merging = gevent.spawn(_merge, environment)
        try:
            while not closings:
                drain()
                if master is not None and master.state in _LOADING:
                    _check_workers(master, crew, director)
                if environment.runner.state == locust.runners.STATE_RUNNING and (
                        crew.has_played(parsed.num_users or 1) if master else campaign.is_through.is_set()):
                    director.is_through = True
                    end_test(environment)
                # Just after a second has ended, so that the recording process has it whole.
                gevent.sleep(1.0 - time.time() % 1.0 + _AFTER_SECOND_SECONDS)
        finally:
            gevent.killall([watcher, merging])

    events = environment.events
    events.test_start.add_listener(begin)
    events.spawning_complete.add_listener(spawned)
    events.test_stopping.add_listener(stopping)
    events.test_stop.add_listener(end)  # all users have stopped: Locust's last table is printed after this
    events.worker_connect.add_listener(connect)
    events.worker_report.add_listener(report)
    events.quitting.add_listener(quitting)  # Locust decides on its exit code after this
    events.quit.add_listener(close)
    gevent.spawn(every_second)
    quit_on_interrupt(environment, early)
    atexit.register(abandon)  # a master that gave up waiting for its workers fires no event


def _start_at_once(parsed: Any) -> None:
    """Each user has its share of the schedule: it is offered whole once all have been started.

    So without `-r` they all are at once, and not one a second as Locust would.
    """
    if not parsed.spawn_rate:
        parsed.spawn_rate = parsed.num_users
        return
    seconds = parsed.num_users / parsed.spawn_rate
    if seconds > _SLOW_START_SECONDS:
        say(f"locust: its {parsed.num_users} users are all there, and the whole rate with them, after "
            f"{seconds:.0f} s: give a higher -r, or none, to have it from the start")


def _check_workers(master: Any, crew: Crew, director: Director, *, is_ending: bool = False) -> None:
    """Name the workers that were lost. One that has quit is lost, but for at the end, when they all do."""
    missing = locust.runners.STATE_MISSING
    at_work = {worker.id: worker.state != missing for worker in master.clients.all}
    if is_ending:
        at_work = {worker_id: at_work.get(worker_id, True) for worker_id in crew.shares}
    if not crew.check(at_work):
        director.fail(AmplyError("all workers are lost", got=f"{len(crew.shares)} of {len(crew.shares)}",
                                 do="look at their own words; start them again with the master"))


def _start_worker(environment: Environment) -> None:
    # What a killed worker had measured is lost for a second at most.
    locust.runners.WORKER_REPORT_INTERVAL = 1.0
    locust.runners.MASTER_HEARTBEAT_TIMEOUT = _MASTER_SILENT_SECONDS
    watch = Watch(lambda: current_campaign(environment), "worker")

    def begin(**_: Any) -> None:
        try:
            campaign = messages.campaign_of_worker(environment)
        except AmplyError as error:
            say(f"locust: {error}")
            environment.process_exit_code = error.exit_code
            environment.runner.quit()
            return
        is_first = current_campaign(environment) is None
        set_campaign(environment, campaign)
        _apply_mix(environment, campaign.options)
        watch.worker = campaign.worker_index
        if campaign.options.arrivals == "closed":
            ask_for_long_slices()
        if is_first:
            gevent.spawn(watch.run)
            gevent.spawn(_merge, environment)
        _spare_the_collector()

    def report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        campaign = current_campaign(environment)
        if campaign is not None:
            through = campaign.clients_through  # before the drain, which then holds the last of it
            messages.pack(campaign.drain(), data, campaign.started_clients, through)

    def change_rate(environment: Environment, msg: Message, **_: Any) -> None:
        campaign = current_campaign(environment)
        if campaign is not None:
            campaign.change_rate(float(msg.data["rate"]))

    quit_on_interrupt(environment)
    environment.runner.register_message(_RATE_MESSAGE, change_rate)
    environment.events.test_start.add_listener(begin)
    environment.events.report_to_master.add_listener(report)
    runner = environment.runner
    if runner.worker_state != locust.runners.STATE_INIT:
        # It joined a running load, whose first users were asked for before Locust let us know of it.
        begin()
        gevent.spawn(runner.start_worker, dict(runner.target_user_classes_count))
    if environment.parsed_options.processes:
        gevent.spawn(_quit_when_orphaned, environment, os.getppid())


def _merge(environment: Environment) -> None:
    """Count what is recorded while it comes, until killed."""
    while True:
        gevent.sleep(_MERGE_SECONDS)
        campaign = current_campaign(environment)
        if campaign is not None:
            campaign.recorder.merge()


def _spare_the_collector() -> None:
    """What there is before the load stays: looking through all of it again takes the loop 100 ms a time."""
    gc.collect()
    gc.freeze()


def _quit_when_orphaned(environment: Environment, parent: int) -> None:
    """End a forked worker whose parent was killed, within a second."""
    while os.getppid() == parent:
        gevent.sleep(0.5)
    environment.runner.quit()


def _check_tasks(environment: Environment) -> None:
    """A pool plays operations; a task with code of its own waits in its user's greenlet, one at a time."""
    from amply_capacity.load.user import RedisUser

    own = [f"{one.__name__}.{getattr(task, '__name__', task)}" for one in environment.user_classes
           for task in dict.fromkeys(one.tasks) if not hasattr(task, "bound")]
    own += [f"{one.__name__}.wait_time" for one in environment.user_classes
            if one.wait_time is not RedisUser.wait_time]
    if own:
        raise BadInput("--pool-size plays tasks that are operations, at the schedule's starts",
                       got=", ".join(own),
                       do="make them tasks that yield commands, under @plays(use_case, name), without a "
                          "wait_time of their own, or leave --pool-size out")


def _apply_mix(environment: Environment, options: Options) -> None:
    from amply_capacity.load.user import operation_tasks

    if options.mix is not None:
        for user_class in environment.user_classes:
            weighted = operation_tasks(options.mix).items()
            user_class.tasks = [task for task, weight in weighted for _ in range(weight)]
