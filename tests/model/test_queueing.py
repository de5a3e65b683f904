"""The event loop: what is there is read, executed, and answered together."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from amply_capacity.model.queueing import response_us, waited_us

Floats = NDArray[np.float64]

GAPS = st.one_of(st.just(0.0), st.floats(0.0, 500.0))
SERVICES = st.floats(0.5, 300.0)
LOAD = st.lists(st.tuples(GAPS, SERVICES), min_size=1, max_size=60)


def event_loop(arrivals: Floats, services: Floats) -> list[float]:
    """Slowly, with queues as a reader of Redis' source would draw them."""
    sockets = deque(zip(arrivals.tolist(), services.tolist(), strict=True))
    clock, responses = 0.0, []
    while sockets:
        clock = max(clock, sockets[0][0])  # it sleeps until something comes
        readable = [pair for pair in sockets if pair[0] <= clock]
        for _ in readable:
            clock += sockets.popleft()[1]
        responses += [clock - arrival for arrival, _ in readable]
    return responses


def first_come_first_served(arrivals: Floats, services: Floats) -> Floats:
    """Response times by Lindley's recursion, each reply being written as soon as it is made."""
    done, responses = 0.0, []
    for arrival, service in zip(arrivals, services, strict=True):
        done = max(done, arrival) + service
        responses.append(done - arrival)
    return np.array(responses)


def waits_us(arrivals: Floats, services: Floats) -> Floats:
    return response_us(arrivals, services) - services


def slow_chains(starts: list[float], chains: list[list[float]], between: list[float]) -> list[float]:
    """The same loop for operations of several round trips, looking through all of them each time."""
    arrivals = dict(enumerate(starts))
    step, waited, clock = [0] * len(starts), [0.0] * len(starts), 0.0
    arrivals = {one: at for one, at in arrivals.items() if chains[one]}
    while arrivals:
        clock = max(clock, min(arrivals.values()))
        turn = sorted((at, one) for one, at in arrivals.items() if at <= clock)
        clock += sum(chains[one][step[one]] for _, one in turn)
        for at, one in turn:
            waited[one] += clock - at - chains[one][step[one]]
            step[one] += 1
            arrivals[one] = clock + between[one]
            if step[one] == len(chains[one]):
                del arrivals[one]
    return waited


@settings(deadline=None)
@given(st.lists(st.tuples(GAPS, st.lists(SERVICES, max_size=4), st.floats(1.0, 200.0)), min_size=1,
                max_size=30))
def test_operations_of_several_round_trips_come_back_into_the_same_loop(
        load: list[tuple[float, list[float], float]]) -> None:
    starts = np.cumsum([gap for gap, _, _ in load])
    chains, between = [chain for _, chain, _ in load], [each for _, _, each in load]
    places = np.cumsum([0, *(len(chain) for chain in chains)])
    services = np.array([service for chain in chains for service in chain])
    waited = waited_us(starts, places, services, np.array(between))
    np.testing.assert_allclose(waited, slow_chains(starts.tolist(), chains, between), atol=1e-6)


def loaded(pairs: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    gaps, services = np.array(pairs, dtype=np.float64).T
    return np.cumsum(gaps), services


@settings(deadline=None)
@given(LOAD)
def test_it_equals_a_slow_event_loop(pairs: list[tuple[float, float]]) -> None:
    arrivals, services = loaded(pairs)
    np.testing.assert_allclose(response_us(arrivals, services), event_loop(arrivals, services), atol=1e-6)


@settings(deadline=None)
@given(LOAD)
def test_replies_at_the_end_of_a_turn_are_no_earlier_than_at_once(pairs: list[tuple[float, float]]) -> None:
    arrivals, services = loaded(pairs)
    gated, at_once = response_us(arrivals, services), first_come_first_served(arrivals, services)
    assert (gated >= at_once - 1e-6).all()
    assert gated[-1] == pytest.approx(at_once[-1]), "the same work is done in the same time"
    assert (gated >= services - 1e-6).all()


def test_two_that_arrive_while_one_is_served_are_answered_together() -> None:
    responses = response_us(np.array([0.0, 10.0, 60.0]), np.array([100.0, 30.0, 20.0]))
    assert responses == pytest.approx([100.0, 140.0, 90.0])  # the turn of the two ends at 150


def test_what_comes_while_a_turn_runs_waits_for_the_next_one() -> None:
    responses = response_us(np.array([0.0, 0.0, 5.0, 25.0]), np.array([10.0, 10.0, 10.0, 7.0]))
    assert responses == pytest.approx([20.0, 20.0, 25.0, 12.0])


def test_what_comes_as_the_turn_ends_belongs_to_the_next() -> None:
    assert response_us(np.array([0.0, 10.0]), np.array([10.0, 4.0])) == pytest.approx([10.0, 4.0])


def test_waits_leave_out_the_own_service() -> None:
    arrivals, services = np.array([0.0, 10.0, 60.0]), np.array([100.0, 30.0, 20.0])
    assert waits_us(arrivals, services) == pytest.approx([0.0, 110.0, 70.0])


def test_at_low_load_nothing_waits() -> None:
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(100_000.0, 20_000))
    waits = waits_us(arrivals, np.full(20_000, 50.0))
    assert np.median(waits) == 0.0
    assert waits.mean() < 0.1
    far = np.arange(1_000) * 51.0
    assert waits_us(far, np.full(1_000, 50.0)) == pytest.approx(np.zeros(1_000), abs=1e-6)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_mean_waits_are_between_those_of_m_d_1_and_twice_as_much(load: float) -> None:
    """M/D/1 answers at once, Pollaczek and Khinchine: load / (2 (1 - load)) services. A gate adds the rest of
    the turn, no more than the turn that was waited for."""
    rng = np.random.default_rng(2)
    arrivals = np.cumsum(rng.exponential(100.0 / load, 200_000))
    services = np.full(200_000, 100.0)
    at_once = 100.0 * load / (2.0 * (1.0 - load))
    assert (first_come_first_served(arrivals, services) - services).mean() == pytest.approx(at_once, rel=0.05)
    mean = waits_us(arrivals, services).mean()
    assert 1.2 * at_once < mean < 2.2 * at_once


def test_arrays_may_be_slices_and_empty() -> None:
    both = np.array([[0.0, 100.0], [10.0, 30.0], [60.0, 20.0]])
    assert response_us(both[:, 0], both[:, 1]) == pytest.approx([100.0, 140.0, 90.0])
    assert response_us(np.empty(0), np.empty(0)).shape == (0,)
