"""Local test clusters: real servers on loopback that the toolkit starts, finds again and removes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError, BadInput, PortInUse, ServerFailed, UnknownName
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import process
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.target.program import find_server

__all__ = [
    "Cluster",
    "all_clusters",
    "find_cluster",
    "node_or_none",
    "parse_bytes",
    "start",
    "stop",
    "sweep",
    "throw_away",
]

_READY_SECONDS = 15.0
_START_ATTEMPTS = 5  # a free port can be taken between the look and the start


@dataclass(frozen=True, slots=True)
class Cluster:
    """A local server of ours, as its `cluster.json` describes it."""

    name: str
    host: str
    port: int
    pid: int
    run_id: str
    """The server's own: an endpoint is this cluster only if it answers with it. Empty until it is up."""
    topology: str
    node_type: str | None
    maxmemory_bytes: int
    reserved_memory_percent: float
    engine: str
    version: str
    allocator: str
    owner_pid: int | None
    """The process whose end also ends this cluster; None for one that was brought up to stay."""

    @property
    def directory(self) -> Path:
        return CLUSTERS_DIR / self.name

    @property
    def endpoint(self) -> Endpoint:
        password = self.directory / "password"
        return Endpoint(self.host, self.port, password=password.read_text() if password.exists() else None)

    @property
    def is_alive(self) -> bool:
        """Whether the server runs, judged by its working directory, which no other process has."""
        return process.works_in(self.pid, self.directory)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "url": self.endpoint.url, "alive": self.is_alive,
                **{key: value for key, value in asdict(self).items() if key not in {"name", "run_id"}}}


def start(
    name: str | None = None,
    *,
    node: NodeType | None = None,
    maxmemory_bytes: int | None = None,
    reserved_memory_percent: float = 25.0,
    port: int | None = None,
    with_password: bool = False,
    stays: bool = False,
) -> Cluster:
    """Start one server with the parameter group of the specification, and wait until it answers.

    `maxmemory` is the node type's table value less its reserved memory (DESIGN section 5), or
    `maxmemory_bytes`. A cluster that `stays` outlives this process; any other ends with it, also when that is
    killed.

    Raises BadInput for a name in use, PortInUse, NoServer, DiskFull, or ServerFailed with the last words of
    the server's log.
    """
    sweep()
    program = find_server()
    name = name or f"local-{secrets.token_hex(3)}"
    _check_name(name)
    if port is not None and not process.is_free(port):
        raise PortInUse(f"port {port} is in use", got=f"127.0.0.1:{port} cannot be bound",
                        do="choose another --port, or leave it out for a free one")
    maxmemory = maxmemory_bytes if maxmemory_bytes is not None else (
        node.usable_bytes(reserved_memory_percent) if node else 0)
    blank = Cluster(name, "127.0.0.1", port or 0, 0, "", "single", node.name if node else None, maxmemory,
                    reserved_memory_percent, program.engine, program.version, program.allocator, os.getpid())
    with on_disk(CLUSTERS_DIR):
        _make_directory(blank)
        started = blank
        try:
            if with_password:
                _write_private(blank.directory / "password", secrets.token_urlsafe(24))
            for attempt in range(1, _START_ATTEMPTS + 1):
                chosen = replace(blank, port=port or process.free_port())
                started = _spawn(program.path, chosen, node, stays=stays)
                try:
                    started = _wait_until_ready(started)
                    break
                except PortInUse:
                    if port is not None or attempt == _START_ATTEMPTS:
                        raise
            started = replace(started, owner_pid=None if stays else os.getpid())
            _describe(started)
            return started
        except BaseException:
            stop(started)
            raise


@contextlib.contextmanager
def throw_away(**options: Any) -> Iterator[Cluster]:
    """A cluster for the length of a `with` block; options as for `start`."""
    cluster = start(**options)
    try:
        yield cluster
    finally:
        stop(cluster)


def stop(cluster: Cluster) -> None:
    """End the cluster's server, if it still is ours, and remove its directory."""
    if cluster.pid:
        process.end(cluster.pid, cluster.directory)
    shutil.rmtree(cluster.directory, ignore_errors=True)


