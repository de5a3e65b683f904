"""The documented rules of CPU credits and their worked examples; then what follows from them for a node.

Examples: Amazon EC2 User Guide for Linux Instances, as in awsdocs/amazon-ec2-user-guide at 0f17a814 ("Key
concepts" at 0147f878), where "Standard mode examples" rounds 122.4 to 122.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amply_capacity.catalog.nodes import node_type, node_types
from amply_capacity.errors import BadInput
from amply_capacity.model.credits import (
    HOST_CORES,
    SURPLUS_USD_PER_VCPU_HOUR,
    Account,
    CreditRules,
    credit_course,
    credit_rules,
    spend,
    spend_unlimited,
    surplus_of,
)
from amply_capacity.model.day import DAY_MINUTES, week_weights
from amply_capacity.model.throttling import (
    alarm_fires,
    credit_outlook,
    silent_throttling,
    sustainable_cores,
)

T3_NANO = CreditRules(2, Fraction(6), Fraction(144))
T2_NANO = CreditRules(1, Fraction(3), Fraction(72))
MICRO, SMALL = (credit_rules(node_type(f"cache.t3.{size}")) for size in ("micro", "small"))
HOUR, DAY = Fraction(60), Fraction(1440)
NOTHING = Fraction(0)
IDLE, FULL = Fraction(0), Fraction(1)


def percent(text: str) -> Fraction:
    return Fraction(text) / 100


# "Key concepts and definitions": credits and the baseline

@pytest.mark.parametrize(("vcpu", "utilization", "minutes"), [(1, "100", 1), (1, "50", 2), (2, "25", 2)])
def test_a_credit_is_a_vcpu_at_full_utilization_for_a_minute(vcpu: int, utilization: str,
                                                             minutes: int) -> None:
    rules = CreditRules(vcpu, Fraction(6), Fraction(144))
    assert spend(rules, Fraction(100), percent(utilization), Fraction(minutes)).spent == 1


@pytest.mark.parametrize(("vcpu", "per_hour", "most", "baseline"), [
    (2, 6, 144, "5"), (2, 12, 288, "10"), (2, 24, 576, "20"), (2, 36, 864, "30"), (4, 96, 2304, "40"),
    (8, 192, 4608, "40"),
], ids=["nano", "micro", "small, medium", "large", "xlarge", "2xlarge"])
def test_the_baseline_of_the_credit_table_is_credits_over_vcpus_over_an_hour(vcpu: int, per_hour: int,
                                                                            most: int, baseline: str) -> None:
    """"(6 credits earned/2 vCPUs)/60 minutes = 5% baseline utilization"; T3, T3a and T4g are alike."""
    rules = CreditRules(vcpu, Fraction(per_hour), Fraction(most))
    assert rules.baseline_percent == Fraction(baseline)
    assert rules.most == 24 * rules.per_hour
    hour = spend(rules, NOTHING, percent(baseline), HOUR)
    assert hour.earned == hour.asked == per_hour
    assert (hour.balance, hour.throttled_minutes) == (0, 0)


def test_the_accrued_credits_of_a_nano_at_two_percent_are_three_point_six_an_hour() -> None:
    """6 − 2 vCPUs × 2 % × 60 minutes."""
    assert spend(T3_NANO, NOTHING, percent("2"), HOUR).balance == Fraction("3.6")


@pytest.mark.parametrize("node", [node for node in node_types() if node.is_burstable], ids=lambda n: n.name)
def test_the_catalog_agrees_with_the_formula(node) -> None:
    rules = credit_rules(node)
    assert float(rules.baseline_percent) == node.cpu_baseline_percent_per_vcpu
    assert rules.most == 24 * rules.per_hour


def test_the_balance_of_five_minutes_is_the_documented_equation() -> None:
    """"Monitor your CPU credits": CPUCreditBalance = 2 + [0.5 − 1] = 1.5."""
    account = spend(T3_NANO, Fraction(2), Fraction(1, 10), Fraction(5))
    assert (account.earned, account.spent, account.balance) == (Fraction("0.5"), 1, Fraction("1.5"))


# "Standard mode examples"

def test_the_example_of_t3_standard_in_its_seven_periods() -> None:
    p1 = spend(T3_NANO, NOTHING, IDLE, DAY)
    assert (p1.balance, p1.spent, p1.discarded) == (144, 0, 0)
    p2 = spend(T3_NANO, p1.balance, percent("2.5"), 12 * HOUR)
    assert (p2.balance, p2.discarded) == (144, 36)
    p3 = spend(T3_NANO, p2.balance, percent("7"), DAY)
    assert p3.spent - p3.earned == Fraction("57.6")
    assert p3.balance == Fraction("86.4")
    p4 = spend(T3_NANO, p3.balance, percent("2.5"), 12 * HOUR)
    assert (p4.spent, p4.earned, p4.balance) == (36, 72, Fraction("122.4"))
    p5 = spend(T3_NANO, p4.balance, FULL, 2 * HOUR)
    assert (p5.balance, p5.spent) == (0, Fraction("122.4") + 12)
    assert p5.throttled_minutes == 120 - Fraction("122.4") / Fraction("1.9")
    assert 64 < 120 - p5.throttled_minutes < 65  # "about an hour into this period", of unlimited's P5
    p6 = spend(T3_NANO, p5.balance, percent("5"), 14 * HOUR)
    assert (p6.balance, p6.earned, p6.throttled_minutes) == (0, p6.spent, 0)
    assert spend(T3_NANO, p6.balance, IDLE, DAY).balance == 144


def test_the_example_of_t2_standard_once_its_launch_credits_are_spent() -> None:
    """Periods 4 to 7: ElastiCache makes no new T2 nodes, and T3 and T4g have no launch credits."""
    p4 = spend(T2_NANO, Fraction(72), percent("2"), 11 * HOUR)
    assert (p4.spent, p4.earned, p4.balance) == (Fraction("13.2"), 33, 72)
    assert p4.discarded * DAY / (11 * HOUR) == Fraction("43.2")
    p5 = spend(T2_NANO, p4.balance, percent("20"), 3 * HOUR)
    assert (p5.spent, p5.earned, p5.balance) == (36, 9, 45)
    p6 = spend(T2_NANO, p5.balance, percent("2"), 15 * HOUR)
    assert (p6.spent, p6.earned, p6.balance) == (18, 45, 72)
    p7 = spend(T2_NANO, p6.balance, IDLE, 6 * HOUR)
    assert (p7.balance, p7.discarded) == (72, p7.earned)


# "Unlimited mode examples"

def test_the_example_of_t3_unlimited_from_its_fifth_period() -> None:
    """570 spent beyond what is earned, 448 of them surplus, 304 charged: the guide rounds 122.4 to 122."""
    p5 = spend_unlimited(T3_NANO, Fraction("122.4"), NOTHING, FULL, 5 * HOUR)
    assert p5.spent - p5.earned == 570
    assert (p5.balance, p5.surplus, p5.charged) == (0, 144, Fraction("303.6"))
    rounded = spend_unlimited(T3_NANO, Fraction(122), NOTHING, FULL, 5 * HOUR)
    assert (rounded.charged + rounded.surplus, rounded.charged) == (448, 304)
    p6 = spend_unlimited(T3_NANO, NOTHING, p5.surplus, percent("5"), 13 * HOUR)
    assert (p6.balance, p6.surplus, p6.charged) == (0, 144, 0)
    p7 = spend_unlimited(T3_NANO, NOTHING, p6.surplus, IDLE, DAY)
    assert (p7.balance, p7.surplus, p7.earned) == (0, 0, 144)


def test_an_unlimited_balance_is_capped_and_loses_the_rest() -> None:
    full = spend_unlimited(T3_NANO, Fraction(140), NOTHING, IDLE, HOUR)
    assert (full.balance, full.surplus, full.discarded) == (144, 0, 2)


def test_the_bill_of_t2_unlimited_is_two_cents_for_25_credits() -> None:
    """"0.42 vCPU-hours x $0.05/vCPU-hour = $0.021, rounded to $0.02"."""
    course = np.full(25, 1.0)  # a minute at one vCPU, beyond what the t2.nano earns
    no_earnings = CreditRules(1, Fraction(6, 10**6), Fraction(6, 10**6) * 24)
    bill = surplus_of(no_earnings, course, SURPLUS_USD_PER_VCPU_HOUR["t2"], host_cores=0.0)
    assert bill.charged_credits == pytest.approx(25.0, abs=0.01)
    assert bill.charged_usd == pytest.approx(0.021, abs=0.0005)


def test_the_break_even_of_a_t3_large_is_forty_two_and_a_half_percent() -> None:
    """"Unlimited mode concepts": an hour at 42.5 % costs $0.0125 more, all surplus being charged."""
    rules = CreditRules(2, Fraction(36), Fraction(864))
    hour = spend_unlimited(rules, NOTHING, Fraction(864), percent("42.5"), HOUR)
    assert float(hour.charged) * SURPLUS_USD_PER_VCPU_HOUR["t3"] / 60 == pytest.approx(0.0125)


# The course of a node, minute by minute

def account_of(course_minutes: list[float], start: Fraction, rules: CreditRules) -> list[Account]:
    accounts, balance = [], start
    for cores in course_minutes:
        accounts.append(spend(rules, balance, Fraction(cores) / rules.vcpu, Fraction(1)))
        balance = accounts[-1].balance
    return accounts


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 90)), min_size=1, max_size=8),
       st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_the_course_is_the_exact_account_of_every_minute(stretches: list[tuple[float, int]],
                                                         start: int) -> None:
    minutes = [cores for cores, length in stretches for _ in range(length)]
    rules = replace(MICRO, most=Fraction(30))
    course = credit_course(rules, np.array(minutes), host_cores=0.0, start_balance=float(start))
    accounts = account_of(minutes, Fraction(start), rules)
    assert course.balance == pytest.approx([float(one.balance) for one in accounts], abs=1e-8)
    assert course.unserved_cores == pytest.approx([float(one.unserved) for one in accounts], abs=1e-8)
    assert course.throttled_hours * 60 == pytest.approx(
        float(sum(one.throttled_minutes for one in accounts)), abs=1e-3)


def test_an_upgrade_at_the_peak_is_throttled_at_once_and_one_at_night_is_not() -> None:
    """A new node has no credits: 0.15 cores in the mean are 0.45 at the peak of a micro's 0.2."""
    at_peak = credit_course(MICRO, 0.15 * week_weights(3.0, first_minute=14 * 60))
    at_night = credit_course(MICRO, 0.15 * week_weights(3.0))
    assert at_peak.first_exhaustion_minutes == 0.0
    assert at_peak.throttled_hours > 3.0
    assert at_peak.cpu_percent[0] == pytest.approx(10.0)
    assert at_night.first_exhaustion_minutes is None
    assert at_night.throttled_hours == 0.0


