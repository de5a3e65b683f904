"""What a Redis server replies, as Python values: RESP, parsed by hiredis."""

from __future__ import annotations

from hiredis import Reader

__all__ = ["ReplyError", "parser"]


class ReplyError(Exception):
    """An error that the server replied, e.g. `OOM command not allowed …`."""


def parser() -> Reader:
    """A parser that decodes as the specification's pool does. What is no RESP raises as a reset does."""
    return Reader(encoding="utf-8", errors="replace", replyError=ReplyError,
                  protocolError=ConnectionResetError)
