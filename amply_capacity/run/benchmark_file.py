"""What `redis-benchmark` or `valkey-benchmark` printed, in any of its three forms.

The long report, the lines of `-q`, and `--csv`. What the output leaves out may stand beside it in the same
file: the command that was given (a line with `redis-benchmark …` in it, as a shell shows it), and INFO of the
server (`redis-cli INFO`), pasted before and after: two of them tell the server's own CPU per command.
Passwords of a command line are not kept. The forms are those of redis-benchmark 7.0.15; older ones, without
latencies in `-q` and without a header in `--csv`, are read too.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from amply_capacity.errors import BadInput
from amply_capacity.run.text_file import Faults, blocks_of

__all__ = ["PIPELINED", "Benchmark", "BenchmarkTest", "parse_benchmark", "read_benchmark"]

PIPELINED = 1.6
"""Requests in flight for each client from which on they were pipelined. One at a time, it is 1 at most."""
DEFAULT_CLIENTS, DEFAULT_PAYLOAD_BYTES = 50, 3
"""redis-benchmark's own."""
_MOST_LINE_BYTES = 1 << 20
_DO = "give the output of redis-benchmark: its report, or that of -q or --csv"
_INFO = re.compile(r"^(redis_version|valkey_version|used_cpu_sys|used_cpu_user|total_commands_processed)"
                   r":(\S+)\s*$")
_COMMAND = re.compile(r"(?:^|[\s/$#>])(?:redis|valkey)-benchmark\s+(?=-)(.*)$")
_QUIET = re.compile(r"^\s*(.+): (-?[\d.]+|-?nan|-?inf) requests per second(?:, p50=([\d.]+) msec)?\s*$")
_REPORT = re.compile(r"^\s*====== (.+) ======\s*$")
_SUMMARY = re.compile(r"^\s*(?:throughput summary: )?(-?[\d.]+|-?nan|-?inf) requests per second\s*$")
_FACTS = {"clients": re.compile(r"^\s*(\d+) parallel clients\s*$"),
          "payload_bytes": re.compile(r"^\s*(\d+) bytes payload\s*$"),
          "requests": re.compile(r"^\s*(\d+) requests completed in"),
          "keep_alive": re.compile(r"^\s*keep alive: (\d)\s*$")}
_OPTIONS = {"-c": "clients", "-d": "payload_bytes", "-n": "requests", "-P": "pipeline", "-r": "keyspace",
            "-k": "keep_alive"}


@dataclass(frozen=True, slots=True)
class BenchmarkTest:
    """One test: its rate and its latencies; None where the form has none."""

    name: str
    requests_per_second: float
    mean_ms: float | None = None
    min_ms: float | None = None
    p50_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One output; None is what it does not say."""

    name: str
    tests: tuple[BenchmarkTest, ...]
    clients: int | None = None
    payload_bytes: int | None = None
    requests: int | None = None
    keyspace: int | None = None
    pipeline: int | None = None
    keep_alive: int | None = None
    tls: bool | None = None
    engine: str | None = None
    version: str | None = None
    cpu_us_per_command: float | None = None
    """The server's own CPU clock, between the first and the last pasted INFO."""
    sha256: str = field(default="", repr=False)

    def in_flight_per_client(self, test: BenchmarkTest) -> float | None:
        """Requests on their way for each client, mean: Little's law, rate × mean latency / clients.

        The median latency stands in where the form has no mean. Clients that are not stated are 50. None
        without a latency.
        """
        latency_ms = test.mean_ms if test.mean_ms is not None else test.p50_ms
        if latency_ms is None:
            return None
        return test.requests_per_second * latency_ms / 1000.0 / (self.clients or DEFAULT_CLIENTS)

    def us_per_request(self, names: Iterable[str]) -> float:
        """Mean time from one request to the next over those tests, µs."""
        wanted = set(names)
        each = [1e6 / test.requests_per_second for test in self.tests if test.name in wanted]
        return sum(each) / len(each)

    def need_single_requests(self) -> None:
        """Raise BadInput where requests were pipelined, or every one had a connection of its own."""
        again = "run it again without -P, and with -k 1"
        if self.keep_alive == 0:
            raise BadInput(f"{self.name} tells of connections, not of commands",
                           got="keep alive: 0, a new connection for every request", do=again)
        if (self.pipeline or 1) > 1:
            raise BadInput(f"{self.name} was pipelined, so its commands cost less than an application's",
                           got=f"-P {self.pipeline}", do=again)
        for test in self.tests:
            in_flight = self.in_flight_per_client(test)
            if in_flight is not None and in_flight >= PIPELINED:
                clients = self.clients or DEFAULT_CLIENTS
                unsaid = "" if self.clients else ", redis-benchmark's default, since the output names none"
                raise BadInput(
                    f"{self.name} was pipelined, so its commands cost less than an application's",
                    got=f"{test.name}: {test.requests_per_second:,.0f} requests a second of "
                    f"{test.mean_ms if test.mean_ms is not None else test.p50_ms:g} ms each are "
                    f"{in_flight * clients:,.0f} at a time (Little's law) from {clients} clients{unsaid}",
                    do=again + ("" if self.clients else ", or say how many there were with --clients"))


