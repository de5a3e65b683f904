"""A redis-server that a test kills, and starts again on the same port."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from amply_capacity.target.process import free_port
from amply_capacity.target.program import find_server

PATIENCE_SECONDS = 20.0


class KillableRedis:
    """None of the toolkit's clusters: a plain server on loopback, without persistence."""

    def __init__(self, directory: Path) -> None:
        self.port, self._directory = free_port(), directory
        self.start()

    def start(self) -> None:
        """Start it, again on the same port; returns once it answers."""
        self.process = subprocess.Popen(
            [str(find_server().path), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", str(self._directory)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "the server did not come up"
                    time.sleep(0.02)

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()
