"""`make bench` prints every table that is no part of another; `python -m bench NAME` one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from amply_capacity.target.process import terminable
from bench import (
    accuracy,
    clocks,
    costs,
    drills,
    knee,
    load,
    network,
    plan,
    production,
    queues,
    report,
    simulator,
    startup,
)

_PARTS = {"throughput", "cpu", "network", "drills"}
"""What `accuracy` has too, so that without a name they are not measured twice; what drills leave behind is
told only where they are asked for."""


def main(arguments: list[str]) -> int:
    tables: dict[str, Callable[[], str]] = {
        "startup": startup.table,
        "load": load.table,
        "clocks": clocks.table,
        "knee": knee.table,
        "simulator": simulator.table,
        "accuracy": accuracy.table,
        "drills": drills.table,
        "plan": plan.table,
        "production": production.table,
        "report": report.table,
        "cpu": lambda: accuracy.table((), (costs.batches,)),
        "network": lambda: accuracy.table((network.experiments,), ()),
        "throughput": lambda: accuracy.table((network.experiments,), (costs.batches, queues.batches)),
    }
    unknown = [name for name in arguments if name not in tables]
    if unknown:
        print(f"bench: unknown table {', '.join(unknown)}; use one of {', '.join(tables)}", file=sys.stderr)
        return 2
    with terminable():  # servers, generators and folders of a table go with it
        for name in arguments or [name for name in tables if name not in _PARTS]:
            print(tables[name](), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