def read_benchmark(path: Path) -> Benchmark:
    """The benchmark in that file. Raises BadInput with all faults for one that says nothing."""
    faults = Faults(path, "benchmark")
    text = b"".join(block.text for block in blocks_of(
        path, faults, longest_line_bytes=_MOST_LINE_BYTES, do=_DO))
    if faults:
        faults.fail()
    return parse_benchmark(text.decode(errors="replace"), str(path))


def parse_benchmark(text: str, name: str) -> Benchmark:
    """The benchmark of that output; `name` is what errors call it. Raises BadInput with all faults."""
    reading = _Reading()
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        for part in line.split("\r"):  # -q paints its progress over the line
            reading.line(number, part)
    reading.end_report()
    cpu_us = reading.cpu_us_per_command()
    if not reading.tests and not reading.faults:
        reading.faults.append("no line with requests per second")
    if reading.faults:
        raise BadInput(f"{name} is no output of redis-benchmark", got="; ".join(reading.faults[:10]), do=_DO)
    numbers, (engine, version) = reading.numbers, reading.server
    return Benchmark(
        name, tuple(reading.tests), numbers.get("clients"), numbers.get("payload_bytes"),
        numbers.get("requests"), numbers.get("keyspace"), numbers.get("pipeline"), numbers.get("keep_alive"),
        reading.tls, engine, version, cpu_us, hashlib.sha256(text.encode()).hexdigest())


