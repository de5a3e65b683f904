"""A scenario from start to end: the target, the pre-fill, the recording, and the tidying up.

Runs inside Locust: `scenario(...)` at the end of a locustfile connects it to Locust's events. One process (the local
runner, or the master) owns the target and the run; workers measure and report to it with Locust's own messages.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import locust
import locust.runners
from locust.env import Environment

from amply_capacity import __version__
from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import AmplyError
from amply_capacity.files import RUNS_DIR
from amply_capacity.load import messages
from amply_capacity.load.console import feed
from amply_capacity.load.options import Options, add_options, read_options
from amply_capacity.load.prefill import fill
from amply_capacity.load.recorder import Batch, Recorder
from amply_capacity.load.verdict import judge
from amply_capacity.progress import say
from amply_capacity.run.schema import SCHEMA_VERSION
from amply_capacity.run.writer import RunWriter
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.target.info import InfoSample, command_deltas, sample, server_row
from amply_capacity.traffic.application import Application
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan
from amply_capacity.traffic.working_set import WorkingSet

__all__ = ["Campaign", "current_campaign", "scenario"]

_ATTRIBUTE = "amply_campaign"


class Campaign:
    """What one generator process needs to play its part: endpoint, population, application, recorder."""

    def __init__(self, options: Options, endpoint: Endpoint, shape: PopulationShape, *,
                 worker_index: int = 0, worker_count: int = 1, clients: int = 1) -> None:
        self.options = options
        self.endpoint = endpoint
        self.shape = shape
        self.recorder = Recorder()
        self.rate_per_client = (options.rate or 0.0) / max(clients, 1)
        self._worker = worker_index, worker_count
        self._application: Application | None = None
        self._clients = 0

    def application(self) -> Application:
        """This process' application: its clients share one, as the requests of one API process do."""
        if self._application is None:
            index, count = self._worker
            self._application = Application(
                Population(self.shape, index, count), seed=self.options.seed * 1009 + index,
                compute_seconds=self.options.compute_seconds,
            )
        return self._application

    def next_client_number(self) -> str:
        """A name for a client's random stream, not shared with another client of any worker."""
        self._clients += 1
        return f"{self._worker[0]}/{self._clients}"


