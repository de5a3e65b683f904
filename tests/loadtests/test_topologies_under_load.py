from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from locust_process import operation_counts, run_locust, wait_until

from amply_capacity.run.reader import read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.target.endpoint import connect

# Beside tests that compute, and not one after another at the end: a load waits more than it works.
pytestmark = pytest.mark.xdist_group("loads")

_SMALL = ("-u", "5", "-r", "5", "-t", "5s", "--population", "60", "--think-time-ms", "20")
_LOG_OUT = (
    "--mix",
    "create=5,log_out_everywhere=5,validate=10,check=5,cached_read=5,store_result=2,get_result=2",
)


@pytest.mark.parametrize("form", ["spec", "per-key", "hash-tag"])
def test_deleting_several_keys_over_slots_is_a_finding_and_the_other_forms_work(
    form: str, tmp_path: Path
) -> None:
    code, words = run_locust(
        "mixed",
        *_SMALL,
        *_LOG_OUT,
        "--topology",
        "sharded",
        "--multi-key",
        form,
        "--run-dir",
        str(tmp_path / "run"),
        log=tmp_path / "log",
    )
    run = read_run(tmp_path / "run")
    own = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "response")]
    failed = own[own["outcome"] == "error"].groupby("operation")["count"].sum().to_dict()
    findings = run.events[run.events["kind"] == "finding"]
    assert run.manifest["target"]["topology"] == "sharded"
    assert run.server["node"].nunique() == 6
    if form == "spec":
        assert code == 1
        assert set(failed) == {"log_out_everywhere"}
        assert len(findings) == 1
        assert "--multi-key per-key" in findings["detail"].iloc[0]["fix"]
        assert words.count("fails on a sharded cluster") == 1
    else:
        assert code == 0, words
        assert failed == {}
        assert findings.empty
        assert operation_counts(run.requests)["log_out_everywhere"] > 10
    assert "Traceback" not in words


def test_an_encrypted_run_with_a_password_shows_neither_key_nor_password(tmp_path: Path) -> None:
    with clusters.throw_away(name="secret-tls", tls=True, with_password=True) as cluster:
        password = (cluster.directory / "password").read_text()
        code, words = run_locust(
            "sessions",
            *_SMALL,
            "--target",
            "secret-tls",
            "--run-dir",
            str(tmp_path / "run"),
            log=tmp_path / "log",
        )
    assert code in {0, 1}, words
    run = read_run(tmp_path / "run")
    assert run.manifest["target"]["tls"] is True
    assert run.manifest["target"]["url"].startswith("rediss://")
    assert sum(operation_counts(run.requests).values()) > 100
    assert password not in words
    for file in (tmp_path / "run").iterdir():
        assert password.encode() not in file.read_bytes()


