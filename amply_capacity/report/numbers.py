"""Numbers as a reader wants them: no exponents, no more digits than they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["assumed", "plain"]


def plain(value: float) -> str:
    """`40,780`, `0.4774`, `12.5`: whole from a thousand on, else four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def assumed(value: Any) -> str:
    """An assumption's value: a number, `mid (low – high)` for an interval, nothing for a mere statement."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return f"{plain(value['mid'])} ({plain(value['low'])} – {plain(value['high'])})"
    return plain(value) if isinstance(value, int | float) else str(value)
