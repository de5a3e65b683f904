"""An independent witness: a process with one blocking socket that sends 200 GETs a second and times each.

    python -m bench.probe PORT SECONDS     prints the times, µs, a line each
"""

from __future__ import annotations

import socket
import sys
import time

_PER_SECOND = 200
_GET = b"*2\r\n$3\r\nGET\r\n$36\r\nsession:ses_000000000000000000000001\r\n"


def main(port: int, seconds: float) -> None:
    times: list[int] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for number in range(int(seconds * _PER_SECOND)):
            pause = began + number / _PER_SECOND - time.perf_counter()
            if pause > 0.0:
                time.sleep(pause)
            sent = time.perf_counter_ns()
            connection.sendall(_GET)
            reply = connection.recv(65536)
            times.append((time.perf_counter_ns() - sent) // 1000)
            assert reply[:1] == b"$", reply
    sys.stdout.write("\n".join(map(str, times)))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
