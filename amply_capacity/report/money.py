"""Money as text."""

from __future__ import annotations

__all__ = ["usd"]


def usd(amount: float | None) -> str:
    """`$12.41`, `$9,108` from a thousand dollars on; `unknown` where there is no figure."""
    if amount is None:
        return "unknown"
    return f"${amount:,.0f}" if abs(amount) >= 1000 else f"${amount:,.2f}"
