"""What the drills do to real servers, without a load: it breaks, is said why, and is whole again."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.drill.crash import crash
from amply_capacity.drill.failover import failover
from amply_capacity.drill.partition import partition
from amply_capacity.drill.plot import PLOTS
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.restart import take_snapshot
from amply_capacity.drill.scale_up import scale_up
from amply_capacity.drill.sentinels import SentinelListener
from amply_capacity.drill.server_log import log_moments, why_no_failover
from amply_capacity.drill.slow_replica import slow_replica
from amply_capacity.drill.stage import Stage, Unfinished
from amply_capacity.drill.staging import set_up
from amply_capacity.target import cluster as clusters
from amply_capacity.target.configuration import SERVICE_NAME
from amply_capacity.target.launch import Launcher
from amply_capacity.target.lease import DRILL_LOCK

_PATIENCE_SECONDS = 20.0


@contextlib.contextmanager
def _stage(cluster: clusters.Cluster, scratch: Path, **options: Any) -> Iterator[Stage]:
    stage = Stage(DrillRequest(**options), Launcher.of(cluster), scratch)
    stage.deadline = time.monotonic() + _PATIENCE_SECONDS
    stage.learn()
    with stage.companions:
        yield stage


@contextlib.contextmanager
def _cluster(**options: Any) -> Iterator[clusters.Cluster]:
    """Stopped as it is described at the end: servers of it may have come and gone."""
    started = clusters.start(maxmemory_bytes=2**25, **options)
    try:
        yield started
    finally:
        for one in clusters.all_clusters():
            if one.name == started.name:
                clusters.stop(one)


@pytest.fixture(scope="module")
def pair() -> Iterator[clusters.Cluster]:
    """A replicated cluster, for the tests that leave it whole, and for the last one."""
    with _cluster(topology="replicated") as started:
        yield started


def _names(stage: Stage) -> list[str]:
    return [moment.name for moment in stage.moments]


@pytest.mark.parametrize(("persistence", "kept"), [("none", {}), ("snapshot", {"before": "1"}),
                                                   ("aof", {"before": "1", "after": "2"})])
def test_a_restarted_server_has_what_was_kept(persistence: str, kept: dict[str, str], tmp_path: Path) -> None:
    with _cluster() as cluster, _stage(
            cluster, tmp_path, kind="restart", persistence=persistence) as stage:
        plot = PLOTS["restart"]
        with plot.staged(stage):
            with stage.control(stage.primary()) as client:
                client.set("before", "1")
                plot.before(stage)
                client.set("after", "2")
            plot.act(stage)
            with stage.control(stage.primary()) as client:
                assert {name: client.get(name) for name in client.scan_iter()} == kept
        assert _names(stage)[-3:] == ["restart", "server is back", "a primary for every key"]
        assert (stage.snapshot_s is not None) == (persistence == "snapshot")
        assert clusters.find_cluster(cluster.name).pid != cluster.pid


def test_a_crashed_server_is_replaced_after_a_while(tmp_path: Path) -> None:
    with _cluster() as cluster, _stage(cluster, tmp_path, kind="crash", back_after=0.3) as stage:
        with PLOTS["crash"].staged(stage):
            take_snapshot(stage)
            crash(stage)
        times = {moment.name: moment.time_s for moment in stage.moments}
        assert 0.3 <= times["server is back"] - times["crash"] < 5.0
        assert "snapshot taken" not in times
        with pytest.raises(Unfinished, match="does not run any more"):
            stage.kill(cluster.nodes[0])


@pytest.mark.parametrize("own", [True, False], ids=["started for it", "given"])
def test_the_only_server_of_a_drill_may_be_gone_while_another_cluster_is_started(own: bool) -> None:
    with contextlib.ExitStack() as given:
        target = None if own else given.enter_context(_cluster()).name
        with set_up(DrillRequest(kind="crash", target=target)) as stage:
            node = stage.primary()
            stage.kill(node)
            clusters.stop(clusters.start())  # any start sweeps
            assert stage.bring_back(node).is_alive
        assert stage.cluster.directory.exists() != own
        assert not (stage.cluster.directory / DRILL_LOCK).exists()


def test_a_drills_cluster_is_loaded_by_nobody_but_the_drill_until_it_is_given_back() -> None:
    def asked(name: str, between: str) -> tuple[int, str]:
        """Whether it may be loaded: by a process that we start, or by one that another starts in between."""
        command = f"{sys.executable} -m amply_capacity.cli target check {name}"
        words = ["sh", "-c", between.format(command)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    with _cluster() as cluster:
        with set_up(DrillRequest(kind="crash", target=cluster.name)):
            assert asked(cluster.name, "exec {}")[0] == 0
            code, words = asked(cluster.name, "{}; exit $?")
            assert code == 1
            assert f"it is being loaded by {getpass.getuser()}@" in words
        assert asked(cluster.name, "{}; exit $?")[0] == 0


_HELD = """
import sys, time
from amply_capacity.drill.plot import PLOTS
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.staging import set_up
request = DrillRequest(kind="crash", target=sys.argv[1], delay_ms=20.0, down_after_ms=900.0)
with set_up(request) as stage:
    stage.learn()
    stage.deadline = time.monotonic() + 30.0
    with PLOTS["crash"].staged(stage):
        print("staged", flush=True)
        time.sleep(60.0)
