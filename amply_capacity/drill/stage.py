"""The topology under drill: its servers by pid, what is done to them, and what they say of themselves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from amply_capacity.drill.companion import Companion
from amply_capacity.drill.moment import DRILL, Moment
from amply_capacity.drill.request import DrillRequest
from amply_capacity.errors import AmplyError
from amply_capacity.progress import say
from amply_capacity.target import process, roles
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.described import PRIMARY, SENTINEL, Cluster, Node
from amply_capacity.target.endpoint import connect
from amply_capacity.target.launch import Launcher
from amply_capacity.target.topology import SLOTS

__all__ = ["Stage", "Unfinished"]

_LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 2.0
_ACKNOWLEDGED_SECONDS = 1.1  # a replica acknowledges once a second
_ORDERLY_END_SECONDS = 15.0
"""Redis waits for its replicas as long as `shutdown-timeout`, ten seconds, when it is told to end."""
_KEPT = {"none": (), "snapshot": ("dump.rdb",), "aof": ("dump.rdb", "appendonlydir", "appendonly.aof")}
"""What of a server's directory survives it, by what is kept."""


class Unfinished(Exception):
    """What the drill waited for did not happen in time; the text says why, as far as somebody said it."""


class Stage:
    """A cluster of ours while it is drilled. All of it runs in the main thread: servers end with theirs.

    `moments` are what was done and seen so far, `facts` what the kind of drill found out beside what every
    drill does.
    """

    def __init__(self, request: DrillRequest, launcher: Launcher, scratch: Path) -> None:
        self.request, self.launcher, self.scratch = request, launcher, scratch
        self.moments: list[Moment] = []
        self.facts: dict[str, Any] = {}
        self.link: Companion | None = None
        """The proxy through which the replica follows its primary."""
        self.usual_failover_timeout_ms: int | None = None
        """The Sentinels' own, while they are told to be patient with that link."""
        self.fault_s: float | None = None
        """When what is drilled began."""
        self.crash_s: float | None = None
        """When the primary, and what only it had, was lost, where that is later."""
        self.snapshot_s: float | None = None
        """When the snapshot was begun that is kept."""
        self.deadline = float("inf")
        """On `time.monotonic`: nothing is waited for beyond it."""
        self.why: Callable[[], str | None] = lambda: None
        """The reason that Sentinels or servers gave for a failover that does not come; set by who listens."""
        self.down_after_seconds: float | None = None
        """How long Sentinels wait before they think that a primary is lost; None without Sentinels."""
        self.info_ages_s: tuple[float, ...] = ()
        """How long before the fault each Sentinel last had the replica's INFO."""
        self.slots: tuple[tuple[int, int], ...] | None = None
        """On a sharded cluster those of the shard that is drilled, first and last, included."""
        self.companions = contextlib.ExitStack()
        """Ends with the stage: what has to work until then."""
        self._began = time.monotonic()

    @property
    def cluster(self) -> Cluster:
        """As it is now: servers come and go."""
        return self.launcher.cluster

    def learn(self) -> None:
        """Find out what holds while all is well."""
        if self.cluster.topology == "replicated":
            with self.control(self.sentinels[0]) as client:
                told = client.sentinel_master(SERVICE_NAME)
            self.down_after_seconds = int(told["down-after-milliseconds"]) / 1000.0
        elif self.cluster.topology == "sharded":
            primary = self.primary()
            with self.control(primary) as client:
                shards = client.execute_command("CLUSTER SLOTS")
            self.slots = tuple((int(first), int(last)) for first, last, owner, *_ in shards
                               if int(owner[1]) == primary.port)
            served = sum(last - first + 1 for first, last in self.slots)
            self.facts["affected_slots_share"] = round(served / SLOTS, 4)

    def look_at_sentinels(self) -> None:
        """Note how old their knowledge of the replica is; to be called just before the fault."""
        ages = []
        for sentinel in self.sentinels:
            with self.control(sentinel) as client:
                told = client.sentinel_slaves(SERVICE_NAME)
            ages += [int(one["info-refresh"]) / 1000.0 for one in told[:1]]
        self.info_ages_s = tuple(ages)

    def say(self, text: str) -> None:
        """Progress on stderr."""
        with contextlib.suppress(OSError):  # nobody reads it any more: putting right goes on all the same
            say(f"drill  {time.monotonic() - self._began:5.1f} s  {text}")

    def note(self, name: str, kind: str = DRILL, /, **detail: Any) -> float:
        """Note that something happened now; the moment."""
        moment = Moment(time.time(), kind, name, detail)
        self.moments.append(moment)
        words = ", ".join(f"{key} {value}" for key, value in detail.items())
        self.say(f"{name}{f' ({words})' if words else ''}")
        return moment.time_s

    def fault(self, name: str, /, **detail: Any) -> None:
        """Note that what is drilled begins now."""
        self.fault_s = self.note(name, **detail)

    def pause(self, seconds: float) -> None:
        """Let time pass, not beyond the deadline."""
        time.sleep(max(min(seconds, self.deadline - time.monotonic()), 0.0))

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Return once it holds; a server that does not answer makes it false. Raises Unfinished."""
        import redis

        while True:
            with contextlib.suppress(redis.RedisError, AmplyError, OSError):
                if condition():
                    return
            if time.monotonic() >= self.deadline:
                raise Unfinished(self.why() or f"{what} did not come within the load's time")
            time.sleep(_LOOK_SECONDS)

    @contextlib.contextmanager
    def control(self, node: Node) -> Iterator[Any]:
        """A client of that server."""
        with connect(self.cluster.endpoint_of(node), timeout_seconds=_ANSWER_SECONDS) as client:
            yield client

    @property
    def data_nodes(self) -> list[Node]:
        return [node for node in self.cluster.nodes if node.role != SENTINEL]

    @property
    def sentinels(self) -> list[Node]:
        return [node for node in self.cluster.nodes if node.role == SENTINEL]

    def primary(self) -> Node:
        """Who is drilled: the primary now, on a sharded cluster of the first slot. Raises Unfinished."""
        endpoint = self.cluster.primaries()[0]
        node = self.cluster.node_at(endpoint.host, endpoint.port)
        if node is None:
            raise Unfinished(f"the primary is no server of this cluster, but {endpoint.url}")
        return node

    def replicas(self) -> list[Node]:
        """The servers that follow that primary, as it says itself."""
        with self.control(self.primary()) as client:
            said = client.info("replication")
        followers = (said[f"slave{number}"] for number in range(int(said["connected_slaves"])))
        found = (self.cluster.node_at(one["ip"], int(one["port"])) for one in followers)
        return [node for node in found if node is not None]

    def serves(self) -> bool:
        """Whether every key has a primary that lives and knows itself to be one."""
        cluster = self.cluster
        for endpoint in cluster.primaries():
            node = cluster.node_at(endpoint.host, endpoint.port)
            if node is None or not node.is_alive or roles.role_of(endpoint) != PRIMARY:
                return False
        if cluster.topology != "sharded":
            return True
        with self.control(next(node for node in self.data_nodes if node.is_alive)) as client:
            return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")

    def is_whole(self) -> bool:
        """Whether it serves, and every replica is linked to a primary."""
        return self.serves() and all(self._is_linked(node) for node in self.data_nodes)

    def has_caught_up(self) -> bool:
        """Whether the primary's replicas are linked, and have acknowledged what it had sent a second ago."""
        with self.control(self.primary()) as client:
            sent = int(client.info("replication")["master_repl_offset"])
            time.sleep(_ACKNOWLEDGED_SECONDS)
            said = client.info("replication")
        states = [said[f"slave{number}"] for number in range(int(said["connected_slaves"]))]
        return bool(states) and all(
            one["state"] == "online" and int(one["offset"]) >= sent for one in states)

    def kill(self, node: Node) -> None:
        """End the server as a crash of its machine does: its link is lost with it, and what was on its way.

        The caller has noted the moment: between that and the end lies less than a millisecond.
        """
        if not node.is_alive:
            raise Unfinished(f"{node.name} does not run any more")
        if self.link is not None:
            self.link.kill()
        os.kill(node.pid, signal.SIGKILL)
        self._reap(node)

    def end(self, node: Node) -> None:
        """Have the server end in order, saving nothing; by force where it does not."""
        os.kill(node.pid, signal.SIGTERM)
        limit = time.monotonic() + _ORDERLY_END_SECONDS
        while node.is_alive and time.monotonic() < limit:
            time.sleep(_LOOK_SECONDS / 10.0)
        self._reap(node)

    def bring_back(self, node: Node) -> Node:
        """Start it again with what the request wants kept of its data; returns once it answers."""
        kept = _KEPT[self.request.persistence]
        for name in _KEPT["aof"]:
            if name not in kept:
                path = node.directory / name
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True)
        options = ("--appendonly", "yes") if self.request.persistence == "aof" else ()
        back = self.launcher.relaunch(node, *options)
        self.note("server is back", server=node.name)
        return back

    def restore(self, seconds: float = 30.0) -> None:
        """Every server up, and the cluster whole. Raises Unfinished where it does not become so."""
        self.deadline = time.monotonic() + seconds
        for node in self.cluster.nodes:
            if not node.is_alive:
                self.bring_back(node)
        self.wait_until(self.is_whole, "a cluster whose servers all serve")

    def _is_linked(self, node: Node) -> bool:
        with self.control(node) as client:
            said = client.info("replication")
        return bool(said["role"] == "master" or said.get("master_link_status") == "up")

    def _reap(self, node: Node) -> None:
        process.end_all([node.pid], node.directory, Path(self.cluster.program))
        process.reap(node.pid)  # it may have been on its way out, and neither alive nor dead


