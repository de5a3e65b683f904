"""The measured phase of a run: from the event that began it to the one that ended it."""

from __future__ import annotations

import pandas as pd

__all__ = ["phase_seconds"]


def phase_seconds(events: pd.DataFrame, requests: pd.DataFrame) -> tuple[int, int] | None:
    """First and last whole Unix second of the measured phase, both inclusive; None without a load.

    The last may lie before the first. Where the end was not recorded (a kill), it is the second before the
    last one with replies, which may be half there.
    """
    phases = events[events["kind"] == "phase"]
    starts = phases.loc[phases["name"] == "measured", "time_s"]
    ends = phases.loc[phases["name"] == "ended", "time_s"]
    if starts.empty or requests.empty:
        return None
    last = int(ends.iloc[-1]) if len(ends) else int(requests["second"].max())
    return int(starts.iloc[0]) + 1, last - 1