def test_clients_follow_a_failover_and_the_run_shows_the_gap(
    starting: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    with clusters.throw_away(name="failing-over", topology="replicated") as cluster:
        process = starting(
            "-u",
            "10",
            "-r",
            "10",
            "-t",
            "20s",
            "--population",
            "60",
            "--prefill",
            "0",
            "--arrivals",
            "poisson",
            "--rate",
            "300",
            "--timeout-ms",
            "1000",
            "--target",
            "failing-over",
            "--run-dir",
            str(tmp_path / "run"),
        )
        wait_until(lambda: (tmp_path / "run" / "parts" / "requests.arrows").exists(), "the load")
        time.sleep(3.0)
        os.kill(cluster.nodes[0].pid, signal.SIGKILL)
        killed_s = time.time()
        process.wait(60)
    run = read_run(tmp_path / "run")
    own = run.requests[(run.requests["command"] == "") & (run.requests["clock"] == "response")]
    failed = own[own["outcome"].isin(["disconnected", "unreachable", "timeout", "error"])]
    assert failed["count"].sum() > 0
    assert failed["second"].between(int(killed_s), int(killed_s) + 12).all()
    assert (
        own[(own["second"] > failed["second"].max() + 1) & (own["outcome"] != "error")]["count"].sum() > 300
    )


def test_a_stall_delays_what_was_due_in_it_and_takes_nothing_off_the_load(tmp_path: Path) -> None:
    rate, stall_s, bound_s = 1000.0, 0.3, 0.1
    stalled: list[tuple[float, float]] = []
    with clusters.throw_away(name="stalling") as cluster, connect(cluster.endpoint) as control:

        def stall() -> None:
            wait_until(lambda: (tmp_path / "run" / "parts" / "requests.arrows").exists(), "the load")
            for _ in range(3):
                time.sleep(2.5)
                began = time.time()
                control.execute_command("CLIENT", "PAUSE", int(1000 * stall_s), "ALL")
                control.ping()  # answered when it is over: Redis looks for that ten times a second
                stalled.append((began, time.time() - began))

        staller = threading.Thread(target=stall)
        staller.start()
        code, words = run_locust(
            "rate_limit",
            "-u",
            "50",
            "-r",
            "50",
            "-t",
            "14s",
            "--population",
            "60",
            "--prefill",
            "0",
            "--arrivals",
            "poisson",
            "--rate",
            str(rate),
            "--target",
            "stalling",
            "--run-dir",
            str(tmp_path / "run"),
            log=tmp_path / "log",
        )
        staller.join()
    assert code == 0, words
    run = read_run(tmp_path / "run")
    own = run.requests[run.requests["command"] == ""]
    offered = {
        detail["second"]: detail["operations"]
        for detail in run.events.loc[run.events["name"] == "offered", "detail"]
    }
    ratios = []
    for began, lasted_s in stalled:
        second = int(began)
        near = own[own["second"].between(second, second + 1) & (own["bucket_us"] > 1e6 * bound_s)]
        long = near.groupby("clock")["count"].sum()
        expected = rate * (lasted_s - bound_s)  # those due until 100 ms before its end take longer than that
        slack = 0.05 * expected + 4 * expected**0.5
        ratios.append(long["response"] / expected)
        assert long["response"] >= expected - slack
        assert long.get("service", 0) < 0.6 * expected, "which is what a closed loop would have shown"
        for one in (second, second + 1):
            assert offered[one] == pytest.approx(rate, abs=5 * rate**0.5)
    assert min(ratios) <= 1.05 + slack / expected, "a busy machine may delay more, but not each time"


def test_a_limit_ends_the_run_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    with clusters.throw_away(name="slow-one"):
        code, words = run_locust(
            "rate_limit",
            "-u",
            "5",
            "-r",
            "5",
            "-t",
            "60s",
            "--population",
            "60",
            "--prefill",
            "0",
            "--think-time-ms",
            "5",
            "--stop-p99-ms",
            "0.001",
            "--target",
            "slow-one",
            "--run-dir",
            str(tmp_path / "run"),
            log=tmp_path / "log",
        )
    run = read_run(tmp_path / "run")
    first, last = run.measured_seconds
    assert code == 1
    assert last - first < 30
    assert run.manifest["verdict"] == "partial"
    assert "it was stopped" in run.manifest["verdict_reason"]
    assert "what was recorded is kept" in words
    assert operation_counts(run.requests)["check"] > 100


@pytest.mark.parametrize("generators", [(), ("--processes", "2")])
def test_a_knee_search_changes_the_rate_and_says_what_it_found_so_far(
    generators: tuple[str, ...], tmp_path: Path
) -> None:
    code, words = run_locust(
        "cache",
        *generators,
        "-u",
        "20",
        "-r",
        "20",
        "-t",
        "24s",
        "--population",
        "60",
        "--prefill",
        "0",
        "--knee",
        "--rate",
        "300",
        "--p99-ms",
        "400",
        "--run-dir",
        str(tmp_path / "run"),
        log=tmp_path / "log",
    )
    assert code == 0, words
    run = read_run(tmp_path / "run")
    events = run.events[run.events["kind"] == "knee"]
    assert events["name"].iloc[0] == "began"
    assert events["name"].iloc[-1] == "ended"
    steps = events.loc[events["name"] == "step", "detail"].tolist()
    rates = [step["rate_per_second"] for step in steps]
    assert rates == sorted(rates)
    assert len(rates) >= 2
    for step in steps:
        achieved = step["achieved_per_second"]
        assert achieved == pytest.approx(
            step["rate_per_second"], rel=0.1, abs=5 * step["rate_per_second"] ** 0.5
        )
    assert run.manifest["knee"]["high"] is None
    assert words.count("knee        ") == 1
