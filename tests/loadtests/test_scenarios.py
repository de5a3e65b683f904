"""Real Locust processes against real servers: what a run holds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from locust_process import (
    cluster_directories,
    csv_counts,
    operation_counts,
    run_locust,
    servers_of_ours,
    shared_directory,
)

from amply_capacity.run.reader import Run, read_run
from amply_capacity.run.schema import SCHEMA_VERSION, TABLES
from amply_capacity.run.writer import arrow_schema
from amply_capacity.traffic.mix import CACHE_MIX, CELERY_MIX, DEFAULT_MIX, RATE_LIMIT_MIX, SESSIONS_MIX

# The specification's own `touch` (GET, TTL, SETEX) races with a log-out in between: TTL is then -2.
_RACE = "invalid expire time"


@dataclass(frozen=True)
class Recording:
    """What a finished Locust left: exit code, words, CSV files, run, and what it did not tidy up."""

    code: int
    words: str
    csv: Path
    run: Run
    left: list[str]


def _record(scenario: str, *options: str, directory: Path) -> Recording:
    directory.mkdir(exist_ok=True)
    before = servers_of_ours() | cluster_directories()
    code, words = run_locust(
        scenario,
        *options,
        "--csv",
        str(directory / "csv"),
        "--run-dir",
        str(directory / "run"),
        log=directory / "log",
    )
    left = sorted(str(one) for one in (servers_of_ours() | cluster_directories()) - before)
    (directory / "outcome.json").write_text(json.dumps([code, left]))
    assert (directory / "run" / "run.json").exists(), words
    return _recorded(directory)


def _recorded(directory: Path) -> Recording:
    code, left = json.loads((directory / "outcome.json").read_text())
    return Recording(
        code, (directory / "log").read_text(), directory / "csv", read_run(directory / "run"), left
    )


def _check_totals(recording: Recording) -> None:
    """Locust's CSV, exit code and last table say what the run says; nothing failed but by the race."""
    counts, total, failures = csv_counts(recording.csv)
    assert counts == operation_counts(recording.run.requests)
    assert total == sum(counts.values())
    errors = recording.run.events[recording.run.events["kind"] == "error"]
    assert errors["name"].str.contains(_RACE).all(), errors["name"].tolist()
    assert failures == sum(detail["count"] for detail in errors["detail"])
    assert recording.code == (1 if failures else 0), recording.words
    tables = [line.split() for line in recording.words.splitlines() if line.split()[:1] == ["Aggregated"]]
    assert tables[-1][-1] == str(total)
    assert "Traceback" not in recording.words


