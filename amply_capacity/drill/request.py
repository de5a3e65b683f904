"""A drill as it was asked for, checked as a whole before anything is started."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.files import DATA_DIR, ROOT
from amply_capacity.run.folder import check_free
from amply_capacity.target.topology import TOPOLOGIES

__all__ = ["KINDS", "PERSISTENCES", "SCENARIOS", "DrillRequest", "Kind", "scenario_file"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of drill is for."""

    topologies: tuple[str, ...]
    """Those that it can be drilled on; the first without a choice."""
    keeps_data: bool = False
    """Whether a server comes back in it, so that it matters what was kept."""
    why_not: str = ""
    """Why not on the others."""


KINDS: dict[str, Kind] = {
    "crash": Kind(("single", "replicated", "sharded"), keeps_data=True),
    "restart": Kind(("single", "replicated", "sharded"), keeps_data=True),
    "failover": Kind(("replicated", "sharded"), why_not="a single server has nobody to fail over to"),
    "partition": Kind(("replicated",), why_not="the link of one primary to its one replica is cut; shards "
                                               "replicate from the address that their clients use"),
    "slow-replica": Kind(("replicated", "sharded"), why_not="a single server has no replica"),
    "scale-up": Kind(("single",), why_not="its servers are upgraded one after the other, by the "
                                                       "failover that `drill failover` measures"),
}
PERSISTENCES = ("none", "snapshot", "aof")
SCENARIOS = ("mixed", "sessions", "rate_limit", "cache", "celery_results")
AFTERMATHS = ("heal", "crash")
ARRIVALS = ("constant", "poisson")
_SHORTEST_SECONDS, _LONGEST_SECONDS = 5, 900
_MOST_OPERATIONS = 2_000_000  # each is written down and looked at
_BEFORE_SHARE, _LEAST_BEFORE_SECONDS, _MOST_BEFORE_SECONDS = 0.25, 2.0, 10.0


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """Everything that a drill is told; times in seconds but where the name says another unit."""

    kind: str
    topology: str | None = None
    """Of a cluster started for the drill; None: the kind's first, or the target's."""
    target: str | None = None
    """A local cluster's name, or the URL of a marked server."""
    seconds: int = 30
    """Of load; what breaks does so after a quarter of it, ten seconds at most."""
    persistence: str = "none"
    scenario: str = "mixed"
    mix: str | None = None
    arrivals: str = "constant"
    rate: float = 500.0
    """Operations a second."""
    users: int = 50
    """Locust users, each a connection."""
    population: int = 2000
    prefill: float = 1.0
    """Share of the population whose keys are there before."""
    demand: Path = DATA_DIR / "demand.example.toml"
    seed: int = 1
    timeout_ms: float = 1000.0
    run_dir: Path | None = None
    node_type: str | None = None
    to_node_type: str | None = None
    """What is scaled up to; None: twice the memory."""
    tls: bool = False
    auth: bool = False
    back_after: float | None = None
    """When a crashed single server is replaced, after its end; None: 2 s."""
    delay_ms: float | None = None
    """By which the replica receives everything later: a proxy lies between."""
    down_after_ms: float | None = None
    """How long Sentinels wait before they think that a primary is lost; None: their own second."""
    cut: float | None = None
    """How long a partition or a slow replica lasts; None: a third of the load's time."""
    then: str = "heal"
    """How a partition ends: `heal`, or `crash` of the primary while it is cut off."""
    replica_speed: float = 0.1
    """Share of its time that a slow replica is given."""
    replication_group: str | None = None
    node_group: str = "0001"
    region: str | None = None
    confirm: str | None = None
    """The replication group's id once more, by whoever means it."""

    def check(self) -> None:
        """Raise BadInput with all faults at once."""
        faults = [*self._what_faults(), *self._how_faults(), *self._aws_faults()]
        if faults:
            raise BadInput("this drill cannot be held", got="; ".join(faults),
                           do="correct that; `amply-capacity drill --help` explains each option")
        if self.run_dir is not None:
            check_free(self.run_dir)

    @property
    def shape(self) -> str:
        """The topology of a cluster started for it."""
        return self.topology or KINDS[self.kind].topologies[0]

    @property
    def is_even(self) -> bool:
        """Whether its writes come at equal distances: one operation, again and again."""
        return self.arrivals == "constant" and self.mix is not None and "," not in self.mix

    @property
    def before(self) -> float:
        """Seconds of undisturbed load, by which what comes after is judged."""
        return min(max(self.seconds * _BEFORE_SHARE, _LEAST_BEFORE_SECONDS), _MOST_BEFORE_SECONDS)

    @property
    def cut_seconds(self) -> float:
        return self.cut if self.cut is not None else self.seconds / 3.0

    @property
    def has_proxy(self) -> bool:
        """Whether the replica's link goes through a proxy of ours."""
        return self.kind == "partition" or self.delay_ms is not None

    def topology_faults(self, topology: str, whose: str) -> list[str]:
        """Why the kind cannot be drilled on it."""
        kind = KINDS[self.kind]
        faults = []
        if topology not in kind.topologies:
            faults.append(f"{self.kind} on {whose} ({topology}): {kind.why_not}")
        elif topology != "replicated":
            faults += [f"{name} with {whose} ({topology}): it is for the replicated one, {why}"
                       for name, value, why in (
                           ("--delay-ms", self.delay_ms, "whose replica is delayed"),
                           ("--down-after-ms", self.down_after_ms, "which has Sentinels"))
                       if value is not None]
        return faults

    def _what_faults(self) -> list[str]:
        if self.kind not in KINDS:
            return [f"{self.kind!r} is none of {', '.join(KINDS)}"]
        faults = []
        if self.topology is not None and self.target is not None:
            faults.append("--topology describes a cluster started for the drill, --target another")
        if self.topology is not None and self.topology not in TOPOLOGIES:
            faults.append(f"--topology {self.topology} is none of {', '.join(TOPOLOGIES)}")
        elif self.target is None:
            faults += self.topology_faults(self.shape, "this topology")
        if self.persistence not in PERSISTENCES:
            faults.append(f"--persistence {self.persistence} is none of {', '.join(PERSISTENCES)}")
        elif self.persistence != "none" and not KINDS[self.kind].keeps_data:
            faults.append(f"--persistence {self.persistence} with {self.kind}: no server is started again")
        if self.target is not None:
            given = [name for name, value in (
                ("--tls", self.tls), ("--auth", self.auth), ("--node-type", self.node_type)) if value]
            if given:
                faults.append(f"{', '.join(given)} describe a cluster started for it, --target another")
            if self.kind == "scale-up":
                faults.append("scale-up with --target: it replaces the server, so it is held on a cluster "
                              "started for it")
        for name, value, kinds in (("--cut-seconds", self.cut, ("partition", "slow-replica")),
                                   ("--to-node-type", self.to_node_type, ("scale-up",)),
                                   ("--back-after-seconds", self.back_after, ("crash",)),
                                   ("--delay-ms", self.delay_ms, ("crash", "partition")),
                                   ("--down-after-ms", self.down_after_ms, ("crash",)),
                                   ("--then", self.then != "heal" or None, ("partition",))):
            if value is not None and self.kind not in kinds:
                faults.append(f"{name} is for {' and '.join(kinds)}, not for {self.kind}")
        for name, type_ in (("--node-type", self.node_type), ("--to-node-type", self.to_node_type)):
            if type_ is not None:
                try:
                    node_type(type_)
                except UnknownName as error:
                    faults.append(f"{name}: {error}")
        return faults

    def _how_faults(self) -> list[str]:
        faults = [f"--{name} {chosen} is none of {', '.join(known)}" for name, chosen, known in (
            ("scenario", self.scenario, SCENARIOS), ("then", self.then, AFTERMATHS),
            ("arrivals", self.arrivals, ARRIVALS)) if chosen not in known]
        if not _SHORTEST_SECONDS <= self.seconds <= _LONGEST_SECONDS:
            faults.append(f"--seconds {self.seconds:g} is not from {_SHORTEST_SECONDS:g} to "
                          f"{_LONGEST_SECONDS:g}")
        elif self.rate * self.seconds > _MOST_OPERATIONS:
            faults.append(f"--rate {self.rate:g} for {self.seconds} s: more than {_MOST_OPERATIONS:,} "
                          "operations are too many to look at each")
        faults += [f"--{name} {value:g} is no positive number" for name, value in (
            ("rate", self.rate), ("users", self.users), ("population", self.population),
            ("timeout-ms", self.timeout_ms)) if not 0 < value < math.inf]
        faults += [f"--{name} {value:g} is not from {least:g} to {most:g}" for name, value, least, most in (
            ("delay-ms", self.delay_ms, 0.0, 10_000.0),
            ("down-after-ms", self.down_after_ms, 1.0, 60_000.0),  # Sentinel takes whole ones, and no zero
            ("back-after-seconds", self.back_after, 0.0, self.seconds),
            ("cut-seconds", self.cut, 0.0, self.seconds)) if value is not None and not least <= value <= most]
        if not 0.0 <= self.prefill <= 1.0:
            faults.append(f"--prefill {self.prefill:g} is no share from 0 to 1")
        if not 0.01 <= self.replica_speed < 1.0:
            faults.append(f"--replica-speed {self.replica_speed:g} is no share from 0.01 to below 1")
        if not self.demand.is_file():
            faults.append(f"--demand: there is no file {self.demand}")
        return faults

    def _aws_faults(self) -> list[str]:
        group = self.replication_group
        if group is None:
            return ["--confirm is for --replication-group"] if self.confirm is not None else []
        faults = []
        if self.kind != "failover":
            faults.append(f"--replication-group with {self.kind}: ElastiCache offers a failover for tests, "
                          "nothing else")
        if self.target is None:
            faults.append("--replication-group without --target: name the rediss:// URL of its primary "
                          "endpoint, marked with --allow-drills and --allow-replicas")
        if self.confirm != group:
            faults.append(f"--replication-group {group} is not confirmed: its primary will be replaced, so "
                          f"say --confirm {group} as well")
        return faults


def scenario_file(name: str) -> Path:
    """The locustfile of a scenario."""
    return ROOT / "loadtests" / f"{name}.py"