class _Reading:
    """The lines so far."""

    def __init__(self) -> None:
        self.tests: list[BenchmarkTest] = []
        self.numbers: dict[str, int] = {}
        self.tls: bool | None = None
        self.server: tuple[str | None, str | None] = (None, None)
        self.faults: list[str] = []
        self._columns: list[str] | None = None
        self._report: tuple[int, str] | None = None
        self._rate: float | None = None
        self._latencies: list[str] | None = None
        self._clocks: list[dict[str, float]] = [{}]

    def line(self, number: int, text: str) -> None:
        if info := _INFO.match(text):
            self._info(number, info[1], info[2])
        elif text.startswith('"'):
            self._csv(number, next(csv.reader([text])))
        elif command := _COMMAND.search(text):
            self._command(number, command[1])
        elif header := _REPORT.match(text):
            self.end_report()
            self._report, self._rate, self._latencies = (number, header[1]), None, None
        elif self._report is not None:
            self._report_line(number, text)
        elif quiet := _QUIET.match(text):
            self._test(number, quiet[1], quiet[2], p50_ms=quiet[3])

    def end_report(self) -> None:
        """A report is whole when its throughput was there."""
        if self._report is not None and self._rate is None:
            self.faults.append(f"line {self._report[0]}: the report of {self._report[1]} has no throughput")
        self._report = None

    def cpu_us_per_command(self) -> float | None:
        """Of the first and the last INFO that tell CPU and commands; None without two that differ."""
        whole = [clock for clock in self._clocks if len(clock) == 3]
        if len(whole) < 2:
            return None
        change = {name: whole[-1][name] - whole[0][name] for name in whole[0]}
        commands = change["total_commands_processed"]
        cpu_s = change["used_cpu_sys"] + change["used_cpu_user"]
        if commands <= 0 or cpu_s <= 0:
            self.faults.append("the last pasted INFO does not come after the first: its counters are lower")
            return None
        return 1e6 * cpu_s / commands

    def _report_line(self, number: int, text: str) -> None:
        assert self._report is not None
        for name, pattern in _FACTS.items():
            if found := pattern.match(text):
                self.numbers.setdefault(name, int(found[1]))
        if rate := _SUMMARY.match(text):
            self._test(number, self._report[1], rate[1])
            self._rate = 0.0
        elif text.split()[:2] == ["avg", "min"]:
            self._latencies = text.split()
        elif self._latencies is not None and self.tests:
            values = dict(zip(self._latencies, text.split(), strict=False))
            self._latencies = None
            self.tests[-1] = replace(self.tests[-1], mean_ms=_milliseconds(values.get("avg")),
                                     min_ms=_milliseconds(values.get("min")),
                                     p50_ms=_milliseconds(values.get("p50")))

    def _csv(self, number: int, cells: list[str]) -> None:
        if cells[:2] == ["test", "rps"]:
            self._columns = cells
            return
        row = dict(zip(self._columns or ["test", "rps"], cells, strict=False))  # before 6.2 without a header
        if len(row) < 2:
            self.faults.append(f"line {number}: no rate")
            return
        self._test(number, row["test"], row["rps"], mean_ms=row.get("avg_latency_ms"),
                   min_ms=row.get("min_latency_ms"), p50_ms=row.get("p50_latency_ms"))

    def _test(self, number: int, name: str, rate: str, *, mean_ms: str | None = None,
              min_ms: str | None = None, p50_ms: str | None = None) -> None:
        if "needed to benchmark" in name:  # it fills the list that the next test reads
            return
        try:
            per_second = float(rate)
            latencies = [_milliseconds(one) for one in (mean_ms, min_ms, p50_ms)]
        except ValueError:
            per_second, latencies = math.nan, []
        if not 0.0 < per_second < math.inf:
            self.faults.append(f"line {number}: {name} has no rate but {rate!r}")
            return
        self.tests.append(BenchmarkTest(name, per_second, *latencies))

    def _command(self, number: int, rest: str) -> None:
        try:
            words = shlex.split(rest)
            for option, value in zip(words, [*words[1:], ""], strict=True):
                if option in _OPTIONS:
                    self.numbers[_OPTIONS[option]] = int(value)
        except ValueError:
            self.faults.append(f"line {number}: the command is not whole")
            return
        self.tls = "--tls" in words
        # What it does not name is the program's own default.
        self.numbers = {"clients": DEFAULT_CLIENTS, "payload_bytes": DEFAULT_PAYLOAD_BYTES, "pipeline": 1,
                        **self.numbers}

    def _info(self, number: int, name: str, value: str) -> None:
        if name.endswith("_version"):
            if name == "valkey_version" or self.server[0] != "valkey":  # Valkey names a redis_version too
                self.server = (name.removesuffix("_version"), value)
            return
        try:
            clock = float(value)
        except ValueError:
            self.faults.append(f"line {number}: {name} is {value!r}")
            return
        if name in self._clocks[-1]:
            self._clocks.append({})
        self._clocks[-1][name] = clock


def _milliseconds(text: str | None) -> float | None:
    return float(text) if text is not None else None
