"""Starting the servers of a cluster one by one, each waited for, each on record before it is needed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from amply_capacity.errors import AmplyError, PortInUse, ServerFailed
from amply_capacity.target import process
from amply_capacity.target.configuration import Settings
from amply_capacity.target.described import SENTINEL, Cluster, Node, describe
from amply_capacity.target.endpoint import connect
from amply_capacity.target.private import write_private
from amply_capacity.target.program import ServerProgram

__all__ = ["Launcher"]

_READY_SECONDS = 15.0
_START_ATTEMPTS = 5  # a free port can be taken between the look and the start
_POLL_SECONDS = 0.02

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
        command = [str(self._program.path), str(configuration)]
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
            self._record((*before, node))
            answered = self._wait_until_it_answers(node)
            self._record((*before, answered))
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
