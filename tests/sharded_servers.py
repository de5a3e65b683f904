"""Three servers that form a Redis Cluster and are none of the toolkit's."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from amply_capacity.target.process import free_port
from amply_capacity.target.program import find_server

_RANGES = ((0, 5_460), (5_461, 10_922), (10_923, 16_383))
_ATTEMPTS = 20


@contextlib.contextmanager
def sharded_servers(directory: Path) -> Iterator[tuple[int, ...]]:
    """Within: the ports of three primaries that serve all slots between them, without replicas."""
    with contextlib.ExitStack() as started:
        ports = tuple(_start(directory / f"shard-{number}", started) for number in range(3))
        for port, (first, last) in zip(ports, _RANGES, strict=True):
            with redis.Redis(port=port) as client:
                slots = range(first, last + 1)  # ADDSLOTSRANGE is not known to Redis 6.2
                client.execute_command("CLUSTER", "ADDSLOTS", *slots)
                for other in ports:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", other)
        for port in ports:
            with redis.Redis(port=port, decode_responses=True) as client:
                _wait_until(lambda client=client: client.execute_command(
                    "CLUSTER INFO")["cluster_state"] == "ok")
        yield ports


def _start(directory: Path, started: contextlib.ExitStack) -> int:
    """A server in cluster mode; its cluster bus wants the port 10,000 above free too."""
    directory.mkdir(parents=True)
    for _ in range(_ATTEMPTS):
        port = free_port()
        if port + 10_000 > 65_535:
            continue
        server = subprocess.Popen(
            [str(find_server().path), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", str(directory), "--cluster-enabled", "yes"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.callback(lambda server=server: (server.kill(), server.wait()))
        with redis.Redis(port=port) as client:
            _wait_until(lambda client=client, server=server: server.poll() is not None or _answers(client))
        if server.poll() is None:
            return port
    raise AssertionError("no server in cluster mode came up")


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the servers did not come up"
        time.sleep(0.02)