def test_a_burst_ends_to_the_fraction_of_a_minute() -> None:
    course = credit_course(MICRO, np.full(600, 0.98), start_balance=288.0)
    assert course.first_exhaustion_minutes == pytest.approx(288.0 / 0.8)
    assert course.throttled_hours == pytest.approx((600 - 360) / 60)
    assert course.unserved_share_while_throttled == pytest.approx(0.8 / 0.98)
    assert course.unserved_share == pytest.approx(0.8 / 0.98 * 240 / 600)
    assert (course.lowest_balance, course.end_balance) == (0.0, 0.0)
    assert (course.cpu_percent[0], course.cpu_percent[-1]) == pytest.approx((50.0, 10.0))


def test_at_the_baseline_to_the_last_bit_nothing_is_throttled() -> None:
    course = credit_course(MICRO, np.full(DAY_MINUTES, 0.2 - HOST_CORES))
    assert course.first_exhaustion_minutes is None
    assert course.end_balance == 0.0
    assert course.unserved_share_while_throttled is None


def test_what_the_one_core_cannot_run_is_not_the_credits_matter() -> None:
    course = credit_course(SMALL, np.full(60, 3.0), start_balance=576.0)
    assert course.engine_cores.max() == 1.0
    assert course.unserved_share == 0.0
    one_vcpu = credit_rules(node_type("cache.t2.micro"))
    shared = credit_course(one_vcpu, np.full(10, 1.0), start_balance=144.0)
    assert shared.cpu_percent == pytest.approx(np.full(10, 100.0))


