from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from locust_process import cluster_directories, servers_of_ours

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, DiskFull, NoServer, PortInUse, ServerFailed, UnknownName
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import cluster as clusters
from amply_capacity.target.described import describe, read_description
from amply_capacity.target.endpoint import connect
from amply_capacity.target.lease import DRILL_LOCK, lock
from amply_capacity.target.process import began_ticks

_START_AND_STAY = """
import sys, time
from amply_capacity.target import cluster
started = cluster.start("orphan", maxmemory_bytes=2**24, stays=sys.argv[1] == "stays")
print(started.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def nothing_left_behind(redis_cluster: clusters.Cluster) -> Iterator[None]:
    servers, directories = servers_of_ours(), cluster_directories()
    yield
    assert servers_of_ours() == servers
    assert cluster_directories() == directories


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 20.0
    while str(pid) in servers_of_ours():
        assert time.monotonic() < deadline, f"server {pid} still runs"
        time.sleep(0.02)


def test_it_carries_the_specifications_parameter_group() -> None:
    node = node_type("cache.t3.micro")
    with clusters.throw_away(node=node) as cluster, connect(cluster.endpoint) as client:
        wanted = {
            "maxmemory-policy": "volatile-lru",
            "timeout": "300",
            "appendonly": "no",
            "save": "",
            "maxmemory": str(int(node.memory_bytes * 0.75)),
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert cluster.maxmemory_bytes == int(node.memory_bytes * 0.75)
        assert client.info("server")["run_id"] == cluster.run_id


def test_reserved_memory_is_the_callers() -> None:
    node = node_type("cache.t3.micro")
    with clusters.throw_away(node=node, reserved_memory_percent=50.0) as cluster:
        assert cluster.maxmemory_bytes == int(node.memory_bytes * 0.5)


def test_it_listens_on_loopback_only() -> None:
    with clusters.throw_away() as cluster, connect(cluster.endpoint) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_stopping_removes_server_and_directory() -> None:
    cluster = clusters.start()
    assert cluster.is_alive
    assert cluster.directory.is_dir()
    clusters.stop(cluster)
    assert not cluster.is_alive
    assert not cluster.directory.exists()
    clusters.stop(cluster)  # twice is no fault


def test_a_block_that_fails_leaves_nothing() -> None:
    with pytest.raises(RuntimeError, match="mine"), clusters.throw_away():
        raise RuntimeError("mine")


def test_a_server_that_hangs_is_ended_all_the_same() -> None:
    cluster = clusters.start()
    os.kill(cluster.pid, signal.SIGSTOP)
    clusters.stop(cluster)
    assert not cluster.is_alive


def test_its_password_lies_in_private_files_only() -> None:
    with clusters.throw_away(with_password=True) as cluster:
        password = cluster.endpoint.password
        assert password is not None
        assert len(password) >= 24
        files = [path for path in cluster.directory.rglob("*") if path.is_file()]
        holders = [path for path in files if password in path.read_text(errors="replace")]
        assert {path.name for path in holders} == {"password", "redis.conf"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}
        assert password not in Path(f"/proc/{cluster.pid}/cmdline").read_text()
        assert password not in repr(cluster) + repr(cluster.endpoint) + json.dumps(cluster.as_json())
        with connect(cluster.endpoint) as client:
            assert client.ping() is True


def test_a_named_cluster_is_found_and_another_name_offers_the_nearest() -> None:
    with clusters.throw_away(name="orders") as cluster:
        assert clusters.find_cluster("orders") == cluster
        with pytest.raises(UnknownName, match="use one of orders"):
            clusters.find_cluster("order")
    with pytest.raises(UnknownName):
        clusters.find_cluster("orders")


def test_a_name_in_use_is_refused() -> None:
    with clusters.throw_away(name="orders") as cluster:
        with pytest.raises(BadInput, match="already up"):
            clusters.start("orders")
        assert cluster.is_alive


@pytest.mark.parametrize("name", ["../up", "a b", "né", ".", "a/b"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="letters, digits"):
        clusters.start(name)


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is in use"):
            clusters.start(port=port)


def test_a_port_that_is_taken_between_the_look_and_the_start_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("amply_capacity.target.process.is_free", lambda _: True)
        with pytest.raises(PortInUse, match=f"port {port} is in use"):
            clusters.start(port=port)


def test_a_free_port_that_was_taken_meanwhile_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr("amply_capacity.target.process.free_port", lambda **_: next(ports))
        with clusters.throw_away() as cluster:
            assert cluster.port == free


def test_without_a_server_program_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(NoServer, match="/nowhere/redis-server"):
        clusters.start("orders")


def test_a_program_that_does_not_come_up_is_a_failure_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "broken"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.0.15 malloc=libc" && exit\n'
        "echo I am broken > redis.log; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("AMPLY_REDIS_SERVER", str(program))
    with pytest.raises(ServerFailed, match="I am broken"):
        clusters.start("orders")


@pytest.mark.parametrize("file", ["redis.conf", "password", "cluster.json"])
def test_a_disk_that_fills_up_on_the_way_leaves_neither_server_nor_directory(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        if file in str(path):
            raise OSError(28, "No space left on device", str(path))

    real_open, real_write = os.open, Path.write_text
    monkeypatch.setattr(
        "os.open", lambda path, *rest, **more: (full(path), real_open(path, *rest, **more))[1]
    )
    monkeypatch.setattr(Path, "write_text", lambda path, *rest: (full(path), real_write(path, *rest))[1])
    with pytest.raises(DiskFull, match="Do: free space"):
        clusters.start("orders", with_password=True)
    assert not (CLUSTERS_DIR / "orders").exists()


def test_a_disk_that_is_full_once_the_server_runs_leaves_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = clusters.describe, []

    def full_at_last(cluster: clusters.Cluster, *rest: Path) -> None:
        calls.append(cluster)
        if cluster.is_up:
            raise OSError(28, "No space left on device")
        real(cluster, *rest)

    monkeypatch.setattr(clusters, "describe", full_at_last)
    with pytest.raises(DiskFull):
        clusters.start("orders")
    assert calls[-1].pid > 0
    assert not calls[-1].is_alive


@pytest.mark.parametrize("stays", ["stays", "ends"])
def test_a_killed_owner_takes_its_cluster_along_but_not_one_that_stays(stays: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _START_AND_STAY, stays], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        owner.kill()
    if stays == "stays":
        cluster = clusters.find_cluster("orphan")
        assert cluster.pid == server
        clusters.sweep()
        assert cluster.is_alive
        clusters.stop(cluster)
    else:
        _wait_gone(server)
        assert (CLUSTERS_DIR / "orphan").exists()
        clusters.stop(clusters.start())  # any start sweeps
        assert not (CLUSTERS_DIR / "orphan").exists()


def test_a_server_that_died_is_swept_though_its_owner_lives() -> None:
    cluster = clusters.start("died")
    os.kill(cluster.pid, signal.SIGKILL)
    os.waitpid(cluster.pid, 0)
    with pytest.raises(UnknownName):
        clusters.find_cluster("died")
    clusters.sweep()
    assert not cluster.directory.exists()


def test_a_server_that_a_drill_ended_is_left_alone_until_the_drill_is_over() -> None:
    cluster = clusters.start("drilled")
    with lock(cluster.directory / DRILL_LOCK):
        os.kill(cluster.pid, signal.SIGKILL)
        os.waitpid(cluster.pid, 0)
        clusters.stop(clusters.start())  # any start sweeps
        assert read_description(cluster.directory) == cluster
    clusters.sweep()
    assert not cluster.directory.exists()


def test_a_drill_that_was_killed_keeps_its_cluster_from_no_sweep() -> None:
    dead = replace(_being_started("dead", os.getpid()), is_up=True)
    dead.directory.mkdir(parents=True)
    describe(dead)
    (dead.directory / DRILL_LOCK).write_text("{}")  # the drill held it until it was killed
    clusters.sweep()
    assert not dead.directory.exists()


def _being_started(name: str, owner_pid: int) -> clusters.Cluster:
    """A cluster on record that has no server yet."""
    return clusters.Cluster(
        name, "single", (), False, None, 0, 25.0, "/usr/bin/redis-server", "redis", "7", "libc", False,
        owner_pid, began_ticks(owner_pid),
    )


def test_what_a_starter_left_that_was_killed_half_way_is_swept() -> None:
    half = _being_started("half", 2**22 + 1)
    half.directory.mkdir(parents=True)
    describe(half)
    clusters.sweep()
    assert not half.directory.exists()


def test_an_owner_whose_pid_another_process_got_is_gone() -> None:
    half = replace(_being_started("half", os.getpid()), owner_began_ticks=1)
    half.directory.mkdir(parents=True)
    describe(half)
    clusters.sweep()
    assert not half.directory.exists()


@pytest.mark.parametrize("name", ["half", f".half.{2**22 + 1}"])
def test_a_directory_that_a_killed_removal_or_beginning_left_is_swept(name: str) -> None:
    (CLUSTERS_DIR / name / "primary").mkdir(parents=True)
    clusters.sweep()
    assert not (CLUSTERS_DIR / name).exists()


def test_a_cluster_that_another_process_is_starting_is_left_alone() -> None:
    other = _being_started("other", os.getpid())
    other.directory.mkdir(parents=True)
    describe(other)
    clusters.sweep()
    assert other.directory.exists()
    with pytest.raises(BadInput, match="being started"):
        clusters.start("other")
    with pytest.raises(UnknownName):
        clusters.find_cluster("other")
    clusters.stop(other)


def test_a_recycled_pid_is_not_taken_for_our_server() -> None:
    cluster = clusters.start("recycled")
    clusters.stop(cluster)
    imposter = replace(cluster, nodes=(replace(cluster.nodes[0], pid=os.getpid()),))
    assert not imposter.is_alive
    clusters.stop(imposter)  # and so we live on


def test_a_server_whose_starter_was_killed_before_it_wrote_the_pid_down_is_ended_too() -> None:
    cluster = clusters.start("unwritten")
    clusters.stop(replace(cluster, nodes=()))
    assert not cluster.is_alive
    assert not cluster.directory.exists()
    os.waitpid(cluster.pid, 0)


def test_another_program_that_works_in_the_clusters_directory_is_left_alone() -> None:
    cluster = clusters.start("visited")
    with subprocess.Popen(["sleep", "60"], cwd=cluster.directory) as visitor:
        clusters.stop(cluster)
        assert visitor.poll() is None
        visitor.kill()
    assert not cluster.is_alive


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64mb", 64 * 2**20),
        ("1gb", 2**30),
        ("512KB", 2**19),
        ("67108864", 67108864),
        ("10b", 10),
        ("1.5mb", 3 * 2**19),
    ],
)
def test_amounts_of_memory_are_read_as_redis_reads_them(text: str, size: int) -> None:
    assert clusters.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "mb", "0", "-1mb", "64xb", "nan", "inf", "9e30"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="memory"):
        clusters.parse_bytes(text)


def test_the_node_type_is_optional_but_not_invented() -> None:
    assert clusters.node_or_none(None) is None
    assert clusters.node_or_none("cache.t3.small") == node_type("cache.t3.small")
    with pytest.raises(UnknownName, match=r"cache\.t3\.micro"):
        clusters.node_or_none("cache.t3.mikro")
