"""The catalog's files under `data/catalog`: their columns, and reading them.

Plain CSV, so that a refresh of the prices shows as a difference that a person can review. The long texts
that say where a figure comes from stand once, in `sources.csv`; the tables made by `catalog.compact` name
them by number in `source` and `basis`. `cpu_speed.csv` and `engine_gains.csv` are kept by hand, each row with
its source. Empty means not known.
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import NamedTuple, TypeVar

from amply_capacity.errors import BadInput
from amply_capacity.files import DATA_DIR

__all__ = [
    "CATALOG_DIR",
    "CpuSpeedRow",
    "EngineGainRow",
    "NodeRow",
    "PriceRow",
    "RateRow",
    "SourceRow",
    "read_table",
    "source_texts",
]

CATALOG_DIR = DATA_DIR / "catalog"


class SourceRow(NamedTuple):
    """A row of `sources.csv`: the number by which the other tables name a text."""

    source: str
    text: str


class NodeRow(NamedTuple):
    """A row of `node_types.csv`."""

    node_type: str
    family: str
    category: str
    graviton: str
    vcpu: str
    memory_gib: str
    ssd_gib: str
    network_label: str
    network_baseline_gbps: str
    network_burst_gbps: str
    maxmemory_bytes: str
    replica_output_buffer_bytes: str
    maxclients: str
    cpu_credits_per_hour: str
    cpu_credits_max: str
    cpu_baseline_percent_per_vcpu: str
    redis_min_version: str
    valkey_min_version: str
    enhanced_io: str
    tls_offload: str
    enhanced_io_multiplexing: str
    at_rest_encryption: str
    normalized_units_redis: str
    normalized_units_valkey: str
    new_clusters: str
    source: str
    as_of: str


class PriceRow(NamedTuple):
    """A row of `prices.csv`; `basis` numbers the text that says how a figure that was not read came about."""

    region: str
    engine: str
    node_type: str
    term: str
    hourly_usd: str
    upfront_usd: str
    effective_hourly_usd: str
    inferred: str
    basis: str
    source: str
    as_of: str


class RateRow(NamedTuple):
    """A row of `rates.csv`: Serverless, backups, transfer, add-ons."""

    item: str
    region: str
    engine: str
    unit: str
    amount: str
    detail: str
    source: str
    as_of: str


class CpuSpeedRow(NamedTuple):
    """A row of `cpu_speed.csv`: CPU time of a command on a family over that on `relative_to`; 90 %."""

    family: str
    relative_to: str
    processor: str
    low: str
    mid: str
    high: str
    basis: str
    rests_on: str
    source: str
    as_of: str


class EngineGainRow(NamedTuple):
    """A row of `engine_gains.csv`: what an engine version is published to gain on larger nodes."""

    what: str
    redis_min_version: str
    valkey_min_version: str
    needs: str
    graviton_min_vcpu: str
    x86_min_vcpu: str
    throughput_up_to_percent: str
    p99_down_by_up_to_percent: str
    against: str
    conditions: str
    source: str
    as_of: str


Row = TypeVar("Row", SourceRow, NodeRow, PriceRow, RateRow, CpuSpeedRow, EngineGainRow)


def read_table(row_type: type[Row], path: Path) -> tuple[Row, ...]:
    """The rows of one catalog file, as texts.

    Raises BadInput where the file is missing or was written with other columns.
    """
    rebuild = "restore data/catalog, or rebuild it with `python -m amply_capacity.catalog.compact`"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except FileNotFoundError:
        raise BadInput("the catalog's data are missing", got=f"no file {path}", do=rebuild) from None
    except ValueError:
        got = f"{path} is empty or not UTF-8"
        raise BadInput("the catalog's data cannot be read", got=got, do=rebuild) from None
    if tuple(header) != row_type._fields or any(len(row) != len(header) for row in rows):
        got = f"{path} does not have the columns {', '.join(row_type._fields)} in every row"
        raise BadInput("the catalog's data were written by another version", got=got, do=rebuild)
    return tuple(map(row_type._make, rows))


@functools.cache
def source_texts() -> dict[str, str]:
    """The text behind each source number; the empty number stands for no text."""
    return {"": ""} | {row.source: row.text for row in read_table(SourceRow, CATALOG_DIR / "sources.csv")}