@settings(max_examples=40, deadline=None)
@given(mean=st.floats(0.05, 0.5), peak=st.floats(1.0, 10.0), ratio=st.floats(0.0, 3.0))
def test_the_settled_week_ends_as_it_began(mean: float, peak: float, ratio: float) -> None:
    course = credit_course(MICRO, mean * week_weights(peak, ratio), start_balance="settled")
    assert course.end_balance == pytest.approx(course.start_balance, abs=1e-6)
    again = credit_course(MICRO, mean * week_weights(peak, ratio), start_balance=course.start_balance)
    assert again.throttled_hours == course.throttled_hours


def test_what_a_new_node_lacks_at_first_it_has_once_settled() -> None:
    demand = 0.17 * week_weights(4.0, first_minute=12 * 60)
    assert credit_course(MICRO, demand).throttled_hours > 1.0
    assert credit_course(MICRO, demand, start_balance="settled").throttled_hours == 0.0


def test_the_json_says_what_never_happened_with_none() -> None:
    said = credit_course(MICRO, 0.1 * week_weights(2.0)).as_json()
    assert said["first_exhaustion_minutes"] is None
    assert said["unserved_share_while_throttled"] is None
    assert said["minutes"] == 10_080
    assert said["throttled_hours"] == said["unserved_share"] == 0.0
    assert said["highest_cpu_percent"] == pytest.approx(100 * (0.2 + HOST_CORES) / 2, rel=0.001)
    idle = credit_course(MICRO, np.zeros(10))
    assert idle.unserved_share == 0.0


