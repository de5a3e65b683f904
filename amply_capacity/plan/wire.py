"""A mix of operations on the wire: packets and bytes each way, with TLS or not, and a replica's stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.catalog.cpu_speed import version_numbers
from amply_capacity.catalog.nodes import NodeType
from amply_capacity.interval import Interval
from amply_capacity.model.allowance import NetworkHeadroom, network_headroom
from amply_capacity.model.network import mix_bytes, network_costs
from amply_capacity.model.packets import JUMBO, WireLoad, encrypted, round_trips, wire_load
from amply_capacity.model.replication_stream import replication_of
from amply_capacity.run.reader import Run

__all__ = ["Wire", "wire_of"]

_REWRITTEN_SINCE = (7, 0)
"""What `replication_stream` knows; Valkey began beyond it."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A second of it, from the server's side."""

    plain: WireLoad
    tls: WireLoad
    replica: Interval | None
    """Bytes to each replica, RESP; None of a server whose stream is not modelled."""
    has_tls: bool
    """As the run had it."""

    def as_json(self) -> dict[str, Any]:
        return {"plain": self.plain.as_json(), "tls": self.tls.as_json(),
                "replica_bytes_per_second": None if self.replica is None else self.replica.rounded(1)}

    def headroom(self, node: NodeType, share: float, peak_to_mean: float) -> NetworkHeadroom:
        """What a node's allowance leaves at that share of the rates as a mean."""
        load = self.tls if self.has_tls else self.plain
        return network_headroom(node, load.bytes_in.scaled(share), load.bytes_out.scaled(share),
                                peak_to_mean=peak_to_mean)


def wire_of(run: Run, operations_per_second: Mapping[str, float]) -> Wire | None:
    """At these rates by operation, on as many connections as the run had; None where it does not tell the
    bytes of one of them."""
    costs = network_costs(run)
    if not all(name in costs.operations for name, rate in operations_per_second.items() if rate):
        return None
    bytes_each_way = mix_bytes(costs, operations_per_second)
    trips, connections = round_trips(costs, operations_per_second), run.manifest["locust_users"]
    plain, tls = (wire_load(trips, transport, connections=connections, costs_error=bytes_each_way)
                  for transport in (JUMBO, encrypted(JUMBO)))
    server = run.manifest["server"]
    is_known = server["engine"] == "valkey" or version_numbers(server["version"]) >= _REWRITTEN_SINCE
    stream = replication_of(costs, operations_per_second, replicas=1).stream if is_known else None
    return Wire(plain, tls, stream, bool(run.manifest["target"]["tls"]))
