"""The rows of `requests` added up: an hour has millions of them, and few questions need them all."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

__all__ = ["added_up"]


def added_up(requests: pd.DataFrame, over: str) -> pd.DataFrame:
    """The rows without that column: those that differ in it alone are one, of their counts' sum.

    They come in the order in which each is first met. Arrow adds up: it does not sort first, as pandas does.
    """
    keys = [name for name in requests if name not in (over, "count")]
    rows = pa.Table.from_pandas(requests[[*keys, "count"]], preserve_index=False)
    # With threads the order would be another each time.
    summed = rows.group_by(keys, use_threads=False).aggregate([("count", "sum")])
    totals: pd.DataFrame = summed.rename_columns([*keys, "count"]).to_pandas()
    return totals