def test_unlimited_charges_what_standard_does_not_serve_beyond_a_days_earnings() -> None:
    demand = 0.3 * week_weights(3.0)
    usd = SURPLUS_USD_PER_VCPU_HOUR["t3"]
    week = surplus_of(MICRO, demand, usd, start_balance="settled")
    excess = (0.3 + HOST_CORES - 0.2) * 10_080  # nothing is lost at the limit: every credit above is charged
    assert week.charged_credits == pytest.approx(excess, rel=1e-6)
    assert week.charged_usd == pytest.approx(excess / 60 * 0.05)
    assert week.usd_if_ended == pytest.approx(week.charged_usd + week.surplus_at_end / 60 * usd)
    below = surplus_of(MICRO, 0.17 * week_weights(3.0), usd, start_balance="settled")
    assert below.charged_credits == 0.0
    assert below.as_json()["usd_if_ended"] == 0.0


def test_unlimited_spends_in_advance_before_it_is_charged() -> None:
    day = surplus_of(MICRO, np.full(300, 0.98), 0.05)
    assert (day.charged_credits, day.surplus_at_end) == (0.0, pytest.approx(240.0))
    assert day.usd_if_ended == pytest.approx(0.2)


@pytest.mark.parametrize(("start", "host", "demand", "words"), [
    (-1.0, 0.02, [0.1], "no balance"), (289.0, 0.02, [0.1], "no balance"),
    (0.0, 0.2, [0.1], "leaves nothing"),
    (0.0, -0.1, [0.1], "leaves nothing"), (0.0, 0.02, [], "cores, 0 or more"),
    (0.0, 0.02, [0.1, math.nan], "cores, 0 or more"), (0.0, 0.02, [-0.1], "cores, 0 or more"),
])
def test_what_no_node_can_be_is_refused(start: float, host: float, demand: list[float], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        credit_course(MICRO, np.array(demand), host_cores=host, start_balance=start)


def test_a_node_without_credits_is_refused() -> None:
    with pytest.raises(BadInput, match=r"cache\.m7g\.large has no CPU credits"):
        credit_rules(node_type("cache.m7g.large"))
    with pytest.raises(BadInput, match="does not know the vCPUs"):
        credit_rules(replace(node_type("cache.t3.micro"), vcpu=None))


# Many worlds at once

def week(rules: CreditRules, mean: float, peak: float, ratio: float):
    return credit_course(rules, mean * week_weights(peak, ratio), start_balance="settled")


@pytest.mark.parametrize("rules", [MICRO, SMALL], ids=["micro", "small"])
@settings(max_examples=40, deadline=None)
@given(load=st.floats(0.5, 2.5), peak=st.floats(1.0, 12.0),
       ratio=st.one_of(st.just(1.0), st.sampled_from([0.0, 0.3, 0.95, 2.0, 5.0])))
@example(load=1.505859375, peak=1.505859375, ratio=1.0)
def test_the_closed_form_is_the_minutes_of_the_settled_week(rules: CreditRules, load: float, peak: float,
                                                            ratio: float) -> None:
    mean = load * float(rules.baseline_cores)
    found = credit_outlook(rules, np.array([mean]), np.array([peak]), ratio)
    by_minute = week(rules, mean, peak, ratio)
    # Where the night just touches the baseline, a demand that differs by nothing differs by half an hour.
    a_little_less, a_little_more = (week(rules, mean * (1.0 + change), peak, ratio).throttled_hours
                                    for change in (-1e-4, 1e-4))
    assert a_little_less - 0.25 <= found.throttled_hours[0] <= a_little_more + 0.25
    if abs(mean / found.sustainable_cores[0] - 1.0) > 0.002:  # nearer, minutes and integral may differ
        assert found.never_exhausts[0] == (by_minute.first_exhaustion_minutes is None)


@settings(max_examples=40, deadline=None)
@given(st.floats(1.0, 2.6), st.sampled_from([MICRO, SMALL]))
def test_equal_days_are_sustained_exactly_to_the_baseline(peak: float, rules: CreditRules) -> None:
    """Sufficient and necessary where the limit is a day's earnings and the peak fits the core."""
    mean = float(rules.baseline_cores) - HOST_CORES
    assert sustainable_cores(rules, np.array([peak])) == mean
    assert week(rules, mean * (1.0 - 1e-6), peak, 1.0).first_exhaustion_minutes is None
    assert week(rules, mean * (1.0 + 1e-3), peak, 1.0).first_exhaustion_minutes is not None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 0.98), min_size=24, max_size=24))
