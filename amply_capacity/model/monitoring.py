"""What the toolkit's own sampling of a server costs: INFO once a second, which no plan has to carry."""

from __future__ import annotations

from dataclasses import dataclass

from amply_capacity.interval import Interval
from amply_capacity.model.resp import bulk_bytes, command_bytes
from amply_capacity.run.reader import Run

__all__ = ["Monitoring", "monitoring_of"]

_REQUEST_BYTES = command_bytes(("INFO", "everything"))
_TEXT_BYTES = {"redis 7.0": Interval(4_800.0, 5_000.0, 5_200.0)}
"""INFO everything without its lines of commands, counted on redis 7.0.15: fewest on a young server, most
after a load."""
_UNKNOWN_TEXT_BYTES = Interval(3_800.0, 5_050.0, 6_800.0)
"""A prior, for versions that were not measured."""
_SHORT_LINE = "cmdstat_:calls=,usec=,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"
_PERCENTILES = "latency_percentiles_usec_:p50=1.003,p99=10.023,p99.9=100.047\r\n"


@dataclass(frozen=True, slots=True)
class Monitoring:
    """One INFO of one node: bytes as the server counts them, and how many there were a second."""

    per_second: float
    request_bytes: float
    reply_bytes: Interval


def monitoring_of(run: Run) -> Monitoring | None:
    """The run's own INFO; None where the server's statistics show none, as of an imported run."""
    commands = run.commands
    called = commands[commands["command"] == "info"]
    if called.empty:
        return None
    server = run.manifest.get("server") or {}
    version = ".".join(str(server.get("version")).split(".")[:2])
    text = _TEXT_BYTES.get(f"{server.get('engine')} {version}", _UNKNOWN_TEXT_BYTES)
    nodes = max(int(commands["node"].nunique()), 1)
    lines = 0.0
    for name, calls, usec, p50 in commands[["command", "calls", "usec", "p50_us"]].itertuples(index=False):
        # Half of a run's calls have as many digits as all of them, or one fewer.
        lines += len(_SHORT_LINE) + len(str(name)) + len(str(int(calls))) + len(str(int(usec)))
        lines += len(_PERCENTILES) + len(str(name)) if p50 == p50 else 0  # NaN: it keeps none
    reply = [float(bulk_bytes(round(bytes_ + lines / nodes))) for bytes_ in (text.low, text.mid, text.high)]
    return Monitoring(float(nodes), float(_REQUEST_BYTES), Interval(*reply))
