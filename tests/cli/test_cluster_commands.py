"""`amply-capacity cluster`: servers that outlive the command that started them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from locust_process import servers_of_ours

from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import cluster as clusters
from amply_capacity.target.process import reap, works_in


@pytest.fixture
def name() -> Iterator[str]:
    """A name of this process' own; whatever bears it is removed afterwards."""
    chosen = f"cli-{os.getpid()}"
    yield chosen
    for cluster in clusters.all_clusters():
        if cluster.name == chosen:
            clusters.stop(cluster)


def test_a_cluster_goes_up_stays_shows_its_state_and_goes_down_without_a_trace(
        amply_process: Callable, name: str) -> None:
    up = amply_process("cluster", "up", name, "--node-type", "cache.t3.micro", "--json")
    assert up.code == 0
    assert set(up.json) == {"url", "name"}
    assert up.json["name"] == name
    with redis.Redis.from_url(up.json["url"], decode_responses=True) as client:
        assert client.ping(), "the server outlives the command"
        assert client.config_get("maxmemory") == {"maxmemory": "402653184"}  # 512 MiB less 25 %
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}

    again = amply_process("cluster", "up", name)
    again.assert_refused(f"'{name}' is already up", up.json["url"], "cluster down")

    status = amply_process("cluster", "status", name, "--json")
    (shown,) = status.json["clusters"]
    assert (status.code, shown["alive"], shown["url"]) == (0, True, up.json["url"])
    assert shown["node_type"] == "cache.t3.micro"

    down = amply_process("cluster", "down", name, "--json")
    assert (down.code, down.json) == (0, {"stopped": [name]})
    (server,) = shown["nodes"]
    assert server["role_now"] == "primary"
    assert not works_in(server["pid"], CLUSTERS_DIR / name)
    with redis.Redis.from_url(up.json["url"]) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert not (CLUSTERS_DIR / name).exists()
    gone = amply_process("cluster", "status", name, "--json")
    assert (gone.code, gone.json) == (1, {"clusters": []})


def test_a_password_is_in_a_private_file_and_in_nothing_that_is_printed(amply: Callable, name: str) -> None:
    up = amply("cluster", "up", name, "--auth", "--json")
    assert up.code == 0
    file = CLUSTERS_DIR / name / "password"
    password = file.read_text()
    assert len(password) >= 24
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = amply("cluster", "status", name, "--json")
    described = (CLUSTERS_DIR / name / "cluster.json").read_text()
    for text in (up.out, up.err, shown.out, shown.err, amply("cluster", "status", name).out, described):
        assert password not in text
    with redis.Redis.from_url(up.json["url"]) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(up.json["url"], password=password) as owner:
        assert owner.ping()
    pid = json.loads(described)["nodes"][0]["pid"]
    with open(f"/proc/{pid}/cmdline", "rb") as words:
        assert password.encode() not in words.read()
    assert amply("target", "check", name, "--json").json == {"allowed": True}


def test_for_a_person_the_way_to_load_and_to_remove_it_is_printed(amply: Callable, name: str) -> None:
    up = amply("cluster", "up", name, "--maxmemory", "16mb")
    assert f"--target {name}" in up.out
    assert f"amply-capacity cluster down {name}" in up.out
    assert name in amply("cluster", "status").out
    assert amply("cluster", "down", name).out == f"stopped {name}\n"


def test_a_port_in_use_is_refused_and_nothing_is_left(amply: Callable, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        amply("cluster", "up", name, "--port", str(port)).assert_refused(f"port {port} is in use", "--port")
    assert not (CLUSTERS_DIR / name).exists()


def test_all_wrong_options_are_named_at_once(amply: Callable, name: str) -> None:
    answer = amply("cluster", "up", name, "--topology", "ring", "--port", "70000", "--maxmemory", "much",
                   "--node-type", "cache.t3.mikro")
    answer.assert_refused("'ring'", "single, replicated, sharded", "70000", "'much'", "'cache.t3.mikro'",
                          "cache.t3.micro")
    assert not (CLUSTERS_DIR / name).exists()


def test_a_cluster_that_is_not_there_cannot_be_taken_down(amply: Callable) -> None:
    amply("cluster", "down", "never-started").assert_refused("unknown cluster", "'never-started'")


def test_a_replicated_cluster_shows_its_servers_and_their_roles(amply: Callable, name: str) -> None:
    up = amply("cluster", "up", name, "--topology", "replicated", "--tls", "--auth")
    assert up.code == 0
    assert "Sentinels" in up.err, "whoever waits is told for what"
    assert "rediss://127.0.0.1:" in up.out
    (shown,) = amply("cluster", "status", name, "--json").json["clusters"]
    assert (shown["topology"], shown["tls"], shown["alive"]) == ("replicated", True, True)
    assert [(node["role"], node["role_now"]) for node in shown["nodes"]] == [
        (role, role) for role in ("primary", "replica", "sentinel", "sentinel", "sentinel")]
    text = amply("cluster", "status", name).out
    assert "a primary, a replica and 3 Sentinels" in text
    assert all(node["url"] in text for node in shown["nodes"])
    assert amply("cluster", "down", name).code == 0
    assert not any(works_in(node["pid"], CLUSTERS_DIR / name) for node in shown["nodes"])
    assert not (CLUSTERS_DIR / name).exists()


def test_a_cluster_of_which_only_sentinels_are_left_is_shown_as_down_and_goes_down_by_its_name(
        amply: Callable, name: str) -> None:
    assert amply("cluster", "up", name, "--topology", "replicated").code == 0
    cluster = clusters.find_cluster(name)
    for node in cluster.nodes[:2]:
        os.kill(node.pid, signal.SIGKILL)
        reap(node.pid)
    status = amply("cluster", "status", name)
    assert (status.code, status.out.split()[:2]) == (1, [name, "down"])
    assert any(node.is_alive for node in cluster.nodes)
    amply("target", "check", name).assert_refused("unknown cluster")

    down = amply("cluster", "down", name, "--json")
    assert (down.code, down.json) == (0, {"stopped": [name]})
    assert not any(node.is_alive for node in cluster.nodes)
    assert not (CLUSTERS_DIR / name).exists()


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_start_leaves_neither_servers_nor_directory(name: str, asked: signal.Signals) -> None:
    command = [sys.executable, "-m", "amply_capacity.cli", "cluster", "up", name, "--topology", "replicated"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as starting:
        assert starting.stderr is not None
        while "Sentinels" not in (line := starting.stderr.readline()):  # by now two servers run
            assert line, "it ended unasked"
        starting.send_signal(asked)  # at once: it does not wait for us
        words = starting.stderr.read()
    assert starting.returncode not in {0, None}
    assert "Traceback" not in words
    assert not (CLUSTERS_DIR / name).exists(), (starting.returncode, words)
    assert not any(works_in(int(pid), CLUSTERS_DIR / name) for pid in servers_of_ours())


def test_a_server_without_tls_is_refused_before_anything_starts(
        amply: Callable, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the embedded wheels' server, whose words these are."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n"
                       "[ \"$1\" = --version ] && echo 'Redis server v=6.2.5 malloc=libc' && exit\n"
                       "echo \">>> 'tls-port 0'\nBad directive or wrong number of arguments\" >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("AMPLY_REDIS_SERVER", str(program))
    amply("cluster", "up", name, "--tls").assert_refused("speaks no TLS", "6.2.5", "AMPLY_REDIS_SERVER")
    assert not (CLUSTERS_DIR / name).exists()
