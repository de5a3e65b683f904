"""Tables changed by dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["change"]


def change(tables: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """The same tables, changed; None takes a key out."""
    for dotted, value in changes.items():
        *path, key = dotted.split(".")
        table = tables
        for step in path:
            table = table.setdefault(step, {})
        if value is None:
            del table[key]
        else:
            table[key] = value
    return tables