class _Director:
    """The owner of a run: prepares the target, records, closes. One per `locust` call."""

    def __init__(self, name: str, environment: Environment, options: Options, working_set: WorkingSet) -> None:
        self.name, self.environment, self.options, self.working_set = name, environment, options, working_set
        self._own_cluster: clusters.Cluster | None = None
        self._control: Any = None
        self._greenlets: list[Any] = []
        self._statistics_began: InfoSample | None = None
        self._last_info: InfoSample | None = None
        self._failure: AmplyError | None = None

    def prepare(self) -> Campaign:
        """Target, run directory, pre-fill. Raises AmplyError; nothing of ours is left behind then."""
        options, working_set = self.options, self.working_set
        if options.users is not None:
            working_set = working_set.scaled_to(options.users)
        try:
            self._take_target(working_set)
            self._check_run_dir()
            shape = PopulationShape(
                users=working_set.users, organisations=working_set.organisations, api_keys=working_set.api_keys,
                sessions_per_user=working_set.sessions_per_user, stale_share=working_set.stale_share,
                seed=options.seed,
            )
            filled = self._prefill(shape, working_set)
            self._open_run(shape, filled)
        except BaseException:
            self._release_target()
            raise
        clients = getattr(self.environment.parsed_options, "num_users", None) or 1
        return Campaign(options, self._target.endpoint, shape, clients=clients)

    def begin(self) -> None:
        """The measured phase begins: statistics from here on, one sample of the server a second."""
        if self._target.cluster is not None:
            self._control.config_resetstat()
        self._statistics_began = self._last_info = sample(self._control, self._node)
        self._event("phase", "measured", users=self.environment.parsed_options.num_users)
        self._greenlets = [gevent.spawn(self._sample_every_second)]

    def end(self) -> None:
        """The measured phase has ended (again, where the web page starts it several times)."""
        self._event("phase", "ended")

    def take(self, batch: Batch) -> None:
        """Write what a process measured, and tell Locust's statistics. A full disk ends the test, keeping the run."""
        errors = [(detail["use_case"], detail["operation"], event["name"], detail["count"]) for event in batch.events
                  if event["kind"] == "error" and (detail := json.loads(event["detail"]))]
        feed(self.environment.stats, batch.requests, errors)
        with self._surviving():
            self._writer.append("requests", batch.requests)
            self._writer.append("accesses", batch.accesses)
            self._writer.append("events", batch.events)

    def close(self, interrupted: bool = False) -> None:
        """Write the last figures and the verdict, tidy the target up, and say where the run is."""
        for greenlet in self._greenlets:
            greenlet.kill()
        try:
            if self._statistics_began is not None:
                with contextlib.suppress(Exception):  # the server may be gone: the run says so by what it lacks
                    now = sample(self._control, self._node)
                    self._writer.append("commands", command_deltas(self._statistics_began, now))
            with self._surviving():
                verdict, reason = ("partial", "it was broken off") if interrupted or self._failure else ("complete", "")
                self._writer.close(ended_at=_now_text())
                if verdict == "complete":
                    verdict, reason = judge(self._writer.directory, self.options.arrivals)
                self._writer.amend(verdict=verdict, verdict_reason=reason)
        finally:
            self._release_target()
        if self._failure is None:
            say(f"run         {self._writer.directory}  ({verdict}{': ' + reason if reason else ''})")

    def _take_target(self, working_set: WorkingSet) -> None:
        options = self.options
        if options.target is None:
            node = node_type(options.node_type or working_set.node_type)
            self._own_cluster = clusters.start(
                node=node, maxmemory_bytes=options.maxmemory_bytes,
                reserved_memory_percent=working_set.reserved_memory_percent,
            )
            self._target = guard.Target(self._own_cluster.endpoint, self._own_cluster)
            say(f"cluster     {self._own_cluster.engine} {self._own_cluster.version} as {node.name} "
                f"({self._own_cluster.maxmemory_bytes / 2**20:.0f} MiB) at {self._target.endpoint.url}")
        else:
            self._target = guard.resolve(options.target)
        self._control = guard.admit(self._target)
        if self._target.cluster is None:
            guard.clean(self._control)  # what a killed run of ours left on a marked server
        self._node = f"{self._target.endpoint.host}:{self._target.endpoint.port}"

    def _check_run_dir(self) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{self.name}-{secrets.token_hex(3)}"
        self._run_dir = self.options.run_dir or RUNS_DIR / name
        self._run_name = name

    def _prefill(self, shape: PopulationShape, working_set: WorkingSet) -> list[dict[str, Any]]:
        if self.options.prefill == 0.0:
            return []
        share = self.options.prefill
        plan = prefill_plan(
            Population(shape), share, datetime.now(UTC).replace(tzinfo=None),
            counters=round(working_set.counters * share), cached=round(working_set.cached * share),
            results=round(working_set.results * share), seed=self.options.seed,
        )
        return fill(self._target.endpoint, self._control, self._node, plan)

    def _open_run(self, shape: PopulationShape, filled: list[dict[str, Any]]) -> None:
        options, cluster = self.options, self._target.cluster
        info = self._control.info("everything")
        parsed = self.environment.parsed_options
        self._writer = RunWriter(self._run_dir, {
            "run": self._run_name, "scenario": self.name, "started_at": _now_text(),
            "arrivals": options.arrivals, "rate_per_second": options.rate, "seed": options.seed,
            "locust_users": parsed.num_users, "mix": dict(self._mix()), "population": asdict(shape),
            "prefill": {"share": options.prefill, "classes": filled},
            "think_time_seconds": options.think_time_seconds, "compute_seconds": options.compute_seconds,
            "target": {"url": self._target.endpoint.url, "kind": "local cluster" if cluster else "endpoint",
                       "topology": cluster.topology if cluster else None,
                       "node_type": cluster.node_type if cluster else None,
                       "reserved_memory_percent": cluster.reserved_memory_percent if cluster else None},
            "emulated": ["CPUUtilization", "FreeableMemory"] if cluster and cluster.node_type else [],
            "server": {
                "engine": "valkey" if "valkey_version" in info else "redis",
                "version": str(info.get("valkey_version") or info["redis_version"]),
                "allocator": info.get("mem_allocator"), "used_memory_startup": info.get("used_memory_startup"),
                "config": _configuration(self._control),
            },
            "generator": {"host_cores": os.cpu_count(), "processes": self._workers(), "python":
                          platform.python_version(), "machine": platform.machine(), "system": platform.system()},
            "versions": {"amply_capacity": __version__, "locust": locust.__version__, "schema": SCHEMA_VERSION},
        })
        for one in filled:
            self._event("phase", f"prefill:{one['name']}", **one)

    def _mix(self) -> dict[str, int]:
        if self.options.mix is not None:
            return self.options.mix
        return {name: weight for one in self.environment.user_classes for name, weight in one.default_mix.items()}

    def _workers(self) -> int:
        runner = self.environment.runner
        if isinstance(runner, locust.runners.MasterRunner):
            return int(self.environment.parsed_options.expect_workers)
        return 1

    def _sample_every_second(self) -> None:
        while True:
            gevent.sleep(1.0 - time.time() % 1.0)
            try:
                now = sample(self._control, self._node)
            except Exception as error:  # the target is away: the run shows the gap, and why
                self._event("error", f"INFO failed: {error}")
                continue
            if self._last_info is not None:
                row = server_row(self._last_info, now, self._emulated_node())
                with self._surviving():
                    self._writer.append("server", [row])
            self._last_info = now

    def _emulated_node(self) -> Any:
        cluster = self._target.cluster
        return node_type(cluster.node_type) if cluster and cluster.node_type else None

    def _event(self, kind: str, name: str, /, **detail: Any) -> None:
        with self._surviving():
            self._writer.append("events", [{"time_s": time.time(), "kind": kind, "name": name,
                                            "detail": json.dumps(detail)}])

    def _release_target(self) -> None:
        if self._control is not None:
            with contextlib.suppress(Exception):
                if self._own_cluster is None and self._target.cluster is None:
                    guard.clean(self._control)
                self._control.close()
            self._control = None
        if self._own_cluster is not None:
            clusters.stop(self._own_cluster)
            self._own_cluster = None

    @contextlib.contextmanager
    def _surviving(self) -> Any:
        try:
            yield
        except AmplyError as error:
            if self._failure is None:
                self._failure = error
                say(f"locust: {error}")
                self.environment.process_exit_code = error.exit_code
                gevent.spawn(self.environment.runner.quit)


