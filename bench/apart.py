"""What a command takes of this machine, apart from all that the benchmark took before it.

    python -m bench.apart WORDS...     runs `python WORDS...`, and prints a line of JSON

On Linux a process begins with the largest resident set of the one that started it, exec or not, and of
children the kernel tells the largest of all so far (getrusage(2)). So a small process, which has no other
child, starts the command and asks.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from amply_capacity.target.process import die_with

__all__ = ["Taken", "apart"]

_LAST_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What a command took, and printed."""

    seconds: float
    cpu_seconds: float
    resident_mb: float
    """The most at any moment; of 1,000,000 bytes."""
    output: str


def apart(*words: str, longest_seconds: float, env: Mapping[str, str] | None = None,
          preexec_fn: Callable[[], None] | None = None) -> Taken:
    """Run `python WORDS...`. Raises RuntimeError with its last words where it fails."""
    done = subprocess.run([sys.executable, "-m", "bench.apart", *words], capture_output=True, text=True,
                          check=False, timeout=longest_seconds, env=env, preexec_fn=preexec_fn)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:80]} failed: {done.stderr[-_LAST_WORDS:]}")
    return Taken(**json.loads(done.stdout))


def main(words: list[str]) -> int:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=False,
                          preexec_fn=functools.partial(die_with, os.getpid()))
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = Taken(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, done.stdout)
    print(json.dumps(asdict(taken)))
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
