"""An independent witness: a process with one blocking socket that sends 200 GETs a second and times each.

    python -m bench.probe PORT SECONDS     prints the times, µs, a line each

It shares the generator's core, so that it is often not given it when its reply comes: the kernel says when
that came (socket(7), SO_TIMESTAMPNS), and where it may it goes before the others.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time

_PER_SECOND = 200
_GET = b"*2\r\n$3\r\nGET\r\n$36\r\nsession:ses_000000000000000000000001\r\n"
_SO_TIMESTAMPNS, _STAMP = 35, struct.Struct("@ll")
_FIRST = -20


def main(port: int, seconds: float) -> None:
    times: list[int] = []
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _FIRST)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        began = time.perf_counter()
        for number in range(int(seconds * _PER_SECOND)):
            pause = began + number / _PER_SECOND - time.perf_counter()
            if pause > 0.0:
                time.sleep(pause)
            sent_ns = time.time_ns()
            connection.sendall(_GET)
            reply, stamps, _, _ = connection.recvmsg(65536, 64)
            came_s, came_ns = _STAMP.unpack(stamps[0][2])
            times.append((came_s * 1_000_000_000 + came_ns - sent_ns) // 1000)
            assert reply[:1] == b"$", reply
    sys.stdout.write("\n".join(map(str, times)))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