def current_campaign(environment: Environment) -> Campaign:
    """The campaign of this process. Only within a scenario's run."""
    campaign: Campaign = getattr(environment, _ATTRIBUTE)
    return campaign


def scenario(name: str, working_set_of: Callable[[Path], WorkingSet]) -> None:
    """Make the locustfile that calls this a scenario of ours: options, target, pre-fill and recording.

    `working_set_of` reads a demand file; it is handed in, since demand is the plan's business, above the load's.
    """
    events = locust.events

    @events.init_command_line_parser.add_listener
    def _options(parser: Any) -> None:
        add_options(parser)

    @events.init.add_listener
    def _init(environment: Environment, **_: Any) -> None:
        if environment.parsed_options is None:
            return
        try:
            if isinstance(environment.runner, locust.runners.WorkerRunner):
                _start_worker(environment)
            else:
                _start_owner(name, environment, working_set_of)
        except AmplyError as error:
            print(f"locust: {error}", file=sys.stderr)
            sys.exit(error.exit_code)


def _start_owner(name: str, environment: Environment, working_set_of: Callable[[Path], WorkingSet]) -> None:
    options = read_options(environment.parsed_options)
    _apply_mix(environment, options)
    parsed = environment.parsed_options
    if parsed.num_users is None and parsed.headless:
        parsed.num_users = 1
    director = _Director(name, environment, options, working_set_of(options.demand))
    campaign = director.prepare()
    setattr(environment, _ATTRIBUTE, campaign)
    distributed = isinstance(environment.runner, locust.runners.MasterRunner)
    if distributed:
        messages.instruct_workers(parsed, campaign)
    interrupted = {"by": ""}

    @environment.events.test_start.add_listener
    def _begin(**_: Any) -> None:
        campaign.recorder.drain()
        director.begin()

    @environment.events.test_stop.add_listener
    def _end(**_: Any) -> None:
        director.end()

    @environment.events.worker_report.add_listener
    def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        batch = messages.unpack(data)
        if batch is not None:
            director.take(batch)

    @environment.events.quit.add_listener
    def _quit(**_: Any) -> None:
        drainer.kill()
        director.take(campaign.recorder.drain())
        director.close(interrupted=bool(interrupted["by"]))

    drainer = gevent.spawn(_drain_every_second, campaign, director.take)


def _start_worker(environment: Environment) -> None:
    locust.runners.WORKER_REPORT_INTERVAL = 1.0  # what a killed worker had measured is lost for a second at most

    @environment.events.test_start.add_listener
    def _begin(**_: Any) -> None:
        campaign = messages.campaign_of_worker(environment)
        setattr(environment, _ATTRIBUTE, campaign)
        _apply_mix(environment, campaign.options)
        gevent.spawn(_watch_generator, campaign.recorder)

    @environment.events.report_to_master.add_listener
    def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        campaign = getattr(environment, _ATTRIBUTE, None)
        if campaign is not None:
            messages.pack(campaign.recorder.drain(), data)


def _apply_mix(environment: Environment, options: Options) -> None:
    from amply_capacity.load.user import operation_tasks

    if options.mix is not None:
        for user_class in environment.user_classes:
            user_class.tasks = [task for task, weight in operation_tasks(options.mix).items() for _ in range(weight)]


def _drain_every_second(campaign: Campaign, take: Callable[[Batch], None]) -> None:
    watcher = gevent.spawn(_watch_generator, campaign.recorder)
    try:
        while True:
            gevent.sleep(1.0)
            take(campaign.recorder.drain())
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


def _configuration(control: Any) -> dict[str, str]:
    """The settings that the models depend on. Absent where CONFIG is refused, as on ElastiCache."""
    wanted = ("maxmemory", "maxmemory-policy", "maxmemory-samples", "maxclients", "timeout", "hz", "appendonly", "save",
              "io-threads", "activedefrag", "lazyfree-lazy-eviction")
    try:
        return {name: value for name in wanted for value in control.config_get(name).values()}
    except Exception:
        return {}


def _now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


