"""What a command and its reply show of a key: its name as it is written down, its value's size, its TTL."""

from __future__ import annotations

from typing import Any

from amply_capacity.traffic.operation import Command

__all__ = ["key_text", "value_and_ttl"]


def key_text(word: object) -> str:
    """A command's word, as a key is written down: one of bytes, or a number, is a key too."""
    return word.decode(errors="backslashreplace") if isinstance(word, bytes) else str(word)


def _bytes(word: object) -> int:
    return len(word) if isinstance(word, bytes) else len(str(word).encode())


def value_and_ttl(op: str, command: Command, reply: Any) -> tuple[int | None, float | None]:
    """Bytes of the value that was written or read, and the seconds it then has; None for what is not shown.

    `op` is the command's name in small letters.
    """
    if op == "get":
        return (len(reply.encode()) if isinstance(reply, str) else None), None
    if op == "setex":
        return _bytes(command[3]), float(command[2])
    if op == "expire":
        return None, float(command[2])
    if op in {"sadd", "srem"}:
        return sum(map(_bytes, command[2:])), None
    if op == "smembers":
        return sum(len(member.encode()) for member in reply or ()), None
    return None, None
