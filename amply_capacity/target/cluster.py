"""Local test clusters: real servers on loopback that the toolkit starts, finds again and removes."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.disk import on_disk
from amply_capacity.errors import BadInput, PortInUse, UnknownName
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import process
from amply_capacity.target.certificates import make_certificates
from amply_capacity.target.configuration import Settings
from amply_capacity.target.described import Cluster, Node, describe, read_description
from amply_capacity.target.launch import Launcher
from amply_capacity.target.lease import DRILL_LOCK, lock_holder
from amply_capacity.target.private import write_private
from amply_capacity.target.program import ServerProgram, find_server
from amply_capacity.target.topology import build, check_topology

__all__ = [
    "Cluster",
    "Node",
    "all_clusters",
    "described_cluster",
    "find_cluster",
    "node_or_none",
    "parse_bytes",
    "start",
    "stop",
    "sweep",
    "throw_away",
]

_STOP_ATTEMPTS, _STOP_PAUSE_SECONDS = 20, 0.05


def start(
    name: str | None = None,
    *,
    topology: str = "single",
    tls: bool = False,
    node: NodeType | None = None,
    maxmemory_bytes: int | None = None,
    reserved_memory_percent: float = 25.0,
    port: int | None = None,
    with_password: bool = False,
    stays: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> Cluster:
    """Start the servers of a topology with the specification's parameter group, and wait until they serve.

    `maxmemory` of each data server is the node type's table value less its reserved memory (DESIGN section
    5), or `maxmemory_bytes`; `port` is the first server's. With `tls` every connection is encrypted, those
    between the servers included. `tell` hears what is waited for. A cluster that `stays` outlives this
    process; any other ends with it, also when that is killed.

    Raises BadInput for a name in use or no topology, PortInUse, NoServer, DiskFull, or ServerFailed
    with the last words of a server's log, or where the program speaks no TLS.
    """
    check_topology(topology)
    sweep()
    program = find_server()
    name = name or f"local-{secrets.token_hex(3)}"
    _check_name(name)
    if tls:
        program.require_tls()
    if port is not None and not process.is_free(port):
        raise PortInUse(f"port {port} is in use", got=f"127.0.0.1:{port} cannot be bound",
                        do="choose another --port, or leave it out for a free one")
    maxmemory = maxmemory_bytes if maxmemory_bytes is not None else (
        node.usable_bytes(reserved_memory_percent) if node else 0)
    blank = _blank(name, topology, program, tls=tls, node_type=node.name if node else None,
                   maxmemory_bytes=maxmemory, reserved_memory_percent=reserved_memory_percent)
    with on_disk(CLUSTERS_DIR):
        _make_directory(blank)
        try:
            password = secrets.token_urlsafe(24) if with_password else None
            if password:
                write_private(blank.directory / "password", password)
            settings = Settings(maxmemory, node.maxclients if node else 10000, password,
                                make_certificates(blank.directory) if tls else None)
            launcher = Launcher(blank, program, settings, stays=stays, port=port, tell=tell)
            build(topology, launcher)
            started = replace(launcher.cluster, is_up=True)
            if stays:
                started = replace(started, owner_pid=None, owner_began_ticks=None)
            describe(started)
            return started
        except BaseException:
            stop(read_description(blank.directory) or blank)
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
    """End the cluster's servers, as far as they still are ours, and remove its directory."""
    for _ in range(_STOP_ATTEMPTS):
        process.end_all([node.pid for node in cluster.nodes], cluster.directory, Path(cluster.program))
        shutil.rmtree(cluster.directory, ignore_errors=True)
        if not cluster.directory.exists():
            return
        time.sleep(_STOP_PAUSE_SECONDS)  # a server that was just being forked has come in meanwhile


def all_clusters() -> list[Cluster]:
    """Every cluster of this checkout that has a description, alive or not, by name."""
    found = (read_description(directory) for directory in _directories() if not _is_transient(directory))
    return [cluster for cluster in found if cluster is not None]


def find_cluster(name: str) -> Cluster:
    """The running cluster of that name. Raises UnknownName."""
    for cluster in all_clusters():
        if cluster.name == name and cluster.is_up and cluster.is_alive:
            return cluster
    names = [cluster.name for cluster in all_clusters() if cluster.is_alive]
    raise UnknownName("cluster", name, names or ["none is up: start one with `amply-capacity cluster up`"])


def described_cluster(name: str) -> Cluster:
    """The cluster of that name, whether its servers run or not. Raises UnknownName."""
    known = {cluster.name: cluster for cluster in all_clusters()}
    if name not in known:
        raise UnknownName("cluster", name, known or ["none: this checkout has no cluster"])
    return known[name]


def sweep() -> None:
    """Remove what a killed process left: clusters whose owner is gone, and directories of ended servers.

    A drill's cluster may be without a server for a while: it is left to the drill.
    """
    for directory in _directories():
        # Before the look at its servers: a drill that ends meanwhile has brought them back.
        is_drilled = lock_holder(directory / DRILL_LOCK) is not None
        cluster = read_description(directory)
        if _is_transient(directory):
            maker = directory.name.rpartition(".")[2]
            if maker.isdigit() and not process.exists(int(maker)):
                shutil.rmtree(directory, ignore_errors=True)
        elif cluster is None:
            # A removal that was killed half-way: a directory bears its description from its first moment.
            if not process.working_below(directory):
                shutil.rmtree(directory, ignore_errors=True)
        elif not cluster.has_owner or (cluster.is_up and not cluster.is_alive and not is_drilled):
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


def _blank(name: str, topology: str, program: ServerProgram, **options: Any) -> Cluster:
    """The cluster before its first server. Ours until it is up, so that a kill on the way leaves nothing."""
    return Cluster(name, topology, nodes=(), program=str(program.path.resolve()), engine=program.engine,
                   version=program.version, allocator=program.allocator, is_up=False, owner_pid=os.getpid(),
                   owner_began_ticks=process.began_ticks(os.getpid()), **options)


def _make_directory(cluster: Cluster) -> None:
    """The cluster's directory, with its description from its first moment, so that `sweep` understands it."""
    CLUSTERS_DIR.mkdir(parents=True, exist_ok=True)
    made = CLUSTERS_DIR / f".{cluster.name}.{os.getpid()}"
    shutil.rmtree(made, ignore_errors=True)
    try:
        made.mkdir(mode=0o700)
        describe(cluster, made)
        made.rename(cluster.directory)  # refused by a directory that is there and not empty
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise BadInput(f"cluster {cluster.name!r} is being started by somebody else",
                           got=f"{cluster.directory} exists",
                           do="choose another name, or remove that directory if nobody does") from None
        raise


def _directories() -> list[Path]:
    return sorted(path for path in CLUSTERS_DIR.glob("*") if path.is_dir())


def _is_transient(directory: Path) -> bool:
    """Whether it is one that `_make_directory` is filling, named with the pid of whoever does."""
    return directory.name.startswith(".")