def all_clusters() -> list[Cluster]:
    """Every cluster of this checkout that has a description, alive or not, by name."""
    found = []
    for description in sorted(CLUSTERS_DIR.glob("*/cluster.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(Cluster(**json.loads(description.read_text())))
    return found


def find_cluster(name: str) -> Cluster:
    """The running cluster of that name. Raises UnknownName."""
    for cluster in all_clusters():
        if cluster.name == name and cluster.is_alive and cluster.run_id:
            return cluster
    names = [cluster.name for cluster in all_clusters() if cluster.is_alive]
    raise UnknownName("cluster", name, names or ["none is up: start one with `amply-capacity cluster up`"])


def sweep() -> None:
    """Remove what a killed process left: clusters whose owner is gone, and directories of ended servers."""
    for cluster in all_clusters():
        owner_gone = cluster.owner_pid is not None and not process.exists(cluster.owner_pid)
        is_starting = not cluster.run_id
        if owner_gone or not (is_starting or cluster.is_alive):
            stop(cluster)


def node_or_none(name: str | None) -> NodeType | None:
    """The node type of that name, or None for no name. Raises UnknownName with the nearest ones."""
    return node_type(name) if name else None


def parse_bytes(text: str) -> int:
    """Bytes of `64mb`, `1gb`, `512kb` or a plain integer, units as in redis.conf (powers of 1024).

    Raises ValueError for anything else.
    """
    units = {"kb": 1024, "mb": 1024**2, "gb": 1024**3, "b": 1}
    lowered = text.strip().lower()
    unit = next((name for name in units if lowered.endswith(name)), "")
    number = lowered.removesuffix(unit)
    try:
        value = float(number) * units.get(unit, 1)
    except ValueError:
        raise ValueError(f"{text!r} is no amount of memory such as 64mb or 67108864") from None
    if not 0 < value < 2**50:
        raise ValueError(f"{text!r} is not a positive amount of memory")
    return int(value)


def _check_name(name: str) -> None:
    if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
        raise BadInput("a cluster's name is made of letters, digits, - and _", got=f"{name!r}",
                       do="choose another")
    with contextlib.suppress(UnknownName):
        running = find_cluster(name)
        raise BadInput(f"cluster {name!r} is already up", got=f"{running.endpoint.url}, pid {running.pid}",
                       do=f"use it as --target {name}, or `amply-capacity cluster down {name}` first")


def _make_directory(cluster: Cluster) -> None:
    """The cluster's directory, described at once, so that `sweep` finds what a kill leaves from here on."""
    try:
        cluster.directory.mkdir(parents=True)
    except FileExistsError:
        raise BadInput(f"cluster {cluster.name!r} is being started by somebody else",
                       got=f"{cluster.directory} exists",
                       do="choose another name, or remove that directory if nobody does") from None
    try:
        _describe(cluster)
    except BaseException:
        shutil.rmtree(cluster.directory, ignore_errors=True)
        raise


def _describe(cluster: Cluster) -> None:
    with replacing(cluster.directory / "cluster.json") as path:
        path.write_text(json.dumps(asdict(cluster), indent=1))


def _spawn(program: Path, cluster: Cluster, node: NodeType | None, *, stays: bool) -> Cluster:
    """The cluster with its server's process, described as still starting."""
    configuration = cluster.directory / "redis.conf"
    password = cluster.endpoint.password
    lines = [
        "bind 127.0.0.1", f"port {cluster.port}", "protected-mode yes", "daemonize no",
        f"dir {json.dumps(str(cluster.directory))}",
        f"logfile {json.dumps(str(cluster.directory / 'redis.log'))}",
        # The specification's parameter group; ElastiCache for Redis 7 supports no append-only file.
        "maxmemory-policy volatile-lru", "timeout 300", "appendonly no", 'save ""',
        # ElastiCache's documented default differs from Redis' own 5 (parameter groups page, 2021).
        "maxmemory-samples 3",
        f"maxmemory {cluster.maxmemory_bytes}", f"maxclients {node.maxclients if node else 10000}",
        "databases 16",
        *([f"requirepass {password}"] if password else []),
    ]
    _write_private(configuration, "\n".join(lines) + "\n")
    (cluster.directory / "redis.log").unlink(missing_ok=True)  # an earlier attempt's words are not this one's
    try:
        server = process.spawn([str(program), str(configuration)], cluster.directory, stays=stays)
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerFailed("the local redis-server did not start", got=str(error),
                           do="free memory, or check the program") from error
    started = replace(cluster, pid=server.pid)
    # Followed by its pid from here on, as the next command has to do: the object must not warn of a lost one.
    server.returncode = 0
    try:
        _describe(started)
    except BaseException:
        process.end(started.pid, started.directory)
        raise
    return started


def _wait_until_ready(cluster: Cluster) -> Cluster:
    """The cluster with its server's run id, once it answers; its server has ended when this raises."""
    deadline = time.monotonic() + _READY_SECONDS
    try:
        while True:
            if not cluster.is_alive:
                raise _failure(cluster.directory / "redis.log", cluster.port)
            try:
                client = connect(cluster.endpoint, timeout_seconds=2.0)
                break
            except AmplyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        with client:
            return replace(cluster, run_id=str(client.info("server")["run_id"]))
    except BaseException:
        process.end(cluster.pid, cluster.directory)
        raise


def _failure(log: Path, port: int) -> AmplyError:
    words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    if any("already in use" in line for line in words):
        return PortInUse(f"port {port} is in use", got=words[-1][-160:], do="choose another --port")
    return ServerFailed("the local redis-server did not start", got=" / ".join(words[-2:])[-300:] or "no log",
                        do="check the program named by `make setup`, free memory and disk space")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
