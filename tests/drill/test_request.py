"""A drill that cannot be held is refused with all its faults, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amply_capacity.drill.request import KINDS, DrillRequest
from amply_capacity.errors import BadInput


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_fine_with_nothing_said(kind: str) -> None:
    request = DrillRequest(kind)
    request.check()
    assert request.shape == KINDS[kind].topologies[0]
    assert 0.0 < request.before < request.seconds / 2
    assert request.cut_seconds + request.before < request.seconds


@pytest.mark.parametrize(("options", "words"), [
    ({"kind": "earthquake"}, "'earthquake' is none of crash, restart"),
    ({"kind": "crash", "topology": "ring"}, "ring is none of single"),
    ({"kind": "failover", "topology": "single"}, "nobody to fail over to"),
    ({"kind": "partition", "topology": "sharded"}, "address that their clients use"),
    ({"kind": "crash", "topology": "single", "target": "mine"}, "--target another"),
    ({"kind": "crash", "target": "mine", "tls": True}, "--tls describe a cluster started for it"),
    ({"kind": "scale-up", "target": "mine"}, "scale-up with --target"),
    ({"kind": "crash", "persistence": "tape"}, "tape is none of none, snapshot, aof"),
    ({"kind": "failover", "persistence": "aof"}, "no server is started again"),
    ({"kind": "restart", "delay_ms": 5.0}, "--delay-ms is for crash and partition"),
    ({"kind": "crash", "topology": "single", "delay_ms": 5.0},
     "the replicated one, whose replica is delayed"),
    ({"kind": "crash", "topology": "sharded", "down_after_ms": 5.0}, "which has Sentinels"),
    ({"kind": "crash", "cut": 5.0}, "--cut-seconds is for partition"),
    ({"kind": "partition", "then": "pray"}, "pray is none of heal, crash"),
    ({"kind": "crash", "seconds": 2}, "--seconds 2 is not from 5"),
    ({"kind": "crash", "rate": 1e6}, "too many to look at"),
    ({"kind": "crash", "rate": -1.0, "users": 0}, "--users 0 is no positive number"),
    ({"kind": "crash", "prefill": 2.0}, "--prefill 2 is no share"),
    ({"kind": "crash", "back_after": 99.0}, "--back-after-seconds 99 is not from 0 to 30"),
    ({"kind": "crash", "topology": "replicated", "down_after_ms": 0.0},
     "--down-after-ms 0 is not from 1 to 60000"),
    ({"kind": "crash", "topology": "replicated", "down_after_ms": 0.4}, "--down-after-ms 0.4 is not from 1"),
    ({"kind": "slow-replica", "replica_speed": 0.0}, "--replica-speed 0 is no share"),
    ({"kind": "crash", "scenario": "poetry", "arrivals": "never"}, "poetry is none of mixed"),
    ({"kind": "crash", "node_type": "cache.t3.mikro"}, "cache.t3.micro"),
    ({"kind": "crash", "demand": Path("none.toml")}, "there is no file none.toml"),
    ({"kind": "crash", "confirm": "mine"}, "--confirm is for --replication-group"),
    ({"kind": "crash", "replication_group": "rg", "confirm": "rg", "target": "rediss://a"},
     "ElastiCache offers a failover for tests"),
    ({"kind": "failover", "replication_group": "rg", "confirm": "rg"}, "without --target"),
    ({"kind": "failover", "replication_group": "rg", "target": "rediss://a"}, "say --confirm rg"),
    ({"kind": "failover", "replication_group": "rg", "target": "rediss://a", "confirm": "rh"},
     "not confirmed"),
])
def test_what_is_wrong_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match="this drill cannot be held") as refused:
        DrillRequest(**options).check()
    assert words in str(refused.value)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        DrillRequest("failover", topology="single", seconds=1, persistence="tape", rate=0.0).check()
    for words in ("nobody to fail over to", "--seconds 1", "tape", "--rate 0"):
        assert words in str(refused.value)


def test_a_run_is_not_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        DrillRequest("crash", run_dir=tmp_path).check()
