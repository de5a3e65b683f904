"""The owner of a run: it prepares the target, records, closes, and tidies up whatever happens."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import time
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
from amply_capacity.load.recording import Recording
from amply_capacity.load.wire import Begin, Close, Event, Open, RawBatch
from amply_capacity.progress import say
from amply_capacity.run.folder import check_free
from amply_capacity.run.schema import SCHEMA_VERSION
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.endpoint import explained
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
        self._recording.send(Begin(self.environment.parsed_options.num_users or 0, time.time()))
        self._recording.settle()  # nothing is sent before the server's statistics have begun
        self._began_s, self._ended_s = time.time(), None

    def end(self) -> None:
        """The measured phase has ended (again, where the web page starts it several times)."""
        self._ended_s = time.time()
        self._event("phase", "ended")

    def take(self, batch: RawBatch) -> None:
        """Hand over what a process measured; Locust's statistics follow when it has been counted."""
        self._recording.send(batch)

    def settle(self) -> None:
        """Wait until everything handed over so far stands in Locust's statistics."""
        self._recording.settle()

    def close(self) -> None:
        """Write the last figures and the verdict, tidy the target up, and say where the run is."""
        try:
            closed = self._recording.close(Close(_now_text(), self._broken_off()))
            if closed:
                reason = closed["reason"]
                say(f"run         {self._run_dir}  ({closed['verdict']}{': ' + reason if reason else ''})")
        finally:
            self._release_target()

    def _broken_off(self) -> str:
        if self.failure is not None:
            return f"it was broken off: {self.failure.what}"
        wanted = self.environment.parsed_options.run_time
        began, ended = self._began_s, self._ended_s or time.time()
        if wanted and began is not None and ended - began < wanted - _EARLY_SECONDS:
            return f"it was broken off after {ended - began:.0f} of {wanted} s"
        return ""

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
        manifest = {
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
        }
        self._recording = Recording(
            Open(self._run_dir, manifest, self._target.endpoint, self._node,
                 cluster.node_type if cluster else None, cluster is not None),
            on_console=self._show, on_failure=self._fail)
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

    def _show(self, answer: dict[str, Any]) -> None:
        feed(self.environment.stats, answer["console"], answer["errors"])

    def _event(self, kind: str, name: str, /, **detail: Any) -> None:
        self._recording.send(Event(kind, name, detail, time.time()))

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

    def _fail(self, error: AmplyError) -> None:
        """The recording cannot go on: say it, keep what there is, end the test."""
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
