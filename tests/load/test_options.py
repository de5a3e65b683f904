from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from amply_capacity.errors import BadInput
from amply_capacity.load.options import Options, add_options, read_options


def _read(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_options(parser.parse_args(arguments))


def test_the_defaults_are_a_closed_loop_on_a_cluster_of_its_own() -> None:
    options = _read()
    assert (options.target, options.arrivals, options.rate, options.prefill) == (None, "closed", None, 1.0)
    assert options.demand.name == "demand.example.toml"
    assert options.timeout_seconds == 5.0


def test_every_option_is_read_in_its_unit() -> None:
    options = _read(
        "--target",
        "test",
        "--arrivals",
        "poisson",
        "--rate",
        "250",
        "--mix",
        "validate=3,touch=1",
        "--compute-delay-ms",
        "40",
        "--timeout-ms",
        "100",
        "--run-dir",
        "/tmp/run",
        "--seed",
        "7",
        "--population",
        "300",
        "--prefill",
        "0.5",
    )
    assert options.target == "test"
    assert options.mix == {"validate": 3, "touch": 1}
    assert (options.compute_seconds, options.timeout_seconds) == (0.04, 0.1)
    closed = _read("--maxmemory", "64mb", "--think-time-ms", "5")
    assert (closed.maxmemory_bytes, closed.think_time_seconds) == (64 * 2**20, 0.005)
    assert (options.run_dir, options.seed, options.users, options.prefill) == (Path("/tmp/run"), 7, 300, 0.5)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadInput) as failure:
        _read(
            "--arrivals",
            "poison",
            "--rate",
            "-1",
            "--prefill",
            "2",
            "--population",
            "0",
            "--think-time-ms",
            "-1",
            "--compute-delay-ms",
            "nan",
            "--timeout-ms",
            "0",
            "--node-type",
            "cache.t3.mikro",
            "--maxmemory",
            "x",
            "--mix",
            "valdate=1",
        )
    text = str(failure.value)
    for fault in (
        "--arrivals poison",
        "--rate -1",
        "--prefill 2",
        "--population 0",
        "--think-time-ms -1",
        "--compute-delay-ms nan",
        "--timeout-ms 0",
        "cache.t3.micro",
        "--maxmemory: 'x'",
        "use validate",
    ):
        assert fault in text
    assert "Do: correct them" in text


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--rate", "5"], "--rate needs --arrivals"),
        (["--target", "test", "--maxmemory", "64mb", "--node-type", "cache.t3.micro"],
         "--node-type, --maxmemory describe a cluster started for the run, --target another"),
        (["--arrivals", "poisson", "--rate", "5", "--think-time-ms", "5"],
         "--think-time-ms is for a closed loop"),
        (["--knee", "--think-time-ms", "5"], "--think-time-ms is for a closed loop"),
        (["--arrivals", "poisson"], "--arrivals poisson needs --rate"),
        (["--arrivals", "constant", "--rate", "nan"], "--rate nan"),
        (["--arrivals", "constant", "--rate", "inf"], "--rate inf"),
        (["--prefill", "nan"], "--prefill nan"),
    ],
)
def test_a_rate_and_a_schedule_come_together_and_numbers_are_numbers(
    arguments: list[str], fault: str
) -> None:
    with pytest.raises(BadInput, match=fault):
        _read(*arguments)


def test_a_pool_goes_with_an_open_loop_of_any_kind() -> None:
    assert _read().pool_size is None
    assert _read("--pool-size", "20", "--arrivals", "day", "--rate", "5").pool_size == 20
    assert _read("--pool-size", "20", "--knee").pool_size == 20, "a search has a rate of its own"


def test_all_faults_of_a_pool_are_told_at_once() -> None:
    with pytest.raises(BadInput) as failure:
        _read("--pool-size", "0", "--topology", "sharded", "--prefill", "2")
    text = str(failure.value)
    for fault in ("--pool-size 0 is less than 1", "--pool-size needs starts that do not wait for replies",
                  "--pool-size is for one primary", "--prefill 2"):
        assert fault in text


def test_reading_options_does_not_load_locust() -> None:
    """Importing locust patches the process' sockets, which only a load generator wants."""
    program = "import sys, amply_capacity.load.options; sys.exit('gevent' in sys.modules)"
    # A measured process would bring coverage's own imports.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environment)
    assert done.returncode == 0
