"""Exact bytes of commands and replies in RESP2, from lengths alone.

Source: Redis serialization protocol specification, RESP2: a command is an array of bulk strings; a bulk
string of n bytes is `$n`, CRLF, the bytes, CRLF; an integer `:n` and CRLF; a simple string `+text` and CRLF.
The server counts just these bytes (`total_net_input_bytes`, `total_net_output_bytes`); with TLS before they
are encrypted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["NULL_BYTES", "OK_BYTES", "QUEUED_BYTES", "array_bytes", "bulk_bytes", "bulks_bytes",
           "command_bytes", "digits", "header_bytes", "integer_bytes", "request_bytes"]

_CRLF = 2
NULL_BYTES = 5
"""`$-1`: a key that is not there."""
OK_BYTES = 5
"""`+OK`."""
QUEUED_BYTES = 9
"""`+QUEUED`: a command inside of MULTI."""


def digits(number: int) -> int:
    """Characters of a whole number in decimal, its sign included."""
    return len(str(number))


def bulk_bytes(length_bytes: int) -> int:
    """A bulk string of so many bytes: an argument of a command, or the reply that is a value."""
    return 1 + digits(length_bytes) + _CRLF + length_bytes + _CRLF


def bulks_bytes(lengths_bytes: NDArray[np.float64]) -> NDArray[np.float64]:
    """`bulk_bytes` of many lengths at once, whole numbers from 0."""
    counts = np.ones_like(lengths_bytes)
    known = lengths_bytes >= 10
    counts[known] = np.floor(np.log10(lengths_bytes[known] + 0.5)) + 1.0
    return np.asarray(1 + counts + _CRLF + lengths_bytes + _CRLF)


def header_bytes(elements: int) -> int:
    """The head of an array of so many elements."""
    return 1 + digits(elements) + _CRLF


def integer_bytes(number: int) -> int:
    """A reply that is a whole number."""
    return 1 + digits(number) + _CRLF


def array_bytes(element_lengths: Sequence[int]) -> int:
    """A reply that is an array of strings of these lengths, e.g. that of SMEMBERS."""
    return header_bytes(len(element_lengths)) + sum(map(bulk_bytes, element_lengths))


def request_bytes(argument_lengths: Sequence[int]) -> int:
    """A command whose name and arguments have these lengths: as it is sent, and as a replica gets it.

    Example: `request_bytes([3, 36])`, a GET of a key of 36 bytes, is 4 + 9 + 43 = 56.
    """
    return array_bytes(argument_lengths)


def command_bytes(command: Iterable[str | bytes | int | float]) -> int:
    """A command as it is sent, e.g. of `("SETEX", key, 300, value)`; text is UTF-8, a number its `str`."""
    return request_bytes([len(part if isinstance(part, bytes) else str(part).encode()) for part in command])
