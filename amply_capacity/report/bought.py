"""What a plan may choose, in a few words: nodes of a type, or a serverless cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["bought", "is_serverless", "node_name"]


def is_serverless(option: Mapping[str, Any]) -> bool:
    return bool(option["kind"] == "serverless")


def node_name(option: Mapping[str, Any]) -> str:
    """The node type, or `Serverless`."""
    return "Serverless" if is_serverless(option) else str(option["node_type"])


def bought(option: Mapping[str, Any]) -> str:
    """E.g. `2 × cache.r7g.large`, replicas counted."""
    if is_serverless(option):
        return node_name(option)
    return f"{option['shards'] * (1 + option['replicas'])} × {option['node_type']}"
