"""The owner of a run: it prepares the target, records, closes, and tidies up whatever happens."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import gevent
import locust
import locust.runners
from locust.env import Environment

from amply_capacity import __version__
from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.files import RUNS_DIR
from amply_capacity.load.campaign import Campaign
from amply_capacity.load.console import feed
from amply_capacity.load.ending import end_test, terminable
from amply_capacity.load.knee_words import knee_words
from amply_capacity.load.manifest import cores_here, generator_facts, now_text, server_facts, target_facts
from amply_capacity.load.options import Options
from amply_capacity.load.own_core import OwnCore
from amply_capacity.load.prefill import fill
from amply_capacity.load.recording import Recording
from amply_capacity.load.wire import Batch, Begin, Close, Event, Limits, Open, Search
from amply_capacity.progress import say
from amply_capacity.run.folder import check_free
from amply_capacity.run.schema import SCHEMA_VERSION
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard, loading
from amply_capacity.target.endpoint import Endpoint, explained
from amply_capacity.traffic.application import OPERATIONS
from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan
from amply_capacity.traffic.working_set import WorkingSet

if TYPE_CHECKING:
    from amply_capacity.load.foretold import Foretold

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
        self.change_rate: Callable[[float], None] = lambda rate: None
        """Tells all generators another rate; set by whoever knows them."""
        self.is_through = False
        """Whether it ended since all of `--iterations` were played."""
        self._own_cluster: clusters.Cluster | None = None
        self._host_cores = cores_here()
        self._own_core: OwnCore | None = None
        self._foretold: Foretold | None = None
        self._stopped = ""
        self._load: loading.Load | None = None
        self._topology = "single"
        self._recording: Recording | None = None
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
            stale_share=working_set.stale_share, seed=options.seed, multi_key=options.multi_key,
        )
        self._choose_run_dir()
        try:
            with terminable():
                self._foretell()
                self._take_target(working_set)
                self._place_server()
                clients = getattr(self.environment.parsed_options, "num_users", None) or 1
                campaign = Campaign(options, self._target, shape, topology=self._topology, clients=clients,
                                    peak_to_mean=working_set.peak_to_mean)
                with explained(self._target.endpoint):
                    filled = self._prefill(campaign, working_set)
                    self._open_run(campaign, filled)
                self.settle()  # its process is up: Locust starts the clock of --run-time next
        except BaseException:
            self.close("it was ended before the load began")
            raise
        return campaign

    def begin(self) -> None:
        """The measured phase begins: statistics from here on, one sample of the server a second."""
        self._send(Begin(self.environment.parsed_options.num_users or 0))
        self.settle()  # nothing is sent before the server's statistics have begun
        self._began_s, self._ended_s, self.is_through = time.time(), None, False

    def end(self, time_s: float) -> None:
        """The measured phase ended then (again, where the web page starts it several times)."""
        self._ended_s = time_s
        self._send(Event("phase", "ended", {}, time_s))

    def take(self, batch: Batch) -> None:
        """Hand over what a process measured; Locust's statistics follow when it has been counted."""
        self._send(batch)

    def settle(self) -> None:
        """Wait until everything handed over so far stands in Locust's statistics."""
        if self._recording is not None:
            self._recording.settle()

    def note_worker(self, name: str, **detail: Any) -> None:
        """An event of one of the master's workers."""
        self._event("generator", name, **detail)

    def fail(self, error: AmplyError) -> None:
        """The recording cannot go on: say it, keep what there is, end the test."""
        if self.failure is None:
            self.failure = error
            say(f"locust: {error}")
            self.environment.process_exit_code = error.exit_code
            end_test(self.environment)

    def close(self, broken_off: str = "") -> None:
        """Write the last figures and the verdict, tidy the target up, and say where the run is."""
        try:
            closed = {}
            if self._recording is not None:
                closed = self._recording.close(Close(now_text(), self._broken_off() or broken_off))
            if closed:
                reason = closed["reason"]
                say(f"run         {self._run_dir}  ({closed['verdict']}{': ' + reason if reason else ''})")
                if self._foretold is not None:
                    self._foretold.score(self._run_dir)
        finally:
            self._release_target()

    def _broken_off(self) -> str:
        if self._stopped:
            return self._stopped
        if self.failure is not None:
            return f"it was broken off: {self.failure.what}"
        wanted = self.environment.parsed_options.run_time
        began, ended = self._began_s, self._ended_s or time.time()
        if wanted and not self.is_through and began is not None and ended - began < wanted - _EARLY_SECONDS:
            return f"it was broken off after {ended - began:.0f} of {wanted} s"
        return ""

    def _take_target(self, working_set: WorkingSet) -> None:
        options = self.options
        if options.target is None:
            node = node_type(options.node_type or working_set.node_type)
            self._own_cluster = clusters.start(
                node=node, maxmemory_bytes=options.maxmemory_bytes,
                reserved_memory_percent=working_set.reserved_memory_percent, topology=options.topology,
                tls=options.tls, with_password=options.auth,
            )
            self._target = guard.Target(self._own_cluster.endpoint, self._own_cluster)
            shape = "" if options.topology == "single" else f" {options.topology}"
            say(f"cluster     {self._own_cluster.engine} {self._own_cluster.version}{shape} as {node.name} "
                f"({self._own_cluster.maxmemory_bytes / 2**20:.0f} MiB) at {self._target.endpoint.url}")
        else:
            self._target = guard.resolve(options.target)
        self._load = loading.begin_load(self._target)  # an earlier run's keys would be counted as this one's
        self._control = self._load.primaries[0].client
        self._keeper = gevent.spawn(self._keep_target)
        with explained(self._target.endpoint):
            self._topology = _topology(self._load)
        if self.options.pool_size is not None and self._topology == "sharded":
            raise BadInput("--pool-size is for one primary",
                           got=f"{self._target.endpoint.url}, a sharded cluster",
                           do="leave --pool-size out: redis-py's cluster client has a pool for each node")

    def _foretell(self) -> None:
        """Before anything is started: what is wrong with the runs to predict from is said at once."""
        options = self.options
        if options.predict_from and options.rate is not None:
            from amply_capacity.load.foretold import foretell  # the models take a second to import

            seconds = getattr(self.environment.parsed_options, "run_time", None)
            self._foretold = foretell(options.predict_from, self._mix(), options.rate, seconds, {
                "run": self._run_name, "scenario": self.name, "seed": options.seed})

    def _place_server(self) -> None:
        """A core of its own for a single local server under one generator; several need what there is."""
        cluster = self._target.cluster
        if (cluster is not None and cluster.topology == "single" and not self.options.share_cores
                and not isinstance(self.environment.runner, locust.runners.MasterRunner)):
            self._own_core = OwnCore.take(cluster.nodes[0].pid)

    def _choose_run_dir(self) -> None:
        self._run_name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{self.name}-{secrets.token_hex(3)}"
        self._run_dir = self.options.run_dir or RUNS_DIR / self._run_name
        check_free(self._run_dir)

    def _keep_target(self) -> None:
        """Hold the target for this run; another that has taken it ends this one."""
        while self._load is not None:
            try:
                loading.renew(self._load)
            except AmplyError as error:
                self.fail(error)
                return
            gevent.sleep(1.0)

    def _prefill(self, campaign: Campaign, working_set: WorkingSet) -> list[dict[str, Any]]:
        if self.options.prefill == 0.0:
            return []
        share = self.options.prefill
        plan = prefill_plan(
            Population(campaign.shape), share, time.time(),
            counters=round(working_set.counters * share), cached=round(working_set.cached * share),
            results=round(working_set.results * share), seed=self.options.seed,
        )
        assert self._load is not None
        return fill(campaign.connection, [primary.client for primary in self._load.primaries], plan,
                    self._target.endpoint.url)

    def _open_run(self, campaign: Campaign, filled: list[dict[str, Any]]) -> None:
        options, cluster = self.options, self._target.cluster
        parsed = self.environment.parsed_options
        manifest = {
            "run": self._run_name, "scenario": self.name, "started_at": now_text(),
            "arrivals": options.arrivals, "rate_per_second": options.rate, "seed": options.seed,
            "locust_users": parsed.num_users, "mix": dict(self._mix()), "population": asdict(campaign.shape),
            "prefill": {"share": options.prefill, "classes": filled},
            "think_time_seconds": options.think_time_seconds, "compute_seconds": options.compute_seconds,
            "pool_size": options.pool_size,
            "target": target_facts(self._target, self._topology, options.multi_key),
            "emulated": ["CPUUtilization", "FreeableMemory"] if cluster and cluster.node_type else [],
            "server": server_facts(self._control),
            "generator": generator_facts(self._host_cores, self._workers(),
                                         self._own_core.core if self._own_core else None),
            "versions": {"amply_capacity": __version__, "locust": locust.__version__,
                         "schema": SCHEMA_VERSION},
        }
        self._recording = Recording(
            Open(self._run_dir, manifest, self._sampled_nodes(),
                 cluster.node_type if cluster else None, cluster is not None,
                 Search(self._objectives_ms(), options.rate or 1.0) if options.knee else None, self._limits(),
                 isinstance(self.environment.runner, locust.runners.MasterRunner)),
            on_console=self._show, on_order=self._obey, on_failure=self.fail)
        for one in filled:
            self._event("phase", f"prefill:{one['name']}", **one)

    def _sampled_nodes(self) -> tuple[Endpoint, ...]:
        """The servers whose INFO is recorded: all that hold data in a cluster of ours, else the primaries."""
        if self._target.cluster is not None:
            return self._target.cluster.data_nodes
        return tuple(primary.endpoint for primary in self._load.primaries) if self._load is not None else ()

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

    def _objectives_ms(self) -> dict[str, float]:
        """The p99 that each use case has to keep: of the mix, and of operations of the scenario's own."""
        use_cases = {OPERATIONS[name].use_case for name in self._mix() if name in OPERATIONS}
        use_cases |= {task.use_case for one in self.environment.user_classes for task in one.tasks
                      if hasattr(task, "use_case") and task.operation not in OPERATIONS}
        wanted = self.working_set.p99_ms
        objectives = {use_case: self.options.p99_ms or wanted[use_case] for use_case in sorted(use_cases)
                      if self.options.p99_ms or use_case in wanted}
        if not objectives:
            raise BadInput("--knee needs an objective", got="no p99_ms of these use cases in the demand file",
                           do="add [slo.p99_ms] there, or give --p99-ms")
        return objectives

    def _limits(self) -> Limits | None:
        percent, p99_ms = self.options.stop_error_percent, self.options.stop_p99_ms
        if percent is None and p99_ms is None:
            return None
        return Limits(None if percent is None else percent / 100.0, p99_ms)

    def _obey(self, order: dict[str, Any]) -> None:
        """What the recording process decided from what it saw."""
        if "rate" in order:
            self.change_rate(order["rate"])
        if "knee" in order:
            self.is_through = True
            say(f"knee        {knee_words(order['knee'])}")
            end_test(self.environment)
        if "stop" in order:
            self._stopped = f"it was stopped: {order['stop']}"
            self.environment.process_exit_code = 1
            say(f"locust: stopped: {order['stop']}; what was recorded is kept")
            end_test(self.environment)

    def _event(self, kind: str, name: str, /, **detail: Any) -> None:
        self._send(Event(kind, name, detail, time.time()))

    def _send(self, message: Any) -> None:
        if self._recording is not None:
            self._recording.send(message)

    def _release_target(self) -> None:
        load, self._load = self._load, None
        if load is not None:
            self._keeper.kill()
            with contextlib.suppress(Exception):
                loading.end_load(load, leaves_keys=self.options.leave_keys)
        if self._own_core is not None:
            self._own_core.give_back()
            self._own_core = None
        if self._own_cluster is not None:
            clusters.stop(self._own_cluster)
            self._own_cluster = None


def _topology(load: loading.Load) -> str:
    """How the target's servers hang together, as its clients have to know it."""
    if load.target.cluster is not None:
        return load.target.cluster.topology
    if load.primaries[0].slots is not None:
        return "sharded"
    replicas = int(load.primaries[0].client.info("replication").get("connected_slaves", 0))
    return "replicated" if replicas else "single"