pytestmark = pytest.mark.xdist_group("scenarios")  # they share a recording


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Made once for all test processes."""
    with shared_directory(tmp_path_factory, "mixed") as directory:
        if not (directory / "outcome.json").exists():
            options = ("-u", "10", "-r", "10", "-t", "10s", "--population", "500", "--think-time-ms", "15")
            return _record("mixed", *options, directory=directory)
        return _recorded(directory)


class TestTenSecondsOfTenUsers:
    def test_every_operation_of_the_mix_occurs(self, mixed: Recording) -> None:
        counts = operation_counts(mixed.run.requests)
        assert set(counts) == set(DEFAULT_MIX)
        total = sum(counts.values())
        for name, per_mille in DEFAULT_MIX.items():
            expected = total * per_mille / 1000
            assert abs(counts[name] - expected) <= 6 * math.sqrt(expected), name

    def test_locust_says_what_the_run_says(self, mixed: Recording) -> None:
        _check_totals(mixed)

    def test_no_server_and_no_directory_is_left(self, mixed: Recording) -> None:
        assert mixed.left == []

    def test_the_run_directory_keeps_the_contract(self, mixed: Recording) -> None:
        assert {path.name for path in mixed.run.directory.iterdir()} == {
            "run.json",
            *(f"{table}.parquet" for table in TABLES),
        }
        for table in TABLES:
            path = mixed.run.directory / f"{table}.parquet"
            assert pq.read_schema(path).equals(arrow_schema(table))
            assert pq.read_metadata(path).num_rows > 0

    def test_the_manifest_says_how_the_run_was_made(self, mixed: Recording) -> None:
        manifest = mixed.run.manifest
        assert manifest["schema"] == SCHEMA_VERSION
        assert manifest["verdict"] in {"complete", "generator-bound"}
        assert (manifest["scenario"], manifest["arrivals"], manifest["seed"]) == ("mixed", "closed", 1)
        assert manifest["mix"] == dict(DEFAULT_MIX)
        assert manifest["population"]["users"] == 500
        assert manifest["target"]["kind"] == "local cluster"
        assert manifest["server"]["config"]["maxmemory-policy"] == "volatile-lru"
        assert manifest["locust_users"] == 10
        assert set(manifest["files"]) == {f"{table}.parquet" for table in TABLES}
        assert {"generator", "versions", "prefill", "started_at", "ended_at", "emulated"} <= set(manifest)

    def test_what_was_prefilled_is_what_the_population_asks_for(self, mixed: Recording) -> None:
        classes = {one["name"]: one for one in mixed.run.manifest["prefill"]["classes"]}
        assert classes["user_sessions"]["keys"] == 500
        assert classes["sessions"]["keys"] > 500
        assert set(classes) == {"sessions", "user_sessions", "results", "cached", "counters"}

    def test_the_server_is_sampled_every_second(self, mixed: Recording) -> None:
        first, last = mixed.run.measured_seconds
        sampled = mixed.run.server.loc[mixed.run.server["second"].between(first, last), "second"]
        assert len(set(sampled)) >= 0.8 * (last - first + 1)
        assert (mixed.run.server["CurrConnections"] >= 10).any()
        assert mixed.run.server["FreeableMemory"].notna().all()  # emulated: the manifest says so
        assert mixed.run.server["ReplicationBytes"].isna().all()  # there is no replica

    def test_the_servers_count_of_commands_is_the_generators(self, mixed: Recording) -> None:
        requests = mixed.run.requests
        sent = requests[requests["command"] != ""].groupby("command")["count"].sum()
        served = mixed.run.commands.set_index("command")["calls"]
        for name in ("GET", "INCR", "SADD", "SMEMBERS"):
            # An operation that was cut off at the end may have been served and not counted.
            assert 0 <= served[name.lower()] - sent[name] <= 10, name

    def test_outcomes_are_the_use_cases_own(self, mixed: Recording) -> None:
        own = mixed.run.requests[mixed.run.requests["command"] == ""]
        outcomes = {name: set(rows["outcome"]) - {"error"} for name, rows in own.groupby("operation")}
        assert outcomes["check"] <= {"allowed", "limited"}
        assert "allowed" in outcomes["check"]
        assert outcomes["cached_read"] <= {"hit", "miss"}
        assert outcomes["validate"] <= {"hit", "miss"}

    def test_the_clocks_add_up(self, mixed: Recording) -> None:
        own = mixed.run.requests[mixed.run.requests["command"] == ""]
        counts = own.groupby("clock")["count"].sum()
        assert counts.nunique() == 1
        sums = (own["bucket_us"] * own["count"]).groupby(own["clock"]).sum()
        assert sums["response"] >= sums["service"]

    def test_the_trace_is_bounded_and_says_its_rate(self, mixed: Recording) -> None:
        accesses = mixed.run.accesses
        assert accesses["sampling_rate"].nunique() == 1
        assert 0 < accesses["sampling_rate"].iloc[0] <= 1
        assert accesses.groupby(accesses["time_s"].astype("int64")).size().max() <= 4000
        # Whole keys are sampled, so a class of few keys may be missing; the sessions are many.
        assert "session" in set(accesses["key_class"])
        assert set(accesses["key_class"]) <= {"session", "user_sessions", "rate", "cache", "celery-task-meta"}

    def test_nothing_in_the_run_is_a_key(self, mixed: Recording) -> None:
        for path in mixed.run.directory.iterdir():
            assert b"ses_0" not in path.read_bytes()


@pytest.mark.parametrize(
    ("scenario", "mix", "options"),
    [
        ("sessions", SESSIONS_MIX, ("--think-time-ms", "20")),
        ("rate_limit", RATE_LIMIT_MIX, ("--arrivals", "constant", "--rate", "400")),
        ("cache", CACHE_MIX, ("--compute-delay-ms", "2", "--think-time-ms", "20")),
        ("celery_results", CELERY_MIX, ("--think-time-ms", "20")),
    ],
)
def test_every_operation_of_a_scenario_occurs(
    scenario: str, mix: dict[str, int], options: tuple[str, ...], tmp_path: Path
) -> None:
    recording = _record(
        scenario,
        "-u",
        "10",
        "-r",
        "10",
        "-t",
        "6s",
        "--population",
        "50",
        "--prefill",
        "0",
        *options,
        directory=tmp_path,
    )
    assert set(operation_counts(recording.run.requests)) == {name for name, weight in mix.items() if weight}
    assert recording.run.manifest["scenario"] == scenario.replace("_", "-")
    _check_totals(recording)
    assert recording.left == []
    if "constant" in options:
        first, last = recording.run.measured_seconds
        checks = recording.run.requests.query(
            "command == '' and clock == 'lateness' and @first < second < @last"
        )
        # A stall of a shared machine moves operations into a neighbouring second.
        assert checks["count"].sum() / (last - first - 1) == pytest.approx(400, rel=0.1)


def test_a_mix_of_ones_own_replaces_the_scenarios(tmp_path: Path) -> None:
    recording = _record(
        "mixed",
        "-u",
        "2",
        "-r",
        "2",
        "-t",
        "3s",
        "--population",
        "50",
        "--prefill",
        "0",
        "--mix",
        "check=3,cached_read=1",
        "--think-time-ms",
        "2",
        "--html",
        str(tmp_path / "report.html"),
        directory=tmp_path,
    )
    counts = operation_counts(recording.run.requests)
    assert set(counts) == {"check", "cached_read"}
    assert counts["check"] == pytest.approx(3 * counts["cached_read"], rel=0.2)
    assert recording.run.manifest["mix"] == {"check": 3, "cached_read": 1}
    assert recording.run.manifest["prefill"] == {"share": 0.0, "classes": []}
    # Locust's own page counts what the run counts.
    assert f'"num_requests": {counts["check"]}' in (tmp_path / "report.html").read_text()


def test_two_processes_record_one_run_that_holds_both(tmp_path: Path) -> None:
    recording = _record(
        "mixed",
        "-u",
        "10",
        "-r",
        "10",
        "-t",
        "5s",
        "--population",
        "300",
        "--processes",
        "2",
        "--think-time-ms",
        "10",
        directory=tmp_path,
    )
    _check_totals(recording)
    load = recording.run.events.query("kind == 'generator'")
    assert len({detail["pid"] for detail in load["detail"]}) == 3  # two workers and the master
    assert recording.run.manifest["generator"]["processes"] == 2
    assert set(operation_counts(recording.run.requests)) == set(DEFAULT_MIX)
    served = recording.run.commands.set_index("command")["calls"]
    requests = recording.run.requests
    sent = requests[requests["command"] == "GET"]["count"].sum()
    assert sent == pytest.approx(served["get"], rel=0.01)
    assert recording.left == []


def test_a_poisson_schedule_offers_its_rate_whatever_the_server_does(tmp_path: Path) -> None:
    rate, users = 500.0, 20
    recording = _record(
        "mixed",
        "-u",
        str(users),
        "-r",
        "100",
        "-t",
        "10s",
        "--population",
        "200",
        "--prefill",
        "0",
        "--arrivals",
        "poisson",
        "--rate",
        str(rate),
        directory=tmp_path,
    )
    first, last = recording.run.measured_seconds
    own = recording.run.requests.query("command == '' and @first < second < @last")
    expected = rate * (last - first - 1)
    offered = own.loc[own["clock"] == "lateness", "count"].sum()
    # 3 %, and what a Poisson count itself varies by in so many seconds.
    assert abs(offered - expected) <= max(0.03 * expected, 3 * math.sqrt(expected))
    sums = (own["bucket_us"] * own["count"]).groupby(own["clock"]).sum()
    assert sums["response"] >= sums["service"]
    assert sums["response"] >= sums["lateness"]
    assert recording.run.manifest["rate_per_second"] == rate
    _check_totals(recording)
