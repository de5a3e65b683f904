"""What a mix is on the wire, from the recording that ships."""

from __future__ import annotations

import dataclasses

import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.plan.wire import Wire, wire_of
from amply_capacity.run.reader import Run, read_run

_RATES = {"validate": 900.0, "create": 100.0}


@pytest.fixture
def run() -> Run:
    return read_run(EXAMPLE_RUN)


def _wire(run: Run) -> Wire:
    found = wire_of(run, _RATES)
    assert found is not None
    return found


def test_an_operation_whose_bytes_no_run_tells_leaves_the_wire_unknown(run: Run) -> None:
    assert wire_of(run, _RATES | {"dance": 1.0}) is None
    assert wire_of(run, _RATES | {"dance": 0.0}) == _wire(run)


@pytest.mark.parametrize(("engine", "version", "is_known"), [
    ("redis", "7.0.15", True), ("redis", "6.2.6", False), ("valkey", "8.0", True)])
def test_a_stream_that_is_not_modelled_is_absent(
        run: Run, engine: str, version: str, is_known: bool) -> None:
    server = {**run.manifest["server"], "engine": engine, "version": version}
    other = dataclasses.replace(run, manifest={**run.manifest, "server": server})
    assert (_wire(other).replica is not None) == is_known
    assert (_wire(other).as_json()["replica_bytes_per_second"] is not None) == is_known


def test_a_nodes_headroom_is_of_the_traffic_as_it_was_recorded(run: Run) -> None:
    node, found = node_type("cache.t3.micro"), _wire(run)
    target = {**run.manifest["target"], "tls": True}
    encrypted = _wire(dataclasses.replace(run, manifest={**run.manifest, "target": target}))
    plain, safe = found.headroom(node, 0.5, 3.0), encrypted.headroom(node, 0.5, 3.0)
    most = max(found.plain.bytes_in.mid, found.plain.bytes_out.mid)
    assert plain.mean_gbps.mid == pytest.approx(4e-9 * most)
    assert plain.peak_gbps.mid == pytest.approx(3.0 * plain.mean_gbps.mid)
    assert safe.mean_gbps.mid > plain.mean_gbps.mid
