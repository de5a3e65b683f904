import csv
from pathlib import Path

import pytest

from amply_capacity.catalog.compact import compact, main
from amply_capacity.catalog.files import CATALOG_DIR, PriceRow, SourceRow, read_table
from amply_capacity.errors import BadInput

FACTS_DIR = Path(__file__).resolve().parents[3] / "shared" / "facts"
PRICE_HEADER = ["region", "engine", "node_type", "term", "payment_option", "hourly_usd", "upfront_usd",
                "effective_hourly_usd", "source", "as_of", "note"]
INFERRED_HEADER = [*PRICE_HEADER[:8], "basis", "as_of"]
EXTRAS_HEADER = ["item", "region", "engine", "unit", "price_usd", "detail", "source", "as_of"]
NODE_HEADER = ["node_type", "family", "category", "processor_graviton", "vcpu", "memory_gib", "ssd_gib",
               "network_label", "net_baseline_gbps", "net_burst_gbps", "maxmemory_bytes",
               "client_output_buffer_limit_replica_hard_bytes", "maxclients", "cpu_credits_per_hour",
               "cpu_credits_max", "cpu_baseline_pct_per_vcpu", "min_redis_oss_version", "min_valkey_version",
               "enhanced_io", "tls_offload", "enhanced_io_multiplexing", "at_rest_encryption_supported",
               "normalized_units_redis", "normalized_units_valkey", "new_clusters", "source", "as_of"]
PLACE = ["us-east-1", "redis", "cache.t3.micro"]
PARTIAL = [*PLACE, "reserved_1yr", "Partial Upfront"]


