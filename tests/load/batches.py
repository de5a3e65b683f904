"""A raw batch, read as the recording process reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from amply_capacity.load.tally import access_rows, error_events, histogram_rows
from amply_capacity.load.wire import Batch


@dataclass
class Tables:
    requests: pd.DataFrame
    accesses: list[dict[str, Any]]
    events: list[dict[str, Any]]


def tables(batch: Batch) -> Tables:
    """The rows of the run's tables that a batch becomes."""
    accesses: Any = access_rows(batch).to_pylist()
    return Tables(histogram_rows(batch).to_pandas(), accesses, [*error_events(batch, 0.0), *batch.events])
