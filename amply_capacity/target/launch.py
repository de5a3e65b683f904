"""Starting the servers of a cluster one by one, each waited for, each on record before it is needed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import AmplyError, PortInUse, ServerFailed
from amply_capacity.target import process
from amply_capacity.target.certificates import CertificateFiles
from amply_capacity.target.configuration import Settings
from amply_capacity.target.described import SENTINEL, Cluster, Node, describe
from amply_capacity.target.endpoint import connect
from amply_capacity.target.private import write_private
from amply_capacity.target.program import ServerProgram, find_server

__all__ = ["Launcher"]

_READY_SECONDS = 15.0
_START_ATTEMPTS = 5  # a free port can be taken between the look and the start
_POLL_SECONDS = 0.02
_MAXCLIENTS = 10000  # Redis' own default

Lines = Callable[[Path, int], list[str]]
"""The configuration of a server with that directory and port."""


class Launcher:
    """Starts the servers of one cluster; `cluster` is that cluster as far as it has come.

    Its description is written before and after each step, so that whoever finds it knows what there is.
    """

    def __init__(self, cluster: Cluster, program: ServerProgram, settings: Settings, *,
                 stays: bool, port: int | None, tell: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.settings = settings
        self.tell = tell
        self._program = program
        self._stays = stays
        self._port = port
        """The first server's, where the user chose it."""

    @classmethod
    def of(cls, cluster: Cluster, *, tell: Callable[[str], None] = lambda _text: None) -> Self:
        """For a cluster that is up: to start a server of it again that has ended, or one more."""
        maxclients = node_type(cluster.node_type).maxclients if cluster.node_type else _MAXCLIENTS
        settings = Settings(
            cluster.maxmemory_bytes, maxclients, cluster.endpoint_of(cluster.nodes[0]).password,
            CertificateFiles.below(cluster.directory) if cluster.tls else None)
        # A description holds what a link leads to, on Debian redis-check-rdb: by that name another program.
        found = find_server()
        program = found if str(found.path.resolve()) == cluster.program else ServerProgram(
            Path(cluster.program), "the cluster", cluster.engine, cluster.version, cluster.allocator)
        return cls(cluster, program, settings, stays=cluster.owner_pid is None, port=None, tell=tell)

    def relaunch(self, node: Node, *options: str) -> Node:
        """Start a server again that has ended, in its directory and on its port, and wait until it answers.

        Its configuration is its own, with `options` after it as on a command line. Raises as `launch` does.
        """
        return self._spawn(node, *options)

    def retire(self, node: Node, successor: Node) -> None:
        """Another server has taken the place of one that has ended: its description follows."""
        others = (one for one in self.cluster.nodes if one.name not in {node.name, successor.name})
        self._record((successor, *others))

    def launch(self, name: str, role: str, lines: Lines, *, shard: int = 0, with_bus: bool = False) -> Node:
        """Start a server and wait until it answers; on another port where the free one was taken meanwhile.

        Raises PortInUse, or ServerFailed with the last words of its log.
        """
        directory = self.cluster.directory / name
        directory.mkdir(mode=0o700)
        chosen, self._port = self._port, None
        for attempt in range(1, _START_ATTEMPTS + 1):
            port = chosen or process.free_port(with_bus=with_bus)
            node = Node(name, role, shard, "127.0.0.1", port, 0, "", directory)
            try:
                return self._start(node, lines(directory, port))
            except PortInUse:
                if chosen is not None or attempt == _START_ATTEMPTS:
                    raise
        raise AssertionError  # the last attempt returns or raises

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Return once the condition holds. Raises ServerFailed where a server ends, or the time is over.

        A server that does not answer yet, or refuses, makes the condition false.
        """
        deadline = time.monotonic() + seconds
        while not _holds(condition):
            for node in self.cluster.nodes:
                if not node.is_alive:
                    raise _failure(node)
            if time.monotonic() > deadline:
                raise ServerFailed(f"the local {self.cluster.topology} cluster did not come up",
                                   got=f"after {seconds:.0f} s: not {what}",
                                   do="give the machine more CPU or memory, and try again")
            time.sleep(_POLL_SECONDS)

    def _start(self, node: Node, lines: list[str]) -> Node:
        configuration = node.directory / "redis.conf"
        for stale in ("redis.log", "nodes.conf"):  # an earlier attempt's words are not this one's
            (node.directory / stale).unlink(missing_ok=True)
        write_private(configuration, "\n".join(lines) + "\n")
        return self._spawn(node)

    def _spawn(self, node: Node, *options: str) -> Node:
        command = [str(self._program.path), str(node.directory / "redis.conf"), *options]
        try:
            server = process.spawn([*command, "--sentinel"] if node.role == SENTINEL else command,
                                   node.directory, stays=self._stays)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerFailed("the local redis-server did not start", got=str(error),
                               do="free memory, or check the program") from error
        # Followed by its pid from here on, as the next command has to do: the object must not warn of a lost
        # one.
        server.returncode = 0
        node = replace(node, pid=server.pid)
        before = self.cluster.nodes
        try:
            self._record(_with(before, node))
            answered = self._wait_until_it_answers(node)
            self._record(_with(before, answered))
            return answered
        except BaseException:
            process.end_all([node.pid], node.directory, self._program.path)
            self.cluster = replace(self.cluster, nodes=before)
            raise

    def _record(self, nodes: tuple[Node, ...]) -> None:
        self.cluster = replace(self.cluster, nodes=nodes)
        describe(self.cluster)

    def _wait_until_it_answers(self, node: Node) -> Node:
        endpoint = self.cluster.endpoint_of(node)
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            if not node.is_alive:
                raise _failure(node)
            try:
                with connect(endpoint, timeout_seconds=2.0) as client:
                    server = client.info("server")
                if int(server["process_id"]) == node.pid:  # and not whoever has its port
                    return replace(node, run_id=str(server["run_id"]))
                problem: AmplyError = PortInUse(f"port {node.port} is in use",
                                                got="another Redis answers there", do="choose another --port")
            except AmplyError as error:
                problem = error
            if time.monotonic() > deadline:
                raise problem
            time.sleep(_POLL_SECONDS)


def _with(nodes: tuple[Node, ...], node: Node) -> tuple[Node, ...]:
    """The nodes with this one in the place of that with its name, or as the last."""
    if all(one.name != node.name for one in nodes):
        return (*nodes, node)
    return tuple(node if one.name == node.name else one for one in nodes)


def _holds(condition: Callable[[], bool]) -> bool:
    import redis

    try:
        return condition()
    except (redis.RedisError, AmplyError, OSError):
        return False


def _failure(node: Node) -> AmplyError:
    log = node.directory / "redis.log"
    words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    if any("already in use" in line for line in words):
        return PortInUse(f"port {node.port} is in use", got=words[-1][-160:], do="choose another --port")
    return ServerFailed("the local redis-server did not start", got=" / ".join(words[-2:])[-300:] or "no log",
                        do="check the program named by `make setup`, free memory and disk space")
