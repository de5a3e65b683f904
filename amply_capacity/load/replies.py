"""What a Redis server replies, as Python values: RESP, parsed by hiredis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hiredis import Reader

__all__ = ["ReplyError", "errors_in", "parser"]


class ReplyError(Exception):
    """An error that the server replied, e.g. `OOM command not allowed …`."""


def parser() -> Reader:
    """A parser that decodes as the specification's pool does. What is no RESP raises as a reset does."""
    return Reader(encoding="utf-8", errors="replace", replyError=ReplyError,
                  protocolError=ConnectionResetError)


def errors_in(replies: Iterable[Any]) -> Iterator[ReplyError]:
    """Error replies among them, those inside EXEC's list included."""
    for reply in replies:
        if type(reply) is ReplyError:
            yield reply
        elif type(reply) is list:
            yield from errors_in(reply)
