"""The owner of a run: it prepares the target, records, closes, and tidies up whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import gevent
import locust
import locust.runners
from locust.env import Environment

from amply_capacity import __version__
from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import AmplyError
from amply_capacity.files import RUNS_DIR
from amply_capacity.load.campaign import Campaign
from amply_capacity.load.console import feed
from amply_capacity.load.options import Options
from amply_capacity.load.prefill import fill
from amply_capacity.load.recorder import Batch
from amply_capacity.load.verdict import judge
from amply_capacity.progress import say
from amply_capacity.run.schema import SCHEMA_VERSION
from amply_capacity.run.writer import RunWriter, check_free
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.endpoint import explained
from amply_capacity.target.info import InfoSample, command_deltas, sample, server_row
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan
from amply_capacity.traffic.working_set import WorkingSet

__all__ = ["Director"]

_EARLY_SECONDS = 1.0  # a run time that is missed by more was not served


class Director:
    """The owner of a run: prepares the target, records, closes. One per `locust` call."""

    def __init__(
        self, name: str, environment: Environment, options: Options, working_set: WorkingSet
    ) -> None:
        self.name, self.environment, self.options, self.working_set = name, environment, options, working_set
        self.failure: AmplyError | None = None
        """What ended the recording before its time."""
        self._own_cluster: clusters.Cluster | None = None
        self._control: Any = None
        self._greenlets: list[Any] = []
        self._statistics_began: InfoSample | None = None
        self._last_info: InfoSample | None = None
        self._began_s: float | None = None
        self._ended_s: float | None = None

    def prepare(self) -> Campaign:
        """Target, run directory, pre-fill. Raises AmplyError; nothing of ours is left behind then."""
        options, working_set = self.options, self.working_set
        if options.users is not None:
            working_set = working_set.scaled_to(options.users)
        shape = PopulationShape(
            users=working_set.users, organisations=working_set.organisations,
            api_keys=working_set.api_keys, sessions_per_user=working_set.sessions_per_user,
            stale_share=working_set.stale_share, seed=options.seed,
        )
        self._choose_run_dir()
        try:
            self._take_target(working_set)
            with explained(self._target.endpoint):
                filled = self._prefill(shape, working_set)
                self._open_run(shape, filled)
        except BaseException:
            self._release_target()
            raise
        clients = getattr(self.environment.parsed_options, "num_users", None) or 1
        return Campaign(options, self._target.endpoint, shape, clients=clients)

    def begin(self) -> None:
        """The measured phase begins: statistics from here on, one sample of the server a second."""
        with self._surviving(), explained(self._target.endpoint):
            if self._target.cluster is not None:
                self._control.config_resetstat()
            self._statistics_began = self._last_info = sample(self._control, self._node)
        self._began_s, self._ended_s = time.time(), None
        self._event("phase", "measured", users=self.environment.parsed_options.num_users)
        self._greenlets = [gevent.spawn(self._sample_every_second)]

    def end(self) -> None:
        """The measured phase has ended (again, where the web page starts it several times)."""
        self._ended_s = time.time()
        self._event("phase", "ended")

    def take(self, batch: Batch) -> None:
        """Write what a process measured and tell Locust's statistics; a full disk ends the test."""
        errors = [(detail["use_case"], detail["operation"], event["name"], detail["count"])
                  for event in batch.events
                  if event["kind"] == "error" and (detail := json.loads(event["detail"]))]
        feed(self.environment.stats, batch.requests, errors)
        with self._surviving():
            self._writer.append("requests", batch.requests)
            self._writer.append("accesses", batch.accesses)
            self._writer.append("events", batch.events)

    def close(self) -> None:
        """Write the last figures and the verdict, tidy the target up, and say where the run is."""
        for greenlet in self._greenlets:
            greenlet.kill()
        try:
            if self._statistics_began is not None:
                with contextlib.suppress(Exception):  # the server may be gone: the run then lacks them
                    now = sample(self._control, self._node)
                    self._writer.append("commands", command_deltas(self._statistics_began, now))
            with self._surviving():
                self._writer.close(ended_at=_now_text())
                verdict, reason = self._verdict()
                self._writer.amend(verdict=verdict, verdict_reason=reason)
                say(f"run         {self._writer.directory}  ({verdict}{': ' + reason if reason else ''})")
        finally:
            self._release_target()

    def _verdict(self) -> tuple[str, str]:
        if self.failure is not None:
            return "partial", f"it was broken off: {self.failure.what}"
        wanted = self.environment.parsed_options.run_time
        began, ended = self._began_s, self._ended_s or time.time()
        if wanted and began is not None and ended - began < wanted - _EARLY_SECONDS:
            return "partial", f"it was broken off after {ended - began:.0f} of {wanted} s"
        return judge(self._writer.directory, self.options.arrivals)

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
        with explained(self._target.endpoint):
            if self._target.cluster is None:
                guard.begin_load(self._control)
            elif self._own_cluster is None:
                guard.clean(self._control)  # an earlier run's keys would be counted as this one's
        self._node = f"{self._target.endpoint.host}:{self._target.endpoint.port}"

    def _choose_run_dir(self) -> None:
        self._run_name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{self.name}-{secrets.token_hex(3)}"
        self._run_dir = self.options.run_dir or RUNS_DIR / self._run_name
        check_free(self._run_dir)

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
                "allocator": info.get("mem_allocator"),
                "used_memory_startup": info.get("used_memory_startup"),
                "config": _configuration(self._control),
            },
            "generator": {"host_cores": os.cpu_count(), "processes": self._workers(),
                          "python": platform.python_version(), "machine": platform.machine(),
                          "system": platform.system()},
            "versions": {"amply_capacity": __version__, "locust": locust.__version__,
                         "schema": SCHEMA_VERSION},
        })
        for one in filled:
            self._event("phase", f"prefill:{one['name']}", **one)

    def _mix(self) -> dict[str, int]:
        if self.options.mix is not None:
            return self.options.mix
        return {name: weight for one in self.environment.user_classes
                for name, weight in one.default_mix.items()}

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
                if self._target.cluster is None:
                    guard.end_load(self._control)
                self._control.close()
            self._control = None
        if self._own_cluster is not None:
            clusters.stop(self._own_cluster)
            self._own_cluster = None

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except AmplyError as error:
            if self.failure is None:
                self.failure = error
                say(f"locust: {error}")
                self.environment.process_exit_code = error.exit_code
                gevent.spawn(self.environment.runner.quit)


def _configuration(control: Any) -> dict[str, str]:
    """The settings that the models depend on. Absent where CONFIG is refused, as on ElastiCache."""
    wanted = ("maxmemory", "maxmemory-policy", "maxmemory-samples", "maxclients", "timeout", "hz",
              "appendonly", "save", "io-threads", "activedefrag", "lazyfree-lazy-eviction")
    try:
        return {name: value for name in wanted for value in control.config_get(name).values()}
    except Exception:
        return {}


def _now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