def test_any_day_of_that_mean_is_sustained(hours: list[float]) -> None:
    """The proof needs no shape: any day whose mean is below the baseline, again and again."""
    day = np.repeat(np.array(hours), 60)
    day *= min(1.0, 0.1799999 / max(day.mean(), 1e-9))
    course = credit_course(MICRO, day, start_balance="settled")
    assert course.first_exhaustion_minutes is None


def test_five_weekdays_can_exhaust_what_the_weeks_mean_would_allow() -> None:
    quiet_weekend = sustainable_cores(MICRO, np.array([3.0]), 0.2)[0]
    assert quiet_weekend < 0.2 - HOST_CORES
    assert week(MICRO, 0.99 * quiet_weekend, 3.0, 0.2).first_exhaustion_minutes is None
    assert week(MICRO, 1.01 * quiet_weekend, 3.0, 0.2).first_exhaustion_minutes is not None


def test_a_limit_below_a_days_earnings_sustains_less() -> None:
    small_purse = replace(MICRO, most=Fraction(20))
    sustained = sustainable_cores(small_purse, np.array([3.0]))[0]
    assert sustained < 0.2 - HOST_CORES
    assert week(small_purse, 0.99 * sustained, 3.0, 1.0).throttled_hours == 0.0
    assert week(small_purse, 1.01 * sustained, 3.0, 1.0).throttled_hours > 0.0


def test_no_more_than_the_engines_core_is_sustained() -> None:
    large = CreditRules(4, Fraction(96), Fraction(2304))
    assert sustainable_cores(large, np.array([1.0, 3.0])) == pytest.approx([1.0, 1.0], abs=1e-6)


def test_worlds_by_months_keep_their_shape_and_more_load_is_never_better() -> None:
    rng = np.random.default_rng(1)
    peak, ratio = rng.uniform(1.0, 6.0, (50, 1)), rng.uniform(0.2, 1.2, (50, 1))
    mean = rng.uniform(0.05, 0.2, (50, 1)) * 1.08 ** np.arange(25)
    found = credit_outlook(MICRO, mean, peak, ratio)
    assert found.never_exhausts.shape == found.throttled_hours.shape == (50, 25)
    assert found.sustainable_cores.shape == (50, 1)
    assert (np.diff(found.throttled_hours, axis=1) >= -0.01).all()
    assert ((found.throttled_hours == 0.0) | ~found.never_exhausts).all()
    assert found.never_exhausts.any()
    assert not found.never_exhausts.all()


