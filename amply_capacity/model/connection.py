"""What a client connection takes: idle, busy, and in the first seconds of its life."""

from __future__ import annotations

from dataclasses import dataclass

from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout

__all__ = ["ConnectionBytes", "connection_bytes", "waiting_reply_bytes"]

_EMPTY_TEXT, _TEXT_FRAME = 8, 6
_BLOCK_BYTES, _BLOCK_HEADER, _LIST_NODE = 16_384, 16, 24


@dataclass(frozen=True, slots=True)
class ConnectionBytes:
    """Bytes of `used_memory` of one connection (networking.c; server.c, clientsCron)."""

    idle: float
    """It has sent nothing for five seconds."""
    busy: Interval
    """It sends a command every other second at least: its query buffer stays."""
    new: float
    """Just accepted, nothing sent yet."""
    burst: float
    """Just accepted, and its first command sent: both buffers are whole."""


def connection_bytes(layout: Layout) -> ConnectionBytes:
    """Bytes of a connection without TLS whose replies fit its reply buffer; measured on redis 7.0.15.

    What OpenSSL allots for an encrypted one is not in `used_memory`.
    """
    size = layout.size
    fixed = layout.client_bytes + layout.client_dictionaries * size(layout.dict_bytes) + size(_LIST_NODE)
    query = size(layout.query_buffer_bytes + _TEXT_FRAME) if layout.query_buffer_bytes else 0
    unread = _EMPTY_TEXT if query else 0
    idle = float(fixed + layout.settled_reply_bytes + unread)
    busy = float(fixed + layout.settled_reply_bytes + max(query, unread))
    return ConnectionBytes(
        idle=idle,
        busy=Interval(idle if layout.gives_buffer_back else 0.99 * busy, busy, 1.03 * busy),
        new=float(fixed + layout.new_reply_bytes + unread),
        burst=float(fixed + layout.new_reply_bytes + max(query, unread)),
    )


def waiting_reply_bytes(layout: Layout, reply_bytes: float) -> int:
    """What a reply that its client does not read takes beyond the reply buffer: a block of 16 KB or more."""
    beyond = round(reply_bytes) - layout.settled_reply_bytes
    if beyond <= 0:
        return 0
    return layout.size(max(beyond, _BLOCK_BYTES) + _BLOCK_HEADER) + layout.size(_LIST_NODE)
