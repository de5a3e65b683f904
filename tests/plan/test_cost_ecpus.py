"""ECPUs of commands by AWS' rule and examples, in one world and in many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.serverless import serverless
from amply_capacity.plan.ecpus import (
    UNMETERED,
    CommandUse,
    ecpus_of,
    ecpus_per_second,
    serverless_usd_per_month,
    stored_gb,
    vcpu_multiples,
)

KB = 1024.0


@pytest.mark.parametrize(("kilobytes", "multiple", "ecpus"), [
    (0.1, 1.0, 1.0), (1.0, 1.0, 1.0), (3.2, 1.0, 3.2), (3.2, 3.0, 3.2), (2.0, 3.0, 3.0), (0.5, 0.3, 1.0)])
def test_a_command_takes_the_higher_of_time_and_bytes_and_one_at_least(
        kilobytes: float, multiple: float, ecpus: float) -> None:
    assert float(ecpus_of(0.4 * kilobytes * KB, 0.6 * kilobytes * KB, multiple)) == pytest.approx(ecpus)


def test_commands_add_up_and_unmetered_ones_count_nothing() -> None:
    uses = [CommandUse("GET", 100.0, 40.0, 500.0), CommandUse("SETEX", 10.0, 2.5 * KB, 5.0),
            CommandUse("SMEMBERS", 2.0, 40.0, 200.0, 4.0), *(CommandUse(name, 1e6, 5000.0, 5000.0)
                                                             for name in sorted(UNMETERED))]
    assert float(ecpus_per_second(uses)) == pytest.approx(100.0 + 10.0 * (2.5 + 5.0 / KB) + 8.0)
    assert float(ecpus_per_second([])) == 0.0


def test_worlds_and_months_broadcast() -> None:
    rates = np.arange(1.0, 13.0).reshape(3, 4)
    multiples = np.array([[1.0], [2.0], [5.0]])
    found = ecpus_per_second([CommandUse("GET", rates, 40.0, 100.0),
                              CommandUse("EVAL", 2.0 * rates, 100.0, 100.0, multiples),
                              CommandUse("PUBLISH", rates, 1e6, 5.0)])
    assert found.shape == (3, 4)
    assert found == pytest.approx(rates + 2.0 * rates * multiples)


@given(st.floats(0.0, 1e7), st.floats(0.0, 1e7), st.floats(0.0, 1e3), st.floats(1.0, 4.0))
def test_more_bytes_or_more_time_never_take_fewer_ecpus(request: float, reply: float, multiple: float,
                                                        factor: float) -> None:
    base = float(ecpus_of(request, reply, multiple))
    assert base >= 1.0
    assert float(ecpus_of(factor * request, reply, multiple)) >= base
    assert float(ecpus_of(request, factor * reply, multiple)) >= base
    assert float(ecpus_of(request, reply, factor * multiple)) >= base


def test_sizes_on_both_sides_of_a_kilobyte_take_more_than_their_mean() -> None:
    mean = ecpus_per_second([CommandUse("GET", 10.0, 0.0, 1.0 * KB)])
    apart = ecpus_per_second([CommandUse("GET", 5.0, 0.0, 0.1 * KB), CommandUse("GET", 5.0, 0.0, 1.9 * KB)])
    assert (float(mean), float(apart)) == (10.0, pytest.approx(14.5))


def test_multiples_are_relative_to_simple_commands_which_have_1() -> None:
    found = vcpu_multiples({"GET": 0.8, "SETEX": 1.6, "SMEMBERS": 6.0, "EVAL": 0.5, "INCR": 9.0})
    assert found == {"GET": 1.0, "SETEX": 1.0, "INCR": 1.0, "SMEMBERS": pytest.approx(5.0), "EVAL": 1.0}
    assert vcpu_multiples({"SMEMBERS": 6.0, "TTL": 1.0}) == {"TTL": 1.0}


def test_gigabytes_are_binary() -> None:
    assert float(stored_gb(3 * 2**30)) == 3.0


def test_ten_thousand_worlds_of_three_years_are_priced_at_once() -> None:
    rng = np.random.default_rng(1)
    gb, ecpus = rng.uniform(0.0, 5.0, (10_000, 36)), rng.uniform(0.0, 5e4, (10_000, 36))
    found = serverless_usd_per_month(serverless("us-east-1", "valkey"), gb, ecpus)
    assert found.shape == (10_000, 36)
    assert found[7, 5] == pytest.approx(730 * max(gb[7, 5], 0.1) * 0.084 + ecpus[7, 5] * 2.628 * 0.0023)
    assert np.all(found >= 730 * 0.1 * 0.084)
    assert np.isnan(serverless_usd_per_month(serverless("us-east-1", "redis"), np.nan, 1.0))
