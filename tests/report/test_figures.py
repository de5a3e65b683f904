"""Each figure is vector, says its own number as its title, and is the same every time."""

from __future__ import annotations

import calendar
import copy
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from amply_capacity.catalog.nodes import node_type
from amply_capacity.report import figures
from amply_capacity.report.document import Document
from amply_capacity.report.look import Picture
from amply_capacity.run.reader import Run

pytestmark = pytest.mark.xdist_group("report")

OF_A_PLAN = (figures.headroom, figures.memory_bill, figures.memory_by_month, figures.cost_by_month,
             figures.replica_balance, figures.replica_by_month)
OF_A_RUN = (figures.throughput, figures.latency, figures.server_cpu)


@pytest.fixture
def run(document: Document) -> Run:
    """The recording, with tables of its own to be changed."""
    recorded = document.recorded[0]
    return Run(recorded.directory, copy.deepcopy(recorded.manifest))


def assert_drawn(picture: Picture) -> None:
    root = ET.fromstring(picture.svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label") == picture.claim
    assert root.get("role") == "img"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10
    assert ET.fromstring(picture._repr_svg_()).get("width", "").endswith("in"), "JupyterLab blows up 100 %"


@pytest.mark.parametrize("draw", OF_A_PLAN, ids=lambda draw: draw.__name__)
def test_a_figure_of_a_plan_is_whole_and_the_same_twice(draw: Callable, plan: dict[str, Any]) -> None:
    before = copy.deepcopy(plan)
    picture = draw(plan)
    assert_drawn(picture)
    assert draw(plan) == picture
    assert plan == before, "a figure changes nothing"


@pytest.mark.parametrize("draw", OF_A_RUN, ids=lambda draw: draw.__name__)
def test_a_figure_of_a_run_is_whole_and_the_same_twice(draw: Callable, run: Run) -> None:
    picture = draw(run)
    assert_drawn(picture)
    assert draw(run) == picture


def test_headroom_names_the_tightest_limit_and_its_share(plan: dict[str, Any]) -> None:
    shares = {row["constraint"]: 100 * row["needed_mid"] / row["available"]
              for row in plan["headroom"] if row["available"]}
    tightest = max(shares, key=lambda name: shares[name])
    claim = figures.headroom(plan).claim
    assert claim.startswith(figures.CONSTRAINTS[tightest])
    assert plan["chosen"]["node_type"] in claim
    assert f"{shares[tightest]:.0f} %" in claim


def test_headroom_leaves_a_limit_out_that_nobody_knows(plan: dict[str, Any]) -> None:
    plan["headroom"][0] |= {"available": None, "headroom_percent": None}
    assert figures.CONSTRAINTS[plan["headroom"][0]["constraint"]] not in figures.headroom(plan).claim


def test_the_memory_bill_names_the_biggest_item_and_its_share(plan: dict[str, Any]) -> None:
    plan["memory_items"] = [{"what": "session", "bytes": 600}, {"what": "index", "bytes": 300},
                            {"what": "connection", "bytes": 100}, {"what": "counter", "bytes": 0}]
    assert figures.memory_bill(plan).claim == "Sessions take 60 % of the memory"


def test_memory_by_month_names_the_month_in_which_the_first_type_is_outgrown(plan: dict[str, Any]) -> None:
    first = plan["months"][0]["node_type"]
    given = 0.75 * node_type(first).usable_bytes(25.0)  # a quarter is kept free
    rows = [row for row in plan["needs"] if row["constraint"] == "memory"]
    for row, share in zip(rows, np.linspace(0.5, 1.5, len(rows)), strict=True):
        row |= {"low": 0.9 * share * given, "mid": share * given, "high": 1.1 * share * given}
    crossing = next(row["month"] for row in rows if row["mid"] > given)
    year, month = crossing.split("-")
    name = calendar.month_abbr[int(month)]
    assert figures.memory_by_month(plan).claim == f"The median demand outgrows {first} in {name} {year}"
    for row in rows:
        row |= {"low": 0.1 * given, "mid": 0.2 * given, "high": 0.3 * given}
    assert figures.memory_by_month(plan).claim == f"{first} holds the median demand for all 36 months"


def test_cost_by_month_sums_the_median_months(plan: dict[str, Any]) -> None:
    for number, month in enumerate(plan["months"]):
        month |= {"usd_low": 10.0, "usd_mid": 10.0 + number, "usd_high": 60.0}
    assert figures.cost_by_month(plan).claim == "36 months cost $990.00 in the median world"


@pytest.mark.parametrize("unknown", ["usd_low", "usd_mid", "usd_high"])
def test_cost_by_month_draws_what_is_known_and_says_what_is_not(plan: dict[str, Any], unknown: str) -> None:
    for month in plan["months"]:
        month |= {"usd_low": 10.0, "usd_mid": 20.0, "usd_high": 30.0}
    for month in plan["months"][4:]:
        month[unknown] = None
    picture = figures.cost_by_month(plan)
    assert_drawn(picture)
    assert picture.claim == ("4 months cost $80.00 in the median world; what the other 32 cost is unknown"
                             if unknown == "usd_mid" else "36 months cost $720.00 in the median world")


def test_cost_by_month_survives_a_plan_that_knows_no_cost_at_all(plan: dict[str, Any]) -> None:
    for month in plan["months"]:
        month |= {"usd_low": None, "usd_mid": None, "usd_high": None}
    picture = figures.cost_by_month(plan)
    assert_drawn(picture)
    assert "the other 36 cost is unknown" in picture.claim


@pytest.mark.parametrize("draw", OF_A_PLAN, ids=lambda draw: draw.__name__)
def test_a_horizon_of_one_month_is_drawn(draw: Callable, plan: dict[str, Any]) -> None:
    month = plan["months"][0]["month"]
    plan["months"], plan["replica"]["months"] = plan["months"][:1], plan["replica"]["months"][:1]
    plan["needs"] = [row for row in plan["needs"] if row["month"] == month]
    assert_drawn(draw(plan))


def test_the_replica_figures_state_price_share_and_the_month_of_the_turn(plan: dict[str, Any]) -> None:
    plan["replica"] |= {"usd_per_month": 12.41, "probability": 0.934, "verdict": "add"}
    assert figures.replica_balance(plan).claim == "A replica is worth its $12.41 in 93 % of the worlds: add"
    plan["replica"]["months"] = [
        {"month": f"2027-{number:02d}", "probability": 0.1 * number,
         "verdict": "add" if number >= 8 else "undecided"} for number in range(3, 10)]
    assert figures.replica_by_month(plan).claim == "The verdict turns in Aug 2027"
    for row in plan["replica"]["months"]:
        row["verdict"] = "undecided"
    assert figures.replica_by_month(plan).claim == "The verdict stays “undecided” for all 7 months"


def test_a_replica_that_avoids_nothing_is_drawn_on_the_logarithmic_axis(plan: dict[str, Any]) -> None:
    plan["replica"]["avoided_usd_per_month"] = {"low": 0.0, "mid": 0.0, "high": 5.0}
    assert_drawn(figures.replica_balance(plan))


def test_throughput_states_the_mean_rate_and_the_biggest_share(run: Run) -> None:
    first, last = run.measured_seconds
    requests = run.requests
    rows = requests[requests["second"].between(first, last)].query("command == '' and clock == 'service'")
    by_use_case = rows.groupby("use_case")["count"].sum().sort_values()
    assert figures.throughput(run).claim == (
        f"{rows['count'].sum() / (last - first + 1):,.0f} operations a second, "
        f"{100 * by_use_case.iloc[-1] / by_use_case.sum():.0f} % of them {by_use_case.index[-1]}")


def test_latency_states_the_median_seconds_median_and_p99(run: Run) -> None:
    clock = "service" if run.manifest["arrivals"] == "closed" else "response"
    first, last = run.measured_seconds
    requests = run.requests
    rows = requests[requests["second"].between(first, last) & (requests["clock"] == clock)]
    rows = rows[rows["command"] == ""]
    halves, nines = [], []
    for _, second in rows.groupby("second"):
        each = np.sort(np.repeat(second["bucket_us"], second["count"])) / 1000
        halves.append(each[int(np.ceil(0.5 * len(each))) - 1])
        nines.append(each[int(np.ceil(0.99 * len(each))) - 1])
    half, nine = np.median(halves), np.median(nines)
    assert figures.latency(run).claim == (
        f"Half of the operations took at most {half:.2g} ms, 99 % at most {nine:.2g} ms")


def test_server_cpu_states_the_median_second(run: Run) -> None:
    first, last = run.measured_seconds
    in_phase = run.server["second"].between(first, last)
    percent = run.server.loc[in_phase, "EngineCPUUtilization"].median()
    assert figures.server_cpu(run).claim == f"The engine used {percent:.1f} % of a core"


def test_a_run_whose_server_told_no_cpu_is_drawn_as_not_measured(run: Run) -> None:
    vars(run)["server"] = run.server.assign(EngineCPUUtilization=np.nan)
    picture = figures.server_cpu(run)
    assert picture.claim == "The engine's CPU was not measured"
    ET.fromstring(picture.svg)


def test_signs_of_markup_in_a_runs_name_stay_text(run: Run) -> None:
    hostile = {**run.manifest, "run": '<script>&"--></svg>'}
    assert_drawn(figures.throughput(Run(run.directory, hostile)))
