"""History and drills in the priors' place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from plan_inputs import drill

from amply_capacity.interval import Interval
from amply_capacity.model.belief import rate_after
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.failure_priors import PRIORS, REFILL_SPREAD, SLA_PERCENT, SNAPSHOT_HOURS
from amply_capacity.model.refill import refill_seconds
from amply_capacity.plan.demand import Demand, Failures
from amply_capacity.plan.failure_knowledge import learn
from amply_capacity.plan.outages import Medians, cached_reads_per_key, recovery_of, refill_of
from amply_capacity.plan.worlds import Worlds

Demands = Callable[..., Demand]
Evidences = Callable[..., Evidence]


def test_every_prior_has_a_source_and_is_the_demands_default() -> None:
    defaults = Failures()
    for name, prior in PRIORS.items():
        assert prior.what
        assert "guess" in prior.source or "AWS" in prior.source, name
        assert not prior.value.is_exact, f"{name}: nobody knows it"
        assert getattr(defaults, name) in (prior.value, None), name
    assert {one.name for one in fields(Failures)} == {*PRIORS, "history", "refill_seconds"}
    for other in (REFILL_SPREAD.source, SNAPSHOT_HOURS.source, *(one.source for one in SLA_PERCENT.values())):
        assert "guess" in other or "AWS" in other


def test_a_history_makes_a_posterior_of_the_failure_rate(demand: Demands) -> None:
    stated = demand({"failures.history": {"count": 2, "node_years": 9}})
    known, (learned,) = learn(stated, [])
    assert known.failures.per_node_year == rate_after(stated.failures.per_node_year, 2, 9.0)
    assert learned.before == stated.failures.per_node_year
    assert learned.how == "2 failures in 9 node-years of your own"
    exact, nothing = learn(demand({"failures.history": {"count": 2, "node_years": 9},
                                   "failures.per_node_year": 0.4}), [])
    assert exact.failures.per_node_year == Interval.exact(0.4)
    assert nothing == ()


def test_without_history_and_drills_nothing_changes(demand: Demands, evidence: Evidences) -> None:
    stated = demand()
    assert learn(stated, [evidence()]) == (stated, ())


def test_a_drill_narrows_what_transfers_from_it(demand: Demands, evidence: Evidences) -> None:
    known, learned = learn(demand(), [evidence(run_id="d", drill=drill(0.2, 8.0))])
    assert [one.number for one in learned] == ["failures.reconnect_seconds", "failures.refill_seconds"]
    assert all(one.runs == ("d",) for one in learned)
    assert known.failures.reconnect_seconds is not None
    assert known.failures.reconnect_seconds.high < PRIORS["reconnect_seconds"].value.mid
    for one in learned:
        assert one.now.high / one.now.low < one.before.high / one.before.low


def test_a_refill_counts_by_reads_of_a_key_and_not_by_its_seconds(demand: Demands,
                                                                  evidence: Evidences) -> None:
    """A drill that takes as long as the law says, at any rate, leaves what the law says of production."""
    stated = demand()
    by_law = refill_seconds(cached_reads_per_key(stated), 300.0)
    for reads in (0.05, 0.3, 5.0):
        as_the_law = drill(refill=refill_seconds(reads, 300.0), reads=reads)
        known, _ = learn(stated, [evidence(drill=as_the_law)])
        assert known.failures.refill_seconds is not None
        assert known.failures.refill_seconds.mid == pytest.approx(by_law, rel=1e-3)


def test_a_failover_of_elasticache_tells_of_all_of_it_and_clients_alone_then_of_nothing(
        demand: Demands, evidence: Evidences) -> None:
    known, learned = learn(demand(), [evidence(run_id="aws", drill=drill(failover=12.0)),
                                      evidence(run_id="here", drill=drill(0.1))])
    assert [one.number for one in learned] == ["failures.minutes_replica"]
    assert 0.2 < known.failures.minutes_replica.mid < 0.5, "between 12 s and the prior's 42 s"
    assert known.failures.reconnect_seconds is None


def test_what_is_stated_without_bounds_no_drill_changes(demand: Demands, evidence: Evidences) -> None:
    stated = demand({"failures.reconnect_seconds": 3, "failures.refill_seconds": 60})
    assert learn(stated, [evidence(drill=drill(500.0, 5_000.0))]) == (stated, ())


def test_nothing_refills_where_nothing_is_cached(demand: Demands, evidence: Evidences) -> None:
    stated = demand({"activity.cached_reads_per_request": 0})
    assert refill_of(stated) == Interval.exact(0.0)
    assert learn(stated, [evidence(drill=drill(refill=9.0))]) == (stated, ())


def test_clients_part_of_a_failover_is_exchanged_for_what_is_known_of_it(demand: Demands) -> None:
    worlds = Worlds(2_000, 1)
    believed = recovery_of(demand(), worlds).failover_minutes
    same = recovery_of(demand({"failures.reconnect_seconds": {"low": 1, "mid": 5, "high": 20}}), worlds)
    is_as_before = np.isclose(same.failover_minutes, believed)
    assert is_as_before.mean() > 0.95, "where the whole is no shorter than what is believed of the part"
    assert (same.failover_minutes >= believed * (1 - 1e-9)).all()
    slow = recovery_of(demand({"failures.reconnect_seconds": 600}), worlds).failover_minutes
    assert (slow >= 10.0).all()
    at_medians = recovery_of(demand({"failures.reconnect_seconds": 11}), Medians()).failover_minutes
    assert at_medians[0, 0] == pytest.approx((0.7 * 60 - 5 + 11) / 60)


def test_a_failover_that_no_client_noticed_counts_as_the_shortest_that_can_be_told(
        demand: Demands, evidence: Evidences) -> None:
    stated = demand()
    unnoticed, at_the_floor = (learn(stated, [evidence(drill=replace(
        drill(failover=1.0), unavailable_seconds=seconds))]) for seconds in (0.0, 0.05))
    assert unnoticed == at_the_floor
    assert unnoticed[0].failures.minutes_replica.mid > 0.001
