"""`amply-capacity predict throughput`: the answer on the recording that ships, and clear refusals."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model import latency_curve

pytestmark = pytest.mark.xdist_group("throughput answer")

ASK = ("predict", "throughput", EXAMPLE_RUN)
MICRO = ("--node-type", "cache.t3.micro")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's own tests hold its intervals."""
    monkeypatch.setattr(latency_curve, "KNEE_DRAWS", 2)
    monkeypatch.setattr(latency_curve, "_DRAWS", 2)


@pytest.fixture
def changed_run(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the example run with other words in its manifest."""

    def change(**manifest: Any) -> Path:
        copied = tmp_path / "run"
        shutil.copytree(EXAMPLE_RUN, copied)
        file = copied / "run.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | manifest))
        return copied

    return change


def test_json_has_what_scripts_rely_on(amply: Callable, demand: Path) -> None:
    answer = amply(*ASK, "--p99-ms", "5", "--demand", demand, *MICRO, "--json")
    assert answer.code == 0, answer
    found = answer.json
    assert set(found) >= {
        "operations_per_second", "commands_per_second", "low", "high", "confidence", "p99_ms",
        "gives_out_first", "saturation_operations_per_second", "measured_knee", "cpu_us_per_command",
        "curve", "runs", "notes", "nodes", "months", "connections", "surcharges", "calibrations"}
    assert found["low"] <= found["operations_per_second"] <= found["high"]
    assert set(found["p99_ms"].values()) == {5.0}, "what is given goes before the demand's"
    (node,) = found["nodes"]
    assert set(node) >= {"node_type", "binding", "low", "mid", "high", "limits", "silent_throttling"}
    assert {row["node_type"] for row in found["months"]} == {"cache.t3.micro"}
    assert set(found["months"][0]) >= {"month", "node_type", "binding", "headroom_percent"}


def test_a_run_beside_tells_what_its_difference_costs(amply: Callable, changed_run: Callable) -> None:
    target = json.loads((EXAMPLE_RUN / "run.json").read_text())["target"]
    encrypted = changed_run(target=target | {"tls": True}, run="encrypted")
    asked = (*ASK, "--p99-ms", "5", *MICRO, "--beside", encrypted)
    (found,) = amply(*asked, "--json").json["surcharges"]
    assert (found["what"], found["run"]) == ("TLS", "encrypted")
    for one in (found["us_per_round"], found["percent"]):
        assert one["low"] < 0.0 < one["high"], "the same seconds cost the same"
        assert one["low"] <= one["mid"] <= one["high"]
    assert re.search(r"^TLS: [+-][\d.]+ µs a round trip", amply(*asked).out, re.MULTILINE)


def test_a_run_beside_that_differs_in_nothing_is_refused(amply: Callable) -> None:
    answer = amply(*ASK, "--p99-ms", "5", *MICRO, "--beside", EXAMPLE_RUN)
    refusal = replace(answer, err=answer.err.splitlines()[-1])  # what comes before it is progress
    refusal.assert_refused("is like the others", "no TLS", "--topology replicated")


def test_people_get_tables_and_progress_apart(amply: Callable) -> None:
    answer = amply(*ASK, "--p99-ms", "5", *MICRO, "--node-type", "cache.m7g.large")
    assert answer.code == 0
    assert "operations a second" in answer.out.splitlines()[0]
    assert "within a p99 of 5 ms" in answer.out
    for word in ("GET", "CPU µs", "p99.9 ms", "cache.t3.micro", "CPU credits", "cache.m7g.large",
                 "no alarm of the specification fires"):
        assert word in answer.out, word
    assert "simulating" in answer.err
    assert "simulating" not in answer.out


@pytest.mark.parametrize(("options", "words"), [
    ((), ("neither --p99-ms nor --demand",)),
    (("--p99-ms", "5", "--node-type", "cache.t3.mikro"), ("--node-type cache.t3.mikro is unknown",)),
    (("--p99-ms", "-1"), ("--p99-ms -1",)),
    (("--p99-ms", "nan"), ("--p99-ms nan",)),
    (("--node-type", "no", "--node-type", "cache.no"),
     ("neither --p99-ms nor --demand", "--node-type no is", "--node-type cache.no is")),
])
def test_every_fault_of_the_options_is_named_at_once(
        amply: Callable, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    amply(*ASK, *options).assert_refused(*words)


def test_a_p99_below_what_the_host_does_alone_is_refused(amply: Callable) -> None:
    answer = amply(*ASK, "--p99-ms", "0.05", *MICRO)
    answer.assert_refused("no rate can be told", "not the server", "--p99-ms")


def test_a_generator_bound_run_is_refused_with_the_command_to_record_instead(
        amply: Callable, changed_run: Callable) -> None:
    run = changed_run(verdict="generator-bound", verdict_reason="the generator's CPU was full")
    answer = amply("predict", "throughput", run, "--p99-ms", "5")
    answer.assert_refused("bound by its generator", "the generator's CPU was full")
    assert_locust(answer.err)


def test_a_closed_loop_is_refused_with_the_command_to_record_instead(
        amply: Callable, changed_run: Callable) -> None:
    answer = amply("predict", "throughput", changed_run(arrivals="closed", rate_per_second=None),
                   "--p99-ms", "5")
    answer.assert_refused("closed loop")
    assert_locust(answer.err)


def assert_locust(words: str) -> None:
    command = shlex.split(words.split("`")[1])
    assert command[:3] == ["locust", "-f", "loadtests/mixed.py"]
    assert command[command.index("--arrivals") + 1] == "poisson"
    assert float(command[command.index("--rate") + 1]) > 0.0


def test_runs_and_demands_that_are_none_are_refused(amply: Callable, tmp_path: Path) -> None:
    amply("predict", "throughput", tmp_path / "none", "--p99-ms", "5").assert_refused("no such run")
    amply(*ASK, "--demand", tmp_path / "none.toml").assert_refused("none.toml")
