"""`amply-capacity drill`: what is refused, and a drill on a cluster that is given back whole."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from locust_process import wait_until

from amply_capacity.run.reader import read_run
from amply_capacity.run.writer import is_being_written
from amply_capacity.target import cluster as clusters
from amply_capacity.target import guard
from amply_capacity.target.endpoint import connect

_PATIENCE_SECONDS = 30.0


@pytest.fixture
def pair() -> Iterator[clusters.Cluster]:
    """A replicated cluster that stays, whose replica no Sentinel may promote."""
    started = clusters.start("pair", topology="replicated", maxmemory_bytes=2**26, stays=True)
    try:
        with connect(started.data_nodes[1]) as client:
            client.config_set("replica-priority", 0)
        for sentinel in started.sentinels:  # each asks its servers every ten seconds
            limit = time.monotonic() + _PATIENCE_SECONDS
            with connect(sentinel) as client:
                while int(client.sentinel_slaves("amply")[0]["slave-priority"]) and time.monotonic() < limit:
                    time.sleep(0.1)
        yield started
    finally:
        clusters.stop(clusters.find_cluster("pair"))


def test_a_drill_on_a_cluster_of_ours_gives_it_back_whole_and_says_why_it_did_not_complete(
        amply: Callable, pair: clusters.Cluster, tmp_path: Path) -> None:
    with connect(pair.endpoint) as client:
        client.set("mine", "1")
    answer = amply("drill", "failover", "--target", "pair", "--seconds", "30", "--population", "20",
                   "--prefill", "0", "--run-dir", tmp_path / "run", "--json")
    assert answer.code == 1, answer.err
    found = answer.json
    assert found["completed"] is False
    assert found["reason"] == "sentinel-1 refused: NOGOODSLAVE No suitable replica to promote"
    assert (found["drill"], found["topology"]) == ("failover", "replicated")
    assert found["run"] == str(tmp_path / "run")
    assert (found["unavailable_seconds"] or 0.0) < 5.0
    assert (found["lost_writes"], found["lost_sessions"]) == (0, 0)
    assert found["writes"]["acknowledged"] > 0
    run = read_run(tmp_path / "run")
    assert "it was broken off" in run.manifest["verdict_reason"], "it did not wait for its 30 s"
    given_back = clusters.find_cluster("pair")
    assert [node.pid for node in given_back.nodes] == [node.pid for node in pair.nodes]
    assert all(node.is_alive for node in given_back.nodes)
    assert not list(pair.directory.glob("drill*"))
    with connect(given_back.endpoint) as client:
        assert client.keys() == ["mine"]
    for stage in ("filling in the keys", "the load runs", "failover requested", "not completed"):
        assert stage in answer.err


def _stands_still(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _runs_freely(pid: int) -> bool:
    """Whether it stands still at none of many looks."""
    for _ in range(30):
        if _stands_still(pid):
            return False
        time.sleep(0.01)
    return True


def test_a_drill_that_is_killed_leaves_no_replica_standing_still(
        pair: clusters.Cluster, tmp_path: Path) -> None:
    replica = next(node.pid for node in pair.nodes if node.role == "replica")
    command = [sys.executable, "-m", "amply_capacity.cli", "drill", "slow-replica", "--target", "pair",
               "--seconds", "60", "--cut-seconds", "40", "--replica-speed", "0.02", "--population", "20",
               "--prefill", "0", "--run-dir", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as drilling:
        try:
            wait_until(lambda: drilling.poll() is not None or _stands_still(replica), "a slow replica")
        finally:
            drilling.kill()
    assert drilling.returncode == -9, "it ended by itself"
    wait_until(lambda: _runs_freely(replica), "a replica that runs freely")
    wait_until(lambda: not is_being_written(tmp_path / "run"), "the end of its load's run")


def test_a_server_that_is_not_marked_for_drills_is_refused(amply: Callable, plain_redis: Callable[..., int],
                                                           tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{plain_redis()}/0"
    amply("drill", "crash", "--target", url).assert_refused("not marked as a test target")
    guard.mark(url, "me", date.today(), today=date.today())
    amply("drill", "crash", "--target", url).assert_refused("not marked for drills", "--allow-drills")
    amply("target", "mark", url, "--owner", "me", "--allow-drills")
    amply("drill", "crash", "--target", url).assert_refused("needs the server's process")


def test_a_failover_of_elasticache_without_confirmation_is_refused_before_anything_is_asked(
        amply: Callable) -> None:
    amply("drill", "failover", "--target", "rediss://test.internal", "--replication-group", "amply-test",
          "--region", "us-east-1").assert_refused("not confirmed", "--confirm amply-test")


def test_what_cannot_be_drilled_is_said_at_once(amply: Callable, redis_cluster: clusters.Cluster) -> None:
    amply("drill", "earthquake").assert_refused("crash, restart, failover")
    amply("drill", "crash", "--seconds", "1", "--persistence", "tape").assert_refused("--seconds 1", "tape")
    amply("drill", "crash", "--target", "nobody").assert_refused("unknown cluster")
    amply("drill", "failover", "--target", redis_cluster.name).assert_refused("nobody to fail over to")


def test_the_help_has_an_example(amply: Callable) -> None:
    answer = amply("drill", "--help")
    assert answer.code == 0
    assert "Example: amply-capacity drill crash --topology replicated --seconds 30" in answer.out
