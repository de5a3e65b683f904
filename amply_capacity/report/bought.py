"""What a plan may choose, in a few words: nodes of a type, or a serverless cache; and what would turn it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.numbers import assumed

__all__ = ["bought", "is_serverless", "node_name", "would_win"]


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


def would_win(wins: Mapping[str, Any]) -> str:
    """What would make the runner-up the chosen one: a fall of its price, or a value of the deciding number.

    E.g. `it would win if its price fell by 5.9 %`; more than all of it is no fall of a price.
    """
    fall, turn = float(wins["price_fall_percent"]), ""
    if wins["number"]:
        number = wins["number"].replace("_", " ").replace(".", ": ")
        turn = f"with {number} {wins['wins']} {assumed(wins['threshold'])}"
    if fall <= 100.0:
        return f"it would win if its price fell by {fall:.1f} %" + (f", or {turn}" if turn else "")
    return f"it would win {turn}, but at no price" if turn else "it would not win even if it cost nothing"
