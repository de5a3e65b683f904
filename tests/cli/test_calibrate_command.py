"""`amply-capacity calibrate`: from a run or a benchmark of a node to a narrower factor."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.plan import calibrations
from amply_capacity.run import reader

CSV = ('"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms"\n'
       '"SET","{0}","0.300","0.100","0.300"\n"GET","{0}","0.300","0.100","0.300"\n')
COMMAND = "redis-benchmark -c 50 -d 3 -t set,get --csv\n"
has_benchmark = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="no redis-benchmark")


def info(cpu_s: float, commands: int, version: str = "7.0.15") -> str:
    return (f"redis_version:{version}\nused_cpu_sys:{cpu_s}\nused_cpu_user:0.0\n"
            f"total_commands_processed:{commands}\n")


def clocked(cpu_us: float, rate: float = 90_000.0, version: str = "7.0.15") -> str:
    """A benchmark with two INFO that say so much CPU per command."""
    return info(0.0, 0, version) + COMMAND + CSV.format(rate) + info(cpu_us * 0.2, 200_000, version)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "calibrations"
    monkeypatch.setattr(calibrations, "CALIBRATIONS_DIR", directory)
    monkeypatch.setattr(reader, "RUNS_DIR", tmp_path / "runs")
    return directory


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, text: str) -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return make


@pytest.fixture
def copied_run(tmp_path: Path) -> Callable[..., Path]:
    """The example run under another name, with so many times its CPU, and its manifest changed."""

    def make(name: str, cpu: float = 1.0, target: dict[str, Any] | None = None, **manifest: Any) -> Path:
        directory = tmp_path / "runs" / name
        shutil.copytree(EXAMPLE_RUN, directory)
        content = json.loads((directory / "run.json").read_text())
        content |= {"run": name, **manifest, "target": {**content["target"], **(target or {})}}
        (directory / "run.json").write_text(json.dumps(content))
        table = directory / "server.parquet"
        server = pd.read_parquet(table)
        for column in ("info_used_cpu_sys", "info_used_cpu_user"):
            server[column] *= cpu
        server.to_parquet(table)
        return directory

    return make


NODE = {"kind": "endpoint", "url": "redis://node.internal:6379"}


def test_the_answer_has_the_keys_of_the_contract_and_is_stored(
        amply: Callable, copied_run: Callable, store: Path) -> None:
    copied_run("host")
    found = amply("calibrate", copied_run("node", 1.3, NODE), "--node-type", "cache.t3.micro", "--json").json
    assert set(found) >= {"node_type", "family", "observation", "censored", "prior", "posterior", "families",
                          "stored", "notes", "published_gains"}
    assert (found["node_type"], found["family"], found["censored"]) == ("cache.t3.micro", "t3", False)
    assert found["observation"]["factor"] == pytest.approx(1.3, rel=1e-3)
    before, after = found["prior"], found["posterior"]
    assert before["low"] < after["low"] < after["mid"] < after["high"] < before["high"]
    for row in found["families"]:
        assert row["posterior"]["high"] / row["posterior"]["low"] < row["prior"]["high"] / row["prior"]["low"]
    assert found["stored"] == str(store / "calibrations.jsonl")
    line = json.loads((store / "calibrations.jsonl").read_text())
    assert line["inputs_sha256"] == found["observation"]["inputs_sha256"]
    assert line["host"] == "x86_64, 2 cores", "as the host's run says"


def test_a_second_observation_starts_from_the_first(amply: Callable, copied_run: Callable) -> None:
    host = copied_run("host")
    first = amply("calibrate", copied_run("node", 1.3, NODE), "--node-type", "cache.t3.micro", "--json").json
    second = amply("calibrate", copied_run("other", 1.2, NODE), "--node-type", "cache.r7g.large",
                   "--host-run", host, "--json").json
    of_t3 = next(row for row in second["families"] if row["family"] == "t3")
    assert of_t3["before"] == first["posterior"]
    assert second["earlier_calibrations"] == 1


def test_a_dry_run_stores_nothing_and_a_person_reads_a_table(
        amply: Callable, copied_run: Callable, store: Path) -> None:
    copied_run("host")
    answer = amply("calibrate", copied_run("node", 1.3, NODE), "--node-type", "cache.r7g.xlarge", "--dry-run")
    assert answer.code == 0
    assert not store.exists()
    for words in ("cache.r7g.xlarge: a command takes ", "observed: it costs 1.3 times", "not stored",
                  "published, and not in these factors: enhanced I/O", "up to 83 % more throughput",
                  "t4g     ", "guess, against the recording host"):
        assert words in answer.out, words


def test_a_run_counted_twice_is_refused(amply: Callable, copied_run: Callable, store: Path) -> None:
    copied_run("host")
    node = copied_run("node", 1.3, NODE)
    assert amply("calibrate", node, "--node-type", "cache.t3.micro").code == 0
    amply("calibrate", node, "--node-type", "cache.t3.micro").assert_refused("counted before")
    assert len((store / "calibrations.jsonl").read_text().splitlines()) == 1


def test_without_a_run_of_this_host_the_command_to_record_one_is_named(
        amply: Callable, copied_run: Callable) -> None:
    node = copied_run("node", 1.3, NODE)
    copied_run("other", scenario="sessions")
    copied_run("cut", verdict="partial")
    amply("calibrate", node, "--node-type", "cache.t3.micro").assert_refused(
        "no run of this host", "0 sound local runs of mixed", "1,522 commands a second",
        "locust -f loadtests/mixed.py --headless -u 50 -r 50 -t 59s --arrivals poisson --rate 1002 "
        "--population 25000")


def test_another_engine_version_is_refused_with_the_reason(amply: Callable, copied_run: Callable) -> None:
    server = {"engine": "redis", "version": "7.2.4", "allocator": "jemalloc-5.3.0"}
    copied_run("host")
    amply("calibrate", copied_run("node", 1.3, NODE, server=server), "--node-type", "cache.t3.micro",
          ).assert_refused("redis 7.2.4 on the node and redis 7.0.15 on the host", "another version")


def test_what_is_no_run_of_a_node_is_refused(amply: Callable, tmp_path: Path, copied_run: Callable) -> None:
    options = ("--node-type", "cache.t3.micro")
    amply("calibrate", EXAMPLE_RUN, *options).assert_refused("tells of this host, not of a node")
    amply("calibrate", tmp_path / "none", *options).assert_refused("there is no such run")
    amply("calibrate", copied_run("node", 1.3, NODE), "--node-type", "cache.t3.macro").assert_refused(
        "cache.t3.micro")
    amply("calibrate", EXAMPLE_RUN, *options, "--clients", 5, "--engine-version", "7.0").assert_refused(
        "--clients, --engine-version")


def test_a_generator_bound_run_only_says_at_least_this_fast(amply: Callable, copied_run: Callable) -> None:
    copied_run("host")
    node = copied_run("node", 1.9, NODE, verdict="generator-bound")
    options = ("calibrate", node, "--node-type", "cache.t3.micro", "--dry-run", "--json")
    censored, exact = amply(*options).json, amply(*options, "--node-was-limit").json
    assert censored["censored"]
    assert not exact["censored"]
    assert censored["posterior"]["mid"] < censored["prior"]["mid"] < exact["posterior"]["mid"]
    assert "censored" in amply(*options[:-1]).out


def test_two_benchmarks_with_clocks_are_compared_by_them(amply: Callable, write: Callable) -> None:
    node, host = write("node.txt", clocked(5.2, version="7.0.7")), write("host.txt", clocked(4.0))
    found = amply("calibrate", node, "--node-type", "cache.t3.micro", "--host-benchmark", host, "--json").json
    assert found["observation"]["factor"] == pytest.approx(1.3)
    assert found["observation"]["server"] == "redis 7.0.7"
    assert found["observation"]["host"] is None, "a file does not say on which host it was made"
    assert not found["censored"]


def test_a_benchmark_without_proof_of_its_limit_is_censored_unless_the_user_says(
        amply: Callable, write: Callable) -> None:
    host = write("host.txt", clocked(8.0))
    node = write("node.txt", COMMAND + CSV.format(90_000.0))
    options = ("calibrate", node, "--node-type", "cache.t3.micro", "--host-benchmark", host, "--dry-run",
               "--json", "--engine-version", "7.0.7")
    censored, exact = amply(*options).json, amply(*options, "--node-was-limit").json
    assert censored["censored"]
    assert any("--node-was-limit" in note for note in censored["notes"])
    assert not exact["censored"]
    assert censored["posterior"]["high"] <= censored["prior"]["high"]
    assert exact["posterior"]["high"] - exact["posterior"]["low"] < (
        censored["posterior"]["high"] - censored["posterior"]["low"])


def test_a_pipelined_benchmark_and_another_version_are_refused(amply: Callable, write: Callable) -> None:
    options = ("--node-type", "cache.t3.micro")
    pipelined = write("p.txt", '"test","rps","avg_latency_ms"\n"GET","1000000.00","0.129"\n')
    amply("calibrate", pipelined, *options).assert_refused("pipelined", "Little's law", "without -P")
    other = write("node.txt", clocked(5.2, version="7.2.4"))
    amply("calibrate", other, *options).assert_refused("another engine version", "redis 7.2.4 on the node")
    amply("calibrate", other, *options, "--host-benchmark", write("host.txt", clocked(4.0))).assert_refused(
        "redis 7.2.4 on the node and redis 7.0.15 on the host")
    plain = write("plain.txt", CSV.format(90_000.0))
    amply("calibrate", plain, *options, "--engine-version", "valkey-8.0").assert_refused("valkey 8.0")
    amply("calibrate", plain, *options, "--engine-version", "new").assert_refused("no engine version")


def test_options_that_contradict_the_file_are_refused(amply: Callable, write: Callable) -> None:
    node = write("node.txt", clocked(5.2))
    options = ("calibrate", node, "--node-type", "cache.t3.micro")
    amply(*options, "--clients", 20).assert_refused("names its clients itself", "50")
    amply(*options, "--engine-version", "7.0.7").assert_refused("names the engine's version itself")
    amply(*options, "--host-run", "x").assert_refused("not compared with a run")
    tls = write("tls.txt", COMMAND.replace("--csv", "--tls --csv") + CSV.format(90_000.0))
    amply("calibrate", tls, "--node-type", "cache.t3.micro").assert_refused("with TLS")
    own = write("own.txt", "get key:1: 90000.00 requests per second, p50=0.3 msec\n")
    amply("calibrate", own, "--node-type", "cache.t3.micro").assert_refused("get key:1", "--host-benchmark")


def test_without_redis_benchmark_the_way_to_the_file_is_named(
        amply: Callable, write: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amply_capacity.target.benchmark._PROGRAMS", ("no-such-benchmark",))
    amply("calibrate", write("node.txt", COMMAND + CSV.format(90_000.0)), "--node-type", "cache.t3.micro",
          ).assert_refused("there is no redis-benchmark",
                           "redis-benchmark -c 50 -d 3 -n 100000 -t set,get --csv")


def test_a_damaged_store_is_refused_before_anything_is_measured(
        amply: Callable, write: Callable, store: Path) -> None:
    store.mkdir()
    (store / "calibrations.jsonl").write_text("{}\n")
    amply("calibrate", write("node.txt", clocked(5.2)), "--node-type", "cache.t3.micro").assert_refused(
        "stored calibrations cannot be read", "line 1")


@has_benchmark
def test_a_server_of_this_host_benchmarked_as_a_node_costs_what_the_host_costs(
        amply: Callable, write: Callable, plain_redis: Callable) -> None:
    port = plain_redis()

    def info_text() -> str:
        command = ["redis-cli", "-p", str(port), "INFO"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    command = ["redis-benchmark", "-p", str(port), "-c", "20", "-n", "30000", "-t", "set,get", "--csv"]
    before = info_text()
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    file = write("node.txt", "\n".join([before, " ".join(command), out, info_text()]))
    answer = amply("calibrate", file, "--node-type", "cache.t3.micro", "--json", "--dry-run")
    assert answer.code == 0, answer.err
    assert "redis-benchmark on this host, tests  2 done" in answer.err
    found = answer.json
    assert not found["censored"]
    assert 0.4 < found["observation"]["factor"] < 2.5, "the same machine, but others use it too"
    assert found["posterior"]["mid"] < found["prior"]["mid"] or found["observation"]["factor"] > 1.0


@has_benchmark
def test_a_benchmark_that_fails_here_is_said_so(
        amply: Callable, write: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amply_capacity.target.benchmark._PROGRAMS", ("false",))
    amply("calibrate", write("node.txt", COMMAND + CSV.format(90_000.0)), "--node-type", "cache.t3.micro",
          ).err.index("redis-benchmark failed on this host")