def test_an_idle_week_is_not_throttled_and_a_full_one_always() -> None:
    found = credit_outlook(MICRO, np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    assert found.throttled_hours == pytest.approx([0.0, 168.0], abs=0.05)


@pytest.mark.parametrize(("peak", "ratio", "host", "words"), [
    (0.9, 1.0, 0.02, "peak is at least"), (2.0, -1.0, 0.02, "peak is at least"), (2.0, 1.0, 0.2, "nothing"),
])
def test_an_impossible_world_is_refused(peak: float, ratio: float, host: float, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        credit_outlook(MICRO, np.array([0.1]), np.array([peak]), ratio, host_cores=host)


# What the alarms of the specification see

def cores(ops_per_second: np.ndarray) -> np.ndarray:
    """About what was measured: dearer by the operation at low rates."""
    return ops_per_second * (4.0 + 16.0 / (1.0 + ops_per_second / 18_000.0)) / 1e6


@pytest.mark.parametrize("size", ["t3.micro", "t3.small", "t3.medium", "t4g.micro"])
def test_a_node_is_throttled_and_no_cpu_alarm_fires(size: str) -> None:
    node = node_type(f"cache.{size}")
    found = silent_throttling(node, cores, 3.0, 0.5)
    assert found is not None
    shape, rules = week_weights(3.0, 0.5), credit_rules(node)
    for load, is_throttled in ((0.999, False), (1.001, True)):
        course = credit_course(rules, cores(load * found.ops_per_second * shape), start_balance="settled")
        assert (course.throttled_hours > 0.0) is is_throttled
    assert found.throttled_cpu_percent == node.cpu_baseline_percent_per_vcpu
    assert found.highest_cpu_percent <= found.most_cpu_percent == pytest.approx(51.0)
    assert not found.alarm_fires
    assert not found.alarm_can_fire
    assert found.throttled_hours_at_ten_percent_more > 1.0
    assert 0.0 < found.unserved_share_at_ten_percent_more < 0.2
    assert found.peak_ops_per_second / found.ops_per_second == pytest.approx(3.0 * 7 / 6, rel=0.001)
    assert found.peak_engine_cores == pytest.approx(float(cores(np.array([found.peak_ops_per_second]))[0]))
    assert found.as_json()["node_type"] == node.name


def test_a_small_node_bears_more_before_it_is_throttled() -> None:
    micro, small = (silent_throttling(node_type(f"cache.t3.{size}"), cores, 2.0)
                    for size in ("micro", "small"))
    assert micro is not None
    assert small is not None
    assert small.ops_per_second > 2.0 * micro.ops_per_second
    assert micro.advised_alarm_percent == 45.0
    assert not micro.advised_alarm_fires  # not even AWS' own advice sees a micro's peak of twice the baseline


def test_a_lower_threshold_would_see_the_burst_before() -> None:
    found = silent_throttling(node_type("cache.t3.micro"), cores, 3.0, alarm_percent=15.0)
    assert found is not None
    assert found.alarm_fires
    assert found.alarm_can_fire


def test_a_peak_too_short_to_spend_the_balance_is_never_throttled() -> None:
    micro = node_type("cache.t3.micro")
    assert silent_throttling(micro, lambda ops: np.minimum(ops / 1e5, 0.25), 20.0) is None


def test_a_load_that_needs_no_cpu_is_refused() -> None:
    with pytest.raises(BadInput, match="no load needs"):
        silent_throttling(node_type("cache.t3.micro"), lambda ops: 0.0 * ops, 2.0)


def test_an_alarm_needs_its_periods_in_a_row() -> None:
    assert alarm_fires(np.array([90.0, 90.0, 90.0]), 80.0)
    assert not alarm_fires(np.array([90.0, 90.0, 70.0, 90.0, 90.0]), 80.0)
    assert not alarm_fires(np.array([80.0] * 5), 80.0)
    assert not alarm_fires(np.array([99.0] * 2), 80.0)
