"""What the shards' own logs say of a failover."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from amply_capacity.drill.moment import FAILOVER, Moment
from amply_capacity.target.described import Node

__all__ = ["log_moments", "why_no_failover"]

_LINE = re.compile(r"\d+:[A-Z] (\d+ \w{3} \d{4} \d\d:\d\d:\d\d)\.(\d{3}) [.\-*#] (.*)")
_TELLING = (
    "Marking node", "FAIL message received", "Start of election delayed", "Starting a failover election",
    "Failover election won", "Manual failover", "Currently unable to failover", "Failover attempt expired",
    "Failover auth", "Cluster state changed",
)
_HINDERED = ("Currently unable to failover", "Failover attempt expired", "Manual failover timed out")
_MOST_BYTES = 1_000_000
_MOST_MOMENTS = 200


def log_moments(nodes: Iterable[Node], since_s: float) -> list[Moment]:
    """What the servers' logs say of a failover from then on, in the order of time; Redis' own words.

    Redis writes local time (server.c, `serverLogRaw`), which is this machine's.
    """
    found = [moment for node in nodes for moment in _of_node(node) if moment.time_s >= since_s]
    return sorted(found, key=lambda moment: moment.time_s)[:_MOST_MOMENTS]


def why_no_failover(nodes: Iterable[Node], since_s: float) -> str | None:
    """The last reason that a replica gave for not taking over; None where none gave any."""
    reasons = [moment for moment in log_moments(nodes, since_s) if moment.name.startswith(_HINDERED)]
    return f"{reasons[-1].detail['server']} says: {reasons[-1].name}" if reasons else None


def _of_node(node: Node) -> Iterable[Moment]:
    try:
        with open(node.directory / "redis.log", "rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _MOST_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        parsed = _LINE.match(line)
        if parsed and parsed[3].startswith(_TELLING):
            seconds = time.mktime(time.strptime(parsed[1], "%d %b %Y %H:%M:%S"))
            yield Moment(seconds + int(parsed[2]) / 1000.0, FAILOVER, parsed[3][:160], {"server": node.name})
