"""What an operation costs in commands and bytes on the wire."""

from __future__ import annotations

from amply_capacity.model.evidence import OperationCost
from amply_capacity.run.reader import Run

__all__ = ["operation_costs"]


def operation_costs(run: Run) -> dict[str, OperationCost]:
    """Commands and bytes per operation, by operation name, over the sound seconds.

    Commands are counted per operation; bytes are the server's own RESP count spread over the commands, since
    INFO does not tell the operations apart. First form: an operation with large values is charged too little.
    Empty where the server's count is not known.
    """
    requests = run.in_sound_seconds(run.requests[run.requests["clock"] == "service"])
    server = run.in_sound_samples(run.server).dropna(subset=["NetworkBytesIn", "NetworkBytesOut"])
    commands = requests[requests["command"] != ""]
    parts = commands["command"].str.count(r"\+") + 1
    sent = (commands["count"] * parts).groupby(commands["operation"]).sum()
    done = requests[requests["command"] == ""].groupby("operation")["count"].sum()
    total = float(sent.sum())
    if not total or server.empty:
        return {}
    seconds = len(run.sound_seconds)
    bytes_in = float(server["NetworkBytesIn"].mean()) * seconds / total
    bytes_out = float(server["NetworkBytesOut"].mean()) * seconds / total
    costs = {}
    for operation, operations in done.items():
        each = float(sent.get(operation, 0)) / float(operations)
        costs[str(operation)] = OperationCost(each, each * bytes_in, each * bytes_out)
    return costs
