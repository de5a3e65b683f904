"""A TCP proxy that delivers what one side says later, holds it back, or is killed with it: a network.

A program of its own, `python -m amply_capacity.drill.proxy`, so that no other Python work delays it, and that
killing it loses exactly what was on its way. It prints the port that it listens on, and then obeys lines on
its stdin, each answered by `ok`:

    delay 0.05    what the target sends from now on arrives 0.05 s later; what is sent to it is not delayed
    hold          nothing passes in either direction; connections stay, as when packets are lost
    flow          it passes again, what was held back first

It ends with its stdin. No more than `MOST_BYTES` are held a direction: the sender then has to wait, as it has
to for a network. No more connections than `--most` are open at a time: the next waits until one has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import sys
import threading
import time
from collections import deque

__all__ = ["main"]

MOST_BYTES = 256 * 1024**2
MOST_CONNECTIONS = 64
_BACKLOG = 511
"""Of connections that come at the same moment, as Redis' own."""
_BLOCK_BYTES = 65_536
_CONNECT_SECONDS = 5.0


class _Line:
    """What holds for all connections."""

    def __init__(self, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self.is_open = threading.Event()
        self.is_open.set()


class _Direction:
    """One direction of a connection: what is read is written later, in its order."""

    def __init__(self, line: _Line, source: socket.socket, sink: socket.socket, places: threading.Semaphore,
                 *, is_delayed: bool) -> None:
        self._line, self._source, self._sink, self._is_delayed = line, source, sink, is_delayed
        self._places = places
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def start(self) -> None:
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self) -> None:
        data = b"-"
        while data:
            try:
                data = self._source.recv(_BLOCK_BYTES)
            except OSError:
                data = b""  # as an orderly end
            due = time.monotonic() + (self._line.delay_seconds if self._is_delayed else 0.0)
            with self._changed:
                self._waiting.append((due, data))
                self._bytes += len(data)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._bytes < MOST_BYTES)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                due, data = self._waiting.popleft()
            # time.sleep and not a wait for an event: an event loop's timers round to whole milliseconds.
            time.sleep(max(due - time.monotonic(), 0.0))
            self._line.is_open.wait()
            try:
                if not data:
                    raise OSError
                self._sink.sendall(data)
            except OSError:
                for one in (self._source, self._sink):
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
                self._places.release()
                return
            with self._changed:
                self._bytes -= len(data)
                self._changed.notify_all()


def _serve(listening: socket.socket, to_port: int, line: _Line, most: int) -> None:
    places = threading.Semaphore(2 * most)  # a connection has as many directions
    while True:
        for _ in range(2):
            places.acquire()
        client, _ = listening.accept()
        try:
            target = socket.create_connection(("127.0.0.1", to_port), timeout=_CONNECT_SECONDS)
        except OSError:
            client.close()  # as a refused connection
            places.release(2)
            continue
        target.settimeout(None)
        for one in (client, target):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Direction(line, target, client, places, is_delayed=True).start()
        _Direction(line, client, target, places, is_delayed=False).start()


def _allow_sockets() -> None:
    """As many files as the system lets us open: each connection is two of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS: not without a limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _obey(words: list[str], line: _Line) -> str:
    match words:
        case ["delay", seconds]:
            line.delay_seconds = float(seconds)
        case ["hold"]:
            line.is_open.clear()
        case ["flow"]:
            line.is_open.set()
        case _:
            return "unknown"
    return "ok"


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--most", type=int, default=MOST_CONNECTIONS)
    options = parser.parse_args()
    line = _Line(options.delay)
    _allow_sockets()
    listening = socket.create_server(("127.0.0.1", options.port), backlog=_BACKLOG)
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=_serve, args=(listening, options.to, line, options.most), daemon=True).start()
    for order in sys.stdin:
        print(_obey(order.split(), line), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
