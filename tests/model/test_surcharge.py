"""What TLS, a replica and connections cost: the difference between runs whose law is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from synthetic_run import CLIENTS, MANIFEST, SECONDS, KnownServer, command_stats, server_samples, times

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import CpuCurve, curve_of
from amply_capacity.model.surcharge import Surcharge, surcharge
from amply_capacity.run.reader import Run

SERVER = KnownServer()
COMMANDS_PER_ROUND = 210.0 / 160.0  # of the standing load
EXECUTION_US = 2.0
ALL = SECONDS + 1
RATES = (500.0, 2_000.0, 8_000.0, 20_000.0)
AT = 5_000.0
"""Round trips a second of the run beside them."""


def loaded(make_run: Callable, rounds: float, *, extra_us: float = 0.0, connections: int = CLIENTS,
           topology: str = "single", tls: bool = False, name: str = "beside", uneven: float = 0.0,
           **options: Any) -> Run:
    """A run of that rate on the known server, each of whose round trips costs so much more."""
    cores = SERVER.cores(rounds, EXECUTION_US) + rounds * extra_us / 1e6
    shaken = [cores * (1.0 + (uneven if number % 2 else -uneven)) for number in range(ALL)]
    server = server_samples([rounds * COMMANDS_PER_ROUND] * ALL, shaken, CurrConnections=float(connections))
    each = EXECUTION_US / COMMANDS_PER_ROUND
    stats = command_stats(dict.fromkeys(("get", "setex", "incr", "expire"), each))
    return make_run(**{"server": server, "commands": stats, "run": name,
                       "target": MANIFEST["target"] | {"tls": tls, "topology": topology}, **options})


@pytest.fixture
def fitted(make_run: Callable) -> list[Run]:
    return [loaded(make_run, rate, name=f"run-{rate:g}") for rate in RATES]


@pytest.fixture
def curve(fitted: list[Run]) -> CpuCurve:
    return curve_of(fitted)


@pytest.mark.parametrize(("options", "what"), [
    ({"tls": True}, "TLS"),
    ({"topology": "replicated"}, "a replica"),
    ({"connections": 4 * CLIENTS}, "20 connections instead of 5"),
    ({"tls": True, "topology": "replicated", "connections": 2_000},
     "TLS, a replica, 2,000 connections instead of 5"),
])
def test_what_differs_is_named(make_run: Callable, fitted: list[Run], curve: CpuCurve,
                               options: dict[str, Any], what: str) -> None:
    assert surcharge(curve, fitted, loaded(make_run, AT, **options)).what == what


def test_a_dearer_run_costs_what_was_put_on_it(make_run: Callable, fitted: list[Run],
                                               curve: CpuCurve) -> None:
    found = surcharge(curve, fitted, loaded(make_run, AT, tls=True, extra_us=10.0))
    assert found.run_id == "beside"
    assert found.rounds_per_second == pytest.approx(AT)
    assert found.us_per_round.low > 0.0
    assert found.us_per_round.mid == pytest.approx(10.0, abs=1.5)
    assert found.us_per_round.low < 10.0 < found.us_per_round.high
    without = 1e6 * SERVER.cores(AT, EXECUTION_US) / AT
    assert found.percent.mid == pytest.approx(1_000.0 / without, rel=0.15)
    assert found.percent.low < found.percent.mid < found.percent.high


def test_a_run_that_costs_the_same_is_not_told_to_cost_more(make_run: Callable, fitted: list[Run],
                                                            curve: CpuCurve) -> None:
    found = surcharge(curve, fitted, loaded(make_run, AT, topology="replicated"))
    for value in (found.us_per_round, found.percent):
        assert value.low < 0.0 < value.high


def test_the_dearer_the_run_the_larger_the_figure(make_run: Callable, fitted: list[Run],
                                                  curve: CpuCurve) -> None:
    mids = [surcharge(curve, fitted, loaded(make_run, AT, tls=True, extra_us=extra)).us_per_round.mid
            for extra in (0.0, 3.0, 6.0, 12.0)]
    assert mids == sorted(mids)
    assert mids[-1] - mids[0] == pytest.approx(12.0, rel=1e-6)


def test_seconds_that_differ_make_the_interval_wider(make_run: Callable, fitted: list[Run],
                                                     curve: CpuCurve) -> None:
    even, uneven = (surcharge(curve, fitted, loaded(make_run, AT, tls=True, uneven=uneven)).us_per_round
                    for uneven in (0.0, 0.5))
    assert uneven.high - uneven.low > 1.2 * (even.high - even.low)


def test_of_a_run_of_several_rates_the_longest_counts(make_run: Callable, fitted: list[Run],
                                                      curve: CpuCurve) -> None:
    rounds = [1_000.0] * 5 + [AT] * 7
    cores = [SERVER.cores(one, EXECUTION_US) for one in rounds]
    server = server_samples([one * COMMANDS_PER_ROUND for one in rounds], cores,
                            CurrConnections=float(CLIENTS))
    run = loaded(make_run, AT, tls=True, server=server, seconds=len(rounds) - 1)
    assert surcharge(curve, fitted, run).rounds_per_second == pytest.approx(AT)


@pytest.mark.parametrize(("fitted_options", "options", "words"), [
    ([{}], {}, "no TLS, topology single, 5 connections"),
    ([{}], {"connections": 7}, "7 connections"),
    ([{"tls": True}], {}, "no TLS"),
    ([{}, {"tls": True, "topology": "replicated"}], {"tls": True}, "TLS, topology single"),
    ([{"topology": "replicated"}], {"topology": "replicated"}, "topology replicated"),
    ([{"connections": 3}, {"connections": 500}], {"connections": 600}, "600 connections"),
])
def test_a_run_like_one_of_the_others_is_refused_with_what_to_record(
        make_run: Callable, fitted_options: Sequence[dict[str, Any]], options: dict[str, Any],
        words: str) -> None:
    runs = [loaded(make_run, rate, name=f"run-{rate:g}", **each)
            for rate, each in zip(RATES, fitted_options, strict=False)]
    with pytest.raises(BadRun, match="beside is like the others") as refused:
        surcharge(curve_of(runs), runs, loaded(make_run, AT, **options))
    for word in (words, "--tls", "--topology replicated", "-u"):
        assert word in str(refused.value)


def test_a_run_that_does_not_tell_its_cpu_is_refused(make_run: Callable, fitted: list[Run],
                                                     curve: CpuCurve) -> None:
    silent = [{name: value for name, value in row.items() if "used_cpu" not in name}
              for row in server_samples([2_000.0] * ALL, [0.1] * ALL)]
    with pytest.raises(BadRun, match="does not tell what its server's CPU did"):
        surcharge(curve, fitted, loaded(make_run, AT, tls=True, server=silent))


def test_a_command_that_no_fitted_run_shows_is_refused_by_its_name(make_run: Callable, fitted: list[Run],
                                                                   curve: CpuCurve) -> None:
    first = int(fitted[0].server["second"].min())
    more = [times(first + number, "get_result", "celery_results", command="LRANGE", count=50)
            for number in range(SECONDS + 2)]
    with pytest.raises(BadRun, match="LRANGE"):
        surcharge(curve, fitted, loaded(make_run, AT, tls=True, requests=more))


def test_as_json_it_is_rounded_and_names_its_run() -> None:
    each, percent = Interval(-0.12345, 2.34567, 5.0), Interval(-1.2345, 12.3456, 20.0)
    assert Surcharge("TLS", "run-1", 1_234.56, each, percent).as_json() == {
        "what": "TLS", "run": "run-1", "rounds_per_second": 1_234.6,
        "us_per_round": {"low": -0.123, "mid": 2.346, "high": 5.0},
        "percent": {"low": -1.23, "mid": 12.35, "high": 20.0}}