def write(directory: Path, name: str, header: list[str], *rows: list[str]) -> None:
    directory.mkdir(exist_ok=True)
    with (directory / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def facts(directory: Path, observed: list[list[str]], inferred: list[list[str]] | None = None,
          extras: list[list[str]] | None = None) -> Path:
    write(directory, "node_types.csv", NODE_HEADER)
    write(directory, "prices.csv", PRICE_HEADER, *observed)
    write(directory, "prices_inferred.csv", INFERRED_HEADER, *(inferred or []))
    write(directory, "serverless_and_extras.csv", EXTRAS_HEADER, *(extras or []))
    return directory


def compacted(directory: Path) -> list[PriceRow]:
    compact(directory, directory / "out")
    return list(read_table(PriceRow, directory / "out" / "prices.csv"))


def texts(directory: Path) -> dict[str, str]:
    return {row.source: row.text for row in read_table(SourceRow, directory / "out" / "sources.csv")}


def on_demand(hourly: str, source: str, as_of: str, engine: str = "redis") -> list[str]:
    return ["us-east-1", engine, "cache.t3.micro", "on_demand", "", hourly, "", hourly, source, as_of, ""]


def test_shipped_data_are_exactly_what_the_facts_give(tmp_path: Path) -> None:
    if not FACTS_DIR.is_dir():
        pytest.skip("the facts lie beside the checkout (../shared/facts) and are not there")
    compact(FACTS_DIR, tmp_path)
    for rebuilt in sorted(tmp_path.iterdir()):
        assert rebuilt.read_bytes() == (CATALOG_DIR / rebuilt.name).read_bytes(), rebuilt.name
    kept_by_hand = {"cpu_speed.csv", "engine_gains.csv"}
    assert {path.name for path in tmp_path.iterdir()} | kept_by_hand == {
        path.name for path in CATALOG_DIR.iterdir()}


def test_shipped_data_stay_below_two_megabytes() -> None:
    sizes = [path.stat().st_size for path in CATALOG_DIR.iterdir()]
    assert 0 < sum(sizes) < 2_000_000


@pytest.mark.parametrize("order", [1, -1])
def test_newest_of_two_observed_prices_stands_whatever_their_order(tmp_path: Path, order: int) -> None:
    rows = [on_demand("0.017", "old", "2025-03-14"), on_demand("0.018", "new", "2026-10-02"),
            on_demand("0.019", "undated", "")]
    (row,) = compacted(facts(tmp_path / "facts", rows[::order]))
    assert (row.hourly_usd, row.as_of) == ("0.018", "2026-10-02")
    assert texts(tmp_path / "facts")[row.source] == "new"


def test_undated_price_stands_where_it_is_the_only_one_and_says_so(tmp_path: Path) -> None:
    (row,) = compacted(facts(tmp_path / "facts", [on_demand("0.019", "somewhere", "")]))
    assert row.as_of == "undated"


def test_memcached_is_left_out(tmp_path: Path) -> None:
    rows = [on_demand("0.017", "s", "2025-03-14"), on_demand("0.017", "s", "2025-03-14", engine="memcached")]
    assert [row.engine for row in compacted(facts(tmp_path / "facts", rows))] == ["redis"]


def test_inferred_price_stands_alone_and_is_marked(tmp_path: Path) -> None:
    inferred = [*PARTIAL, "0.006", "48", "0.0114794", "INFERRED: from memcached", "2024-10-07"]
    (row,) = compacted(facts(tmp_path / "facts", [], [inferred]))
    assert (row.inferred, row.hourly_usd, row.upfront_usd) == ("yes", "0.006", "48")
    assert texts(tmp_path / "facts")[row.basis] == "INFERRED: from memcached"


def test_inferred_split_completes_an_observed_effective_rate_that_it_meets(tmp_path: Path) -> None:
    observed = [*PARTIAL, "", "", "0.0114794521", "dump", "2025-04-24", "split not published"]
    inferred = [*PARTIAL, "0.006", "48", "0.01147945", "INFERRED: from memcached", "2024-10-07"]
    (row,) = compacted(facts(tmp_path / "facts", [observed], [inferred]))
    assert (row.hourly_usd, row.upfront_usd, row.effective_hourly_usd) == ("0.006", "48", "0.0114794521")
    assert (row.inferred, row.as_of) == ("yes", "2025-04-24")
    assert texts(tmp_path / "facts")[row.source] == "dump"
    assert texts(tmp_path / "facts")[row.basis].startswith("effective rate observed; its split")


def test_inferred_split_that_contradicts_the_observed_rate_is_not_used(tmp_path: Path) -> None:
    observed = [*PARTIAL, "", "", "0.0120", "dump", "2025-04-24", "split not published"]
    inferred = [*PARTIAL, "0.006", "48", "0.01147945", "INFERRED: from memcached", "2024-10-07"]
    (row,) = compacted(facts(tmp_path / "facts", [observed], [inferred]))
    assert (row.hourly_usd, row.upfront_usd, row.effective_hourly_usd) == ("", "", "0.0120")
    assert row.inferred == "no"


def test_inferred_price_never_replaces_an_observed_one(tmp_path: Path) -> None:
    observed = [*PARTIAL, "0.007", "50", "0.0127", "feed", "2024-10-07", ""]
    inferred = [*PARTIAL, "0.006", "48", "0.0127", "INFERRED: from memcached", "2025-10-07"]
    (row,) = compacted(facts(tmp_path / "facts", [observed], [inferred]))
    assert (row.hourly_usd, row.upfront_usd, row.inferred) == ("0.007", "50", "no")


def test_all_faults_of_the_facts_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    strange = [*PLACE, "reserved_5yr", "", "1", "0", "1", "s", "2025-01-01", ""]
    directory = facts(tmp_path / "facts", [strange])
    (directory / "prices_inferred.csv").unlink()
    write(directory, "serverless_and_extras.csv", ["item", "region"])
    with pytest.raises(BadInput) as caught:
        compact(directory, tmp_path / "out")
    message = str(caught.value)
    assert "prices_inferred.csv is missing" in message
    assert "serverless_and_extras.csv lacks the columns as_of, detail" in message
    assert "unknown term 'reserved_5yr '" in message
    assert not (tmp_path / "out").exists()


def test_command_reports_rows_on_stderr_and_returns_2_for_bad_facts(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = facts(tmp_path / "facts", [on_demand("0.017", "s", "2025-03-14")])
    assert main([str(directory), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "prices.csv: 1 rows" in printed.err
    assert printed.out == ""
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert "node_types.csv is missing" in capsys.readouterr().err


def test_newest_serverless_rate_stands_and_dates_in_stray_quotes_are_mended(tmp_path: Path) -> None:
    storage = ["serverless_storage", "us-east-1", "redis", "USD per GB-hour"]
    surcharge = ["sync_durability_addon", "us-east-1", "valkey", "USD per node-hour", "0.02", "m7g"]
    directory = facts(tmp_path / "facts", [], extras=[
        [*storage, "0.126", "", "new", "2026-09-14"], [*storage, "0.125", "", "old", "2025-03-14"],
        [*surcharge, 'a copy "2026', ' undated"'],
    ])
    compact(directory, tmp_path / "out")
    with (tmp_path / "out" / "rates.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["item"]: row for row in csv.DictReader(file)}
    assert rows["serverless_storage"]["amount"] == "0.126"
    assert rows["sync_durability_addon"]["as_of"] == "2026, undated"
