"""redis-benchmark against a throw-away server of ours: what this host does of a benchmark of a node."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from amply_capacity.errors import BadInput, NoServer, ServerFailed
from amply_capacity.progress import Advance
from amply_capacity.run.benchmark_file import (
    DEFAULT_CLIENTS,
    DEFAULT_PAYLOAD_BYTES,
    Benchmark,
    parse_benchmark,
)
from amply_capacity.target.cluster import throw_away
from amply_capacity.target.endpoint import connect

__all__ = ["REQUESTS", "benchmark_host", "host_name", "tests_of"]

REQUESTS = 100_000
"""Of each test, at most: about a second."""
_SECONDS = 120
_PROGRAMS = ("redis-benchmark", "valkey-benchmark")
_TESTS = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET",
          "SPOP", "ZADD", "ZPOPMIN", "MSET", "LRANGE_100", "LRANGE_300", "LRANGE_500", "LRANGE_600"}
_CLOCKS = ("redis_version", "valkey_version", "used_cpu_sys", "used_cpu_user", "total_commands_processed")


def host_name() -> str:
    """This machine as far as its speed goes, e.g. `x86_64, 2 cores`: never its own name."""
    return f"{platform.machine()}, {os.cpu_count()} cores"


def tests_of(like: Benchmark) -> list[str]:
    """What `-t` takes for the tests of that output. Raises BadInput for a command of the user's own."""
    names = [test.name.partition(" ")[0] for test in like.tests]
    unknown = sorted({test.name for test, name in zip(like.tests, names, strict=True) if name not in _TESTS})
    if unknown:
        raise BadInput("this benchmark cannot be repeated here, since it ran a command of its own",
                       got=", ".join(unknown),
                       do="run it yourself on a local server, and give its output with --host-benchmark")
    return list(dict.fromkeys(name.lower() for name in names))


def benchmark_host(like: Benchmark, advance: Advance) -> Benchmark:
    """The same tests with as many clients and bytes against a server of ours, with its CPU clock.

    `advance` is told of each test. Raises NoServer without a redis-benchmark, BadInput for tests that it does
    not have, ServerFailed where it fails.
    """
    tests, arguments = tests_of(like), _arguments(like)
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        command = f"redis-benchmark {' '.join(arguments)} -t {','.join(tests)} --csv"
        raise NoServer("there is no redis-benchmark to measure this host with", got="none on PATH",
                       do="install it (Debian: redis-tools), or give the output of the same benchmark on a "
                       f"local server with --host-benchmark: {command} > host.txt")
    with throw_away() as cluster, connect(cluster.endpoint) as client:
        lines = [f"redis-benchmark {' '.join(arguments)}", *_clock(client)]
        for test in tests:
            lines.append(_run([found, "-p", str(cluster.endpoint.port), *arguments, "-t", test, "--csv"]))
            advance()
        lines += _clock(client)
    return parse_benchmark("\n".join(lines), "the benchmark of this host")


def _arguments(like: Benchmark) -> list[str]:
    arguments = ["-c", str(like.clients or DEFAULT_CLIENTS),
                 "-d", str(like.payload_bytes or DEFAULT_PAYLOAD_BYTES),
                 "-n", str(min(like.requests or REQUESTS, REQUESTS))]
    return [*arguments, "-r", str(like.keyspace)] if like.keyspace else arguments


def _clock(client: Any) -> Iterator[str]:
    info = client.info()
    yield from (f"{name}:{info[name]}" for name in _CLOCKS if name in info)


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS,
                              check=True, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerFailed("redis-benchmark failed on this host", got=str(error)[:200],
                           do="run it yourself, and give its output with --host-benchmark") from None
