"""Local test clusters: real servers on loopback that the toolkit starts, finds again and removes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.errors import AmplyError, BadInput, PortInUse, ServerFailed, UnknownName
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target.endpoint import Endpoint, connect
from amply_capacity.target.program import ServerProgram, find_server

__all__ = ["Cluster", "all_clusters", "find_cluster", "node_or_none", "parse_bytes", "start", "stop", "sweep", "throw_away"]

_READY_SECONDS = 15.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A local server of ours, as its `cluster.json` describes it."""

    name: str
    host: str
    port: int
    pid: int
    run_id: str
    """The server's own run id: an endpoint is this cluster only if it still answers with it."""
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
        return _works_in(self.pid, self.directory)

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

    `maxmemory` is the node type's table value less its reserved memory (DESIGN section 5), or `maxmemory_bytes`.
    A cluster that `stays` outlives this process; any other ends with it, also when it is killed.

    Raises BadInput for a name in use, PortInUse, NoServer, or ServerFailed with the last words of its log.
    """
    sweep()
    program = find_server()
    name = name or f"local-{secrets.token_hex(3)}"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise BadInput("a cluster's name is made of letters, digits, - and _", got=repr(name), do="choose another")
    directory = CLUSTERS_DIR / name
    with contextlib.suppress(UnknownName):
        running = find_cluster(name)
        raise BadInput(f"cluster {name!r} is already up", got=f"{running.endpoint.url}, pid {running.pid}",
                       do=f"use it as --target {name}, or `amply-capacity cluster down {name}` first")
    if port is not None and not _is_free(port):
        raise PortInUse(f"port {port} is in use", got=f"127.0.0.1:{port} cannot be bound",
                        do="choose another --port, or leave it out for a free one")
    maxmemory = maxmemory_bytes if maxmemory_bytes is not None else (
        node.usable_bytes(reserved_memory_percent) if node else 0)
    directory.mkdir(parents=True)
    try:
        if with_password:
            _write_private(directory / "password", secrets.token_urlsafe(24))
        for attempt in range(5):  # a free port can be taken between the look and the start
            chosen = port or _free_port()
            process = _spawn(program, directory, chosen, maxmemory, node, stays=stays)
            blank = Cluster(name, "127.0.0.1", chosen, process.pid, "", "single", node.name if node else None,
                            maxmemory, reserved_memory_percent, program.engine, program.version,
                            program.allocator, None if stays else os.getpid())
            try:
                cluster = _wait_until_ready(blank, process)
            except PortInUse:
                if port is not None or attempt == 4:
                    raise
                continue
            break
        (directory / "cluster.json").write_text(json.dumps(asdict(cluster), indent=1))
        return cluster
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
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
    if cluster.is_alive:
        os.kill(cluster.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while cluster.is_alive and time.monotonic() < deadline:
            time.sleep(0.02)
        if cluster.is_alive:
            os.kill(cluster.pid, signal.SIGKILL)
    _reap(cluster.pid)
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
        if cluster.name == name and cluster.is_alive:
            return cluster
    names = [cluster.name for cluster in all_clusters() if cluster.is_alive]
    raise UnknownName("cluster", name, names or ["none is up: start one with `amply-capacity cluster up`"])


def sweep() -> None:
    """Remove what a killed process left: clusters whose owner is gone, and descriptions of servers that ended."""
    for cluster in all_clusters():
        orphan = cluster.owner_pid is not None and not _exists(cluster.owner_pid)
        if orphan or not cluster.is_alive:
            stop(cluster)


def node_or_none(name: str | None) -> NodeType | None:
    """The node type of that name, or None for no name. Raises UnknownName with the nearest ones."""
    return node_type(name) if name else None


def parse_bytes(text: str) -> int:
    """Bytes of `64mb`, `1gb`, `512kb` or a plain integer, units as in redis.conf (powers of 1024). ValueError else."""
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


def _spawn(
    program: ServerProgram, directory: Path, port: int, maxmemory: int, node: NodeType | None, *, stays: bool
) -> subprocess.Popen[bytes]:
    password = directory / "password"
    lines = [
        "bind 127.0.0.1", f"port {port}", "protected-mode yes", "daemonize no", f"dir {json.dumps(str(directory))}",
        # The specification's parameter group; ElastiCache for Redis 7 supports no append-only file.
        "maxmemory-policy volatile-lru", "timeout 300", "appendonly no", 'save ""',
        # ElastiCache's documented default differs from Redis' own 5 (parameter groups page, 2021).
        "maxmemory-samples 3",
        f"maxmemory {maxmemory}", f"maxclients {node.maxclients if node else 10000}", "databases 16",
        f"logfile {json.dumps(str(directory / 'redis.log'))}",
    ]
    if password.exists():
        lines.append(f"requirepass {password.read_text()}")
    _write_private(directory / "redis.conf", "\n".join(lines) + "\n")
    return subprocess.Popen(
        [program.path, directory / "redis.conf"], cwd=directory, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=None if stays else _die_with_parent,
    )


def _die_with_parent() -> None:  # pragma: no cover - runs in the child between fork and exec
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _wait_until_ready(cluster: Cluster, process: subprocess.Popen[bytes]) -> Cluster:
    deadline = time.monotonic() + _READY_SECONDS
    try:
        while True:
            if process.poll() is not None:
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
        if process.poll() is None:
            process.kill()
        process.wait()
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


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _works_in(pid: int, directory: Path) -> bool:
    if not _exists(pid):
        return False
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) == directory.resolve()
    except OSError:
        return not Path("/proc").is_dir()  # no /proc on this system: the pid has to do


def _reap(pid: int) -> None:
    """Collect the ended server's exit status, so that it does not stay in the process table; nothing if not our child."""
    deadline = time.monotonic() + 2.0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
