"""The bytes that a run's server counted itself, over samples whose exact length is known."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from amply_capacity.model.monitoring import Monitoring
from amply_capacity.run.reader import Run

__all__ = ["ServerBytes", "server_bytes"]

_OTHERS = 0.05
_REPLICA = "slave"  # as INFO spells it
_CPU = {"main": ("info_used_cpu_sys_main_thread", "info_used_cpu_user_main_thread"),
        "process": ("info_used_cpu_sys", "info_used_cpu_user")}
_LEAST_CPU_SECONDS = 1e-3
_NEEDED = ["NetworkBytesIn", "NetworkBytesOut", "info_total_commands_processed"]


@dataclass(frozen=True, slots=True)
class ServerBytes:
    """Bytes of the samples that tell of sound seconds, all nodes together, the toolkit's INFO among them."""

    bytes_in: float
    bytes_out: float
    seconds: tuple[int, ...]
    """The seconds that they tell of."""
    scale: float
    """Commands in these samples over those recorded in these seconds, INFO left out."""
    samples: float
    """INFOs among them."""
    commands: float
    """In these samples, INFO left out."""

    @property
    def is_ours(self) -> bool:
        """Whether the server saw no more than the run's commands, or 5 % more or fewer."""
        return abs(self.scale - 1.0) <= _OTHERS


def server_bytes(run: Run, recorded: pd.Series[float], monitoring: Monitoring | None) -> ServerBytes | None:
    """The server's count; None where it is not known.

    `recorded` are the run's commands by second. A sample tells of the second that it follows.
    """
    rows = run.server.sort_values(["node", "second"])
    if "role" in rows:
        rows = rows[rows["role"] != _REPLICA]
    told = rows.assign(seconds=_seconds(rows), commands=rows.groupby("node")[_NEEDED[2]].diff(),
                       second=rows["second"] - 1)
    told = told[told["second"].isin(run.sound_seconds)].dropna(subset=[*_NEEDED, "seconds", "commands"])
    told = told[told["commands"] >= 0.0]  # a restarted server counts anew
    seconds = tuple(sorted(int(second) for second in told["second"].unique()))
    samples = float(len(told)) if monitoring is not None else 0.0
    expected = float(recorded.reindex(list(seconds), fill_value=0.0).sum())
    commands = float(told["commands"].sum()) - samples
    if expected <= 0.0 or commands <= 0.0:
        return None
    return ServerBytes(float((told["NetworkBytesIn"] * told["seconds"]).sum()),
                       float((told["NetworkBytesOut"] * told["seconds"]).sum()),
                       seconds, commands / expected, samples, commands)


def _seconds(rows: pd.DataFrame) -> pd.Series[float]:
    """How long each sample is: CPU stands in it both as seconds and as a rate, so the ratio tells.

    Where it does not, the difference of the whole seconds.
    """
    by_node = rows.groupby("node")
    whole = by_node["second"].diff().astype(float)
    main = rows[list(_CPU["main"])].notna().all(axis=1)
    used = {name: rows[list(columns)].sum(axis=1).groupby(rows["node"]).diff()
            for name, columns in _CPU.items()}
    cpu = used["main"].where(main, used["process"])
    told = 100.0 * cpu / rows["EngineCPUUtilization"]
    return told.where((cpu > _LEAST_CPU_SECONDS) & ((told - whole).abs() < 1.0), whole)
