from __future__ import annotations

import pyarrow as pa

from amply_capacity.files import ROOT
from amply_capacity.run.schema import RAW_INFO, TABLES, VERDICTS, describe
from amply_capacity.run.writer import arrow_schema


def test_the_documentation_is_the_one_that_the_schema_prints() -> None:
    """Refresh: python -c 'from amply_capacity.run.schema import describe; print(describe(), end="")'."""
    assert (ROOT / "docs" / "run-directory.md").read_text() == describe()


def test_every_column_and_verdict_is_documented() -> None:
    text = describe()
    for table, columns in TABLES.items():
        assert f"## {table}.parquet" in text
        for column in columns:
            assert f"| `{column.name}` | {column.type} | {column.meaning} |" in text
    assert all(f"`{verdict}`" in text for verdict in VERDICTS)


def test_no_table_has_a_column_twice_and_every_type_is_arrows() -> None:
    for table, columns in TABLES.items():
        names = [column.name for column in columns]
        assert len(set(names)) == len(names)
        assert arrow_schema(table).names == names


def test_the_contracts_columns_are_there_with_its_types() -> None:
    requests = arrow_schema("requests")
    assert requests.names == [
        "second",
        "use_case",
        "operation",
        "command",
        "outcome",
        "clock",
        "bucket_us",
        "count",
    ]
    assert [requests.field(name).type for name in ("second", "bucket_us", "count")] == [pa.int64()] * 3
    assert {
        "time_s",
        "op",
        "key_hash",
        "key_class",
        "key_bytes",
        "value_bytes",
        "ttl_s",
        "sampling_rate",
    } == set(arrow_schema("accesses").names)
    assert {name for name, _ in RAW_INFO} < set(arrow_schema("server").names)