"""


@pytest.mark.parametrize("safe", [False, True], ids=["plain", "tls-auth"])
def test_what_a_killed_drill_did_to_a_link_and_to_sentinels_is_put_right(safe: bool, tmp_path: Path) -> None:
    settings = ("failover-timeout", "down-after-milliseconds")

    def told() -> tuple[bool, int, list[tuple[int, ...]]]:
        with stage.control(replica) as client:
            said = client.info("replication")
        found = []
        for sentinel in stage.sentinels:
            with stage.control(sentinel) as client:
                master = client.sentinel_master(SERVICE_NAME)
            found.append(tuple(int(master[name]) for name in settings))
        return said["master_link_status"] == "up", int(said["master_port"]), found

    with (_cluster(topology="replicated", tls=safe, with_password=safe) as cluster,
          _stage(cluster, tmp_path, kind="crash") as stage):
        primary, (replica,) = stage.primary(), stage.replicas()
        before = told()
        assert before[:2] == (True, primary.port)
        with subprocess.Popen([sys.executable, "-c", _HELD, cluster.name], stdout=subprocess.PIPE) as held:
            assert held.stdout is not None
            assert held.stdout.readline() == b"staged\n"
            during = told()
            assert during[1] not in {node.port for node in cluster.nodes}
            assert set(during[2]) == {(3_600_000, 900)}
            held.kill()
        stage.wait_until(lambda: told() == before, "everything as it was")
        assert stage.is_whole()


@pytest.mark.parametrize("safe", [False, True], ids=["plain", "tls-auth"])
def test_a_larger_server_takes_the_place_the_address_and_all_keys(safe: bool, tmp_path: Path) -> None:
    with (_cluster(tls=safe, with_password=safe) as cluster,
          _stage(cluster, tmp_path, kind="scale-up") as stage):
        with stage.control(cluster.nodes[0]) as client:
            client.set("mine", "1")
        scale_up(stage)
        (node,) = stage.cluster.nodes
        assert (node.name, node.port) == ("larger", cluster.port)
        with stage.control(node) as client:
            assert client.get("mine") == "1"
            assert client.config_get("maxmemory")["maxmemory"] == str(2**26)
            assert client.info("replication")["role"] == "master"
        assert clusters.find_cluster(cluster.name).nodes == (node,)


@pytest.mark.xdist_group("drill-pair")
def test_a_partition_heals_and_the_replica_is_as_it_was(pair: clusters.Cluster, tmp_path: Path) -> None:
    with _stage(pair, tmp_path, kind="partition", cut=0.4, delay_ms=20.0) as stage:
        primary, (replica,) = stage.primary(), stage.replicas()
        with PLOTS["partition"].staged(stage), stage.control(primary) as client:
            client.set("before", "1")
            with stage.control(stage.sentinels[2]) as sentinel:
                assert sentinel.sentinel_master("amply")["failover-timeout"] > 60_000
            partition(stage)
            with stage.control(replica) as other:
                assert other.info("replication")["master_port"] != primary.port
                assert other.get("before") == "1"
        with stage.control(replica) as other, stage.control(stage.sentinels[2]) as sentinel:
            assert other.info("replication")["master_port"] == primary.port
            assert sentinel.sentinel_master("amply")["failover-timeout"] == 5000
        assert stage.facts["replica"]["behind_seconds"] == 0.4
        assert _names(stage)[-3:] == ["link cut", "link healed", "replica has caught up"]
        assert stage.is_whole()


@pytest.mark.xdist_group("drill-pair")
def test_a_failover_that_never_completes_is_bounded_explained_and_put_right(
        pair: clusters.Cluster, tmp_path: Path) -> None:
    """The replica stands still: no Sentinel may promote it."""
    with _stage(clusters.find_cluster(pair.name), tmp_path, kind="failover") as stage:
        assert stage.down_after_seconds == 1.0
        primary, (replica,) = stage.primary(), stage.replicas()
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            with stage.control(stage.sentinels[0]) as client:
                stage.wait_until(lambda: "s_down" in client.sentinel_slaves("amply")[0]["flags"],
                                 "a replica that is thought down")
            with pytest.raises(Unfinished, match=r"sentinel-1 refused: NOGOODSLAVE"):
                failover(stage)
            with SentinelListener(pair.sentinels) as listener:
                stage.why = listener.why
                stage.deadline = time.monotonic() + 4.0
                began = time.monotonic()
                with pytest.raises(Unfinished, match="-failover-abort-no-good-slave: no replica may be"):
                    crash(stage)
                assert time.monotonic() - began < 10.0
            assert {moment.name for moment in listener.moments} >= {"+sdown", "+odown", "+try-failover"}
        finally:
            os.kill(replica.pid, signal.SIGCONT)
        stage.restore(_PATIENCE_SECONDS)
        assert stage.is_whole()
        assert all(node.is_alive for node in stage.cluster.nodes)
        assert stage.primary().name in {primary.name, replica.name}


@pytest.mark.xdist_group("drill-pair")
def test_sentinels_that_are_too_few_say_so(pair: clusters.Cluster) -> None:
    """Last, since it leaves none."""
    sentinels = [node for node in pair.nodes if node.role == "sentinel"]
    listener = SentinelListener(pair.sentinels)
    assert listener.why() is None
    for node in sentinels[1:]:
        os.kill(node.pid, signal.SIGKILL)
    limit = time.monotonic() + _PATIENCE_SECONDS
    while listener.why() is None and time.monotonic() < limit:
        time.sleep(0.1)
    assert "NOQUORUM" in (listener.why() or "")
    os.kill(sentinels[0].pid, signal.SIGKILL)
    assert listener.why() == "no Sentinel answers"


def test_shards_fail_over_when_asked_and_a_slow_replica_catches_up(tmp_path: Path) -> None:
    with _cluster(topology="sharded") as cluster, _stage(
            cluster, tmp_path, kind="slow-replica", cut=0.3) as stage:
        assert stage.facts["affected_slots_share"] == pytest.approx(1 / 3, abs=0.01)
        began_s = time.time()
        slow_replica(stage)
        assert stage.facts["replica"]["full_copies"] == 0
        before = stage.primary()
        failover(stage)
        assert (before.shard, before.role) == (1, "primary")
        assert stage.primary().name == "shard-1-replica"
        assert stage.facts["two_primaries_seconds"] < 5.0
        told = log_moments(stage.data_nodes, began_s - 1.0)
        assert any("election won" in moment.name for moment in told)
        assert told == sorted(told, key=lambda moment: moment.time_s)
        assert log_moments(stage.data_nodes, time.time() + 60.0) == []
        assert why_no_failover(stage.data_nodes, time.time() + 60.0) is None
