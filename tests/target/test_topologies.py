"""Each topology, plain and with TLS and a password: up as a whole, secret, and gone as a whole."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from locust_process import cluster_directories, servers_of_ours, wait_until

from amply_capacity.errors import AuthRequired, BadInput, NotRedis, TargetError
from amply_capacity.files import CLUSTERS_DIR
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import connect

SHAPES = {
    "single": ["primary"],
    "replicated": ["primary", "replica", "sentinel", "sentinel", "sentinel"],
    "sharded": ["primary"] * 3 + ["replica"] * 3,
}
_START = """
import sys
from amply_capacity.target import cluster
cluster.start("cut", topology=sys.argv[1], tls=True, with_password=True, stays=True, maxmemory_bytes=2**24)
"""


@pytest.fixture(scope="module", params=[(shape, safe) for shape in SHAPES for safe in (False, True)],
                ids=lambda param: f"{param[0]}-{'tls-auth' if param[1] else 'plain'}")
def cluster(request: pytest.FixtureRequest) -> Iterator[clusters.Cluster]:
    topology, safe = request.param
    with clusters.throw_away(topology=topology, tls=safe, with_password=safe,
                             maxmemory_bytes=2**25) as started:
        yield started
    assert not any(node.is_alive for node in started.nodes)
    assert not started.directory.exists()


@pytest.fixture(scope="module")
def safe() -> Iterator[clusters.Cluster]:
    with clusters.throw_away(tls=True, with_password=True, maxmemory_bytes=2**24) as started:
        yield started


def test_every_server_is_what_it_was_started_as(cluster: clusters.Cluster) -> None:
    assert [node.role for node in cluster.nodes] == SHAPES[cluster.topology]
    assert [cluster.role_now(node) for node in cluster.nodes] == SHAPES[cluster.topology]
    for node in cluster.nodes:
        with connect(cluster.endpoint_of(node)) as client:
            server = client.info("server")
        assert (server["run_id"], server["process_id"]) == (node.run_id, node.pid)
    with connect(cluster.data_nodes[-1]) as client:
        wanted = {"maxmemory-policy": "volatile-lru", "timeout": "300", "appendonly": "no",
                  "maxmemory-samples": "3", "maxmemory": str(2**25)}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_it_serves_as_a_whole_from_the_moment_it_is_up(cluster: clusters.Cluster) -> None:
    if cluster.topology == "sharded":
        for endpoint in cluster.data_nodes:
            with connect(endpoint) as client:
                assert client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
        assert cluster.primaries() == cluster.data_nodes[:3]
    else:
        assert cluster.primaries() == (cluster.endpoint,) == cluster.data_nodes[:1]
    if cluster.topology == "replicated":
        with connect(cluster.endpoint) as primary, connect(cluster.data_nodes[1]) as replica:
            primary.set("a", "1")
            assert primary.wait(1, 5000) == 1
            assert replica.get("a") == "1"
        for sentinel in cluster.sentinels:
            with connect(sentinel) as client:
                assert client.execute_command("SENTINEL", "CKQUORUM", "amply").startswith("OK 3 ")
    assert len(cluster.sentinels) == SHAPES[cluster.topology].count("sentinel")


def test_its_description_says_all_but_the_secret(cluster: clusters.Cluster) -> None:
    assert clusters.find_cluster(cluster.name) == cluster
    shown = json.dumps(cluster.as_json())
    endpoint = cluster.endpoint
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint
    assert json.loads(json.dumps(asdict(endpoint)))["ca_bundle"] == cluster.ca_bundle
    if endpoint.password is None:
        return
    for file in (path for path in cluster.directory.rglob("*") if path.is_file()):
        text = file.read_text(errors="replace")
        if endpoint.password in text or "PRIVATE KEY" in text:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
            assert file.name in {"password", "redis.conf", "server.key"}
    for node in cluster.nodes:
        assert endpoint.password not in Path(f"/proc/{node.pid}/cmdline").read_text()
        with pytest.raises(AuthRequired):
            connect(replace(cluster.endpoint_of(node), password=None))
        with pytest.raises(NotRedis, match="TLS"):
            connect(replace(cluster.endpoint_of(node), tls=False), timeout_seconds=1.0)
    assert endpoint.password not in shown + repr(endpoint) + repr(cluster)


def test_a_certificate_of_another_authority_is_not_trusted(safe: clusters.Cluster, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for bundle in (str(other), None):
        with pytest.raises(TargetError, match=r"certificate of rediss://.* is not trusted.*AMPLY_CA_BUNDLE"):
            connect(replace(safe.endpoint, ca_bundle=bundle))


def test_the_environment_names_the_authority_where_the_endpoint_does_not(
        safe: clusters.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_CA_BUNDLE", str(safe.ca_bundle))
    with connect(replace(safe.endpoint, ca_bundle=None, host="localhost")) as client:
        assert client.ping()


def test_an_unknown_topology_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"'ring'.*single, replicated, sharded"):
        clusters.start(topology="ring")


def test_a_start_that_is_killed_at_any_moment_leaves_nothing_after_the_next_sweep() -> None:
    """The servers of this start would stay: nothing but the sweep ends them."""
    before = servers_of_ours()
    directory = CLUSTERS_DIR / "cut"

    def started() -> list[Any]:
        with contextlib.suppress(OSError, ValueError):
            return list(json.loads((directory / "cluster.json").read_text())["nodes"])
        return []

    moments: list[Callable[[], object]] = [
        directory.exists, lambda: servers_of_ours() - before, lambda: len(started()) >= 2,
        lambda: len(started()) == 6 and started()[-1]["run_id"]]
    for moment in moments:
        with subprocess.Popen([sys.executable, "-c", _START, "sharded"]) as owner:
            deadline = time.monotonic() + 30.0
            while not moment():
                assert owner.poll() is None
                assert time.monotonic() < deadline
            owner.send_signal(signal.SIGKILL)
        # What was forked in the last moment is a server only once it has become the program.
        wait_until(lambda: (clusters.sweep(), servers_of_ours() == before)[1], "the end of all servers")
        assert "cut" not in "".join(cluster_directories())


def test_a_cluster_goes_on_without_one_of_its_servers() -> None:
    with clusters.throw_away(topology="replicated", maxmemory_bytes=2**24) as cluster:
        primary, replica = cluster.nodes[:2]
        os.kill(primary.pid, signal.SIGKILL)
        clusters.sweep()
        assert clusters.find_cluster(cluster.name) == cluster, "a failover is no end"
        wait_until(lambda: cluster.endpoint.port == replica.port, "the failover")
        wait_until(lambda: cluster.role_now(replica) == "primary", "the replica's rise")
        assert cluster.role_now(primary) is None
        os.kill(replica.pid, signal.SIGKILL)
        os.waitpid(replica.pid, 0)
        assert not cluster.is_alive, "Sentinels alone hold no data"
        clusters.sweep()
        assert not cluster.directory.exists()
        assert not any(node.is_alive for node in cluster.nodes)
