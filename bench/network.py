"""Bytes of RESP predicted for a mix and a rate, then counted by a real server.

A run says what each operation costs; the operations to come are drawn from the seed, so that chance in the
mix is no error of the model. Measured is the server's own count, less what reads it.
Developed on seeds 11 to 91 and on other weights; seeds 20,781 to 20,787, 24,781 to 24,797, 25,791 to
25,797, 26,791 to 26,797, 27,791 to 27,797 and 28,791 to 28,797 are used up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from amply_capacity.interval import Interval
from amply_capacity.model.network import NetworkCosts, mix_bytes, network_costs
from amply_capacity.model.renewal import renewals_within, zipf_shares
from amply_capacity.model.resp import bulk_bytes, command_bytes
from amply_capacity.run.reader import Run, read_run
from amply_capacity.target import cluster as clusters
from amply_capacity.traffic.cache import CACHE_TTL_SECONDS
from amply_capacity.traffic.mix import DEFAULT_MIX, Mix, format_mix
from amply_capacity.traffic.rate_limit import WINDOW_SECONDS
from bench.claim import Claim, Experiment
from bench.rig import SCENARIOS
from bench.server import Wire

__all__ = ["experiments"]

_ALLOWED = 0.005
_HALF_A_SECOND = 0.5
_BEFORE_ERROR_S = 1.5
"""What the time from the pre-fill to the load may differ by from one start to the next, 90 %: a guess."""
_CLIENTS = 20
_USERS = 100_000
_INFO = ("INFO", "everything")
_READING_SECONDS = 0.1
_NOT_OURS = ("info", "config", "client", "command")
_LONGEST_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class _Load:
    """So many operations, equally spaced: how long they take, and so how many windows and entries end
    meanwhile, is no matter of how fast the host is."""

    mix: Mapping[str, int]
    seed: int
    operations: int
    per_second: int

    @property
    def seconds(self) -> float:
        return self.operations / self.per_second

    def drawn(self) -> Mapping[str, int]:
        """How often each operation will be played: every client draws from a seed of its own."""
        names = [name for name, weight in self.mix.items() for _ in range(weight)]
        counts: Counter[str] = Counter()
        for client in range(_CLIENTS):
            random = Random(f"{self.seed}/{client}")
            random.random()  # its place in the schedule
            quota = self.operations // _CLIENTS + (client < self.operations % _CLIENTS)
            counts.update(names[int(random.random() * len(names))] for _ in range(quota))
        return counts


@dataclass(frozen=True, slots=True)
class _Case:
    words: str
    recorded: _Load
    foretold: _Load
    is_judged: bool = True


_DEFAULT: Mix = dict(DEFAULT_MIX)
# Few log-outs, and no listing to speak of: what these leave behind in a test of seconds is chance, of which a
# popular user who was logged out, or was listed before, has much.
_PLAIN: Mix = {"validate": 430, "check": 300, "touch": 120, "create": 40, "log_out": 8, "list_active": 2,
               "store_result": 50, "get_result": 50}
_BUSY: Mix = {"validate": 318, "check": 560, "touch": 60, "create": 16, "log_out": 4, "list_active": 2,
              "store_result": 20, "get_result": 20}
_QUIET: Mix = {"validate": 640, "check": 90, "touch": 180, "create": 60, "log_out": 8, "list_active": 2,
               "store_result": 10, "get_result": 10}
_CACHED: Mix = {"cached_read": 700, "validate": 300}

_CASES = (
    # As many operations: each log-out leaves more to miss for all that come after it.
    _Case("default mix, 3 times the rate", _Load(_DEFAULT, 29_791, 60_000, 1_500),
          _Load(_DEFAULT, 29_791, 60_000, 4_500)),
    _Case("limits mostly, another population", _Load(_PLAIN, 29_792, 24_000, 1_600),
          _Load(_BUSY, 29_793, 24_000, 2_000)),
    _Case("sessions mostly, another population", _Load(_PLAIN, 29_794, 24_000, 1_600),
          _Load(_QUIET, 29_795, 24_000, 1_300)),
    _Case("cached reads, another population", _Load(_CACHED, 29_796, 12_000, 2_000),
          _Load(_CACHED, 29_797, 12_000, 2_000), is_judged=False),
)


def experiments() -> list[Experiment]:
    return [_experiment(case) for case in _CASES]


def _experiment(case: _Case) -> Experiment:
    bytes_in, bytes_out = _foretold(case)
    allowed = _ALLOWED if case.is_judged else None
    claims = [Claim("network bytes in", case.words, "B", bytes_in, allowed),
              Claim("network bytes out", case.words, "B", bytes_out, allowed)]
    return Experiment(claims, lambda: _measured(case.foretold), asdict(case))


def _foretold(case: _Case) -> tuple[Interval, Interval]:
    with tempfile.TemporaryDirectory() as scratch:
        run = read_run(_recorded(case.recorded, Path(scratch) / "run"))
        costs = _at_the_rate(network_costs(run), run, case.foretold)
    seconds = case.foretold.seconds
    rates = {name: count / seconds for name, count in case.foretold.drawn().items()}
    bytes_in, bytes_out = mix_bytes(costs, rates, seconds=seconds,
                                    another_population=case.recorded.seed != case.foretold.seed)
    return bytes_in.scaled(seconds), bytes_out.scaled(seconds)


def _at_the_rate(costs: NetworkCosts, run: Run, load: _Load) -> NetworkCosts:
    """Windows opened and values computed per operation follow from the rate, not from the run's.

    What is left of a TTL was written in whole seconds from 1, half a second more than evenly on average; and
    a host that is slower or faster pre-fills earlier or later.
    """
    population, counts = run.manifest["population"], load.drawn()
    events = run.events[run.events["kind"] == "phase"]
    began_s = float(events.loc[events["name"] == "measured", "time_s"].iloc[0])
    written_at_s = {one["name"]: one["written_at_s"] for one in run.manifest["prefill"]["classes"]}
    for operation, command, keys, zipf, ttl_s, filled in (
            ("check", "EXPIRE", "api_keys", "api_key_zipf", WINDOW_SECONDS, "counters"),
            ("cached_read", "miss", "organisations", "organisation_zipf", CACHE_TTL_SECONDS, "cached")):
        if counts.get(operation):
            shares = zipf_shares(population[keys], population[zipf])
            before_s = began_s - written_at_s[filled] - _HALF_A_SECOND
            each = [renewals_within(counts[operation] / load.seconds, shares, ttl_s, load.seconds,
                                    max(moment, 0.0)) / counts[operation]
                    for moment in (before_s - _BEFORE_ERROR_S, before_s, before_s + _BEFORE_ERROR_S)]
            costs = costs.restated(operation, **{command: Interval(*each)})
    return costs


def _recorded(load: _Load, directory: Path, target: str | None = None) -> Path:
    command = [sys.executable, "-m", "locust", "-f", str(SCENARIOS / "mixed.py"), "--headless", "-u",
               str(_CLIENTS), "-r", str(_CLIENTS), "--only-summary", "--population", str(_USERS),
               "--seed", str(load.seed), "--iterations", str(load.operations), "--arrivals", "constant",
               "--rate", str(load.per_second), "--mix", format_mix(load.mix), "--run-dir", str(directory)]
    command += ["--target", target] if target else ["--maxmemory", "1gb"]
    subprocess.run(command, check=False, timeout=_LONGEST_SECONDS, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return directory


def _measured(load: _Load) -> tuple[float, float]:
    """What the server counted for the load's own commands."""
    with (clusters.throw_away(maxmemory_bytes=2**30) as cluster, Wire(cluster.port) as wire,
          tempfile.TemporaryDirectory() as scratch):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from bench import network as n; "
             f"n._recorded(n._Load({dict(load.mix)!r}, {load.seed}, {load.operations}, {load.per_second}), "
             f"n.Path({str(Path(scratch) / 'run')!r}), {cluster.name!r})"])
        readings = []
        while process.poll() is None:
            readings.append(_Reading.of(wire.ask([_INFO])[0]))
            time.sleep(_READING_SECONDS)
    return _own_bytes(readings)


