"""Numbers as a reader wants them: no exponents, no more digits than they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["assumed", "plain"]

_SMALL = 1e-4
"""Below it there would be more noughts than a reader counts."""


def plain(value: float) -> str:
    """`40,780`, `0.4774`, `5.277 millionths`: whole from a thousand on, else four significant digits."""
    if 0.0 < abs(value) < _SMALL:
        return f"{1e6 * value:.4g} millionths"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def assumed(value: Any) -> str:
    """An assumption's value: a number, `mid (low – high)` for an interval, nothing for a mere statement."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return f"{plain(value['mid'])} ({plain(value['low'])} – {plain(value['high'])})"
    return plain(value) if isinstance(value, int | float) else str(value)
