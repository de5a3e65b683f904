"""What a knee search found, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["knee_words"]


def knee_words(knee: Mapping[str, Any]) -> str:
    """A sentence without its full stop, of a knee as it stands in `run.json`."""
    low, mid, high = knee["low"], knee["mid"], knee["high"]
    if low is not None and mid is not None and high is not None:
        rate = (f"{mid:,.0f} operations/s ({low:,.0f}–{high:,.0f} at {100.0 * knee['confidence']:.0f} % "
                f"confidence; {knee['use_case']} gives out first)")
    elif low is not None:
        rate = f"above {low:,.0f} operations/s"
    elif high is not None:
        rate = f"below {high:,.0f} operations/s"
    else:
        rate = "not found"
    return f"{rate}, after {knee['load_seconds']} s of load: {knee['reason']}"