@dataclass(frozen=True, slots=True)
class _Reading:
    bytes_in: int
    bytes_out: int
    reply_bytes: int
    infos: int
    calls: int
    """Of the application's commands."""
    others: int

    @classmethod
    def of(cls, text: bytes) -> _Reading:
        pairs = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        calls = {name.removeprefix("cmdstat_"): int(value.split("calls=")[1].split(",")[0])
                 for name, value in pairs.items() if name.startswith("cmdstat_")}
        ours = {"get", "setex", "ttl", "incr", "expire", "sadd", "srem", "smembers", "del", "multi", "exec",
                "publish"}
        return cls(int(pairs["total_net_input_bytes"]), int(pairs["total_net_output_bytes"]),
                   bulk_bytes(len(text)), calls.get("info", 0),
                   sum(count for name, count in calls.items() if name in ours),
                   sum(count for name, count in calls.items() if name not in ours | {"info"}))


def _own_bytes(readings: list[_Reading]) -> tuple[float, float]:
    """From the reset of the statistics, which begins the load, to its last command, all INFO left out."""
    began = max(place for place in range(1, len(readings))
                if readings[place].bytes_in < readings[place - 1].bytes_in)
    load = readings[began:]
    last = max(load, key=lambda one: (one.calls, -one.others, one.infos))
    until = load[:load.index(last) + 1]
    asked = command_bytes(_INFO) * (last.infos + 1)  # this one is not among the calls yet, but was read
    # Those of the sampler had the length of ours about then.
    answered = last.infos * sum(one.reply_bytes for one in until) / len(until)
    return float(last.bytes_in - asked), float(last.bytes_out - answered)
