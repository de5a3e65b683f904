from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from amply_capacity.catalog import prices, serverless
from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.listed_price import ListedPrice
from amply_capacity.catalog.listed_rate import ListedRate
from amply_capacity.catalog.price_table import (
    PriceTable,
    keep_price_table,
    read_price_table,
    with_listed,
)
from amply_capacity.errors import AmplyError, BadInput

DAY = date(2026, 11, 28)
FILES = ("prices.csv", "rates.csv", "sources.csv")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(CATALOG_DIR / name, tmp_path / name)
    return tmp_path


def listed(term: str = "on_demand", hourly: str = "0.0190000000", upfront: str = "0",
           published: str = "2026-11-20") -> ListedPrice:
    return ListedPrice("us-east-1", "redis", "cache.t3.micro", term, Decimal(hourly), Decimal(upfront),
                       published)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_shipped_table_is_written_byte_for_byte_as_it_is(directory: Path) -> None:
    before = contents(directory)
    table = read_price_table(directory)
    keep_price_table(directory, table, with_listed(table, [], DAY))
    assert contents(directory) == before


def test_a_new_price_changes_its_row_and_adds_its_source_and_nothing_else(directory: Path) -> None:
    table = read_price_table(directory)
    keep_price_table(directory, table, with_listed(table, [listed()], DAY))
    before, after = ((place / "prices.csv").read_text().splitlines() for place in (CATALOG_DIR, directory))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    number = str(1 + max(int(row.source) for row in table.sources))
    ((old, new),) = changed
    assert old.startswith("us-east-1,redis,cache.t3.micro,on_demand,0.017,,0.017,no,,")
    assert new == f"us-east-1,redis,cache.t3.micro,on_demand,0.019,,0.019,no,,{number},2026-11-28"
    sources = (directory / "sources.csv").read_text()
    assert sources == (CATALOG_DIR / "sources.csv").read_text() + (
        f'{number},"AWS Price List API, get_products of AmazonElastiCache, published 2026-11-20, '
        'read 2026-11-28"\n')


@pytest.mark.parametrize(("term", "hourly", "upfront", "cells"), [
    ("on_demand", "0.0190000000", "0", ("0.019", "", "0.019")),
    ("1yr_no", "0.0120000000", "0", ("0.012", "0", "0.012")),
    ("1yr_all", "0.0000000000", "100.0000000000", ("0", "100", "0.0114155251")),
    ("3yr_partial", "0.0050000000", "131.4", ("0.005", "131.4", "0.01")),
])
def test_a_row_is_written_as_the_table_writes_them(
        term: str, hourly: str, upfront: str, cells: tuple[str, str, str]) -> None:
    assert listed(term, hourly, upfront).row("40", "2026-11-28")[4:7] == cells


def test_a_price_that_is_confirmed_keeps_its_figures_and_is_observed_from_then_on(directory: Path) -> None:
    table = read_price_table(directory)
    key = ("eu-west-1", "redis", "cache.t4g.small", "1yr_partial")
    old = table.by_key()[key]
    assert old.inferred == "yes"
    same = ListedPrice(*key, Decimal("0.0110000000"), Decimal("97.0000"), "2026-11-20")
    new = with_listed(table, [same], DAY).by_key()[key]
    assert new[:7] == old[:7]
    assert (new.inferred, new.basis, new.as_of) == ("no", "", "2026-11-28")


def test_one_source_is_written_once_and_one_without_a_date_says_so(directory: Path) -> None:
    table = read_price_table(directory)
    some = [listed(), listed("1yr_no", "0.012"), listed("3yr_no", "0.01", published="")]
    after = with_listed(table, some, DAY)
    texts = [row.text for row in after.sources[len(table.sources):]]
    assert len(texts) == 2
    assert "publication date not said" in texts[1]
    again = with_listed(after, [listed()], DAY)
    assert again == after


def test_this_process_answers_with_the_table_that_was_kept(
        directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "CATALOG_DIR", directory)
    monkeypatch.setattr("amply_capacity.catalog.files.CATALOG_DIR", directory)
    prices.forget()
    try:
        assert prices.price("us-east-1", "redis", "cache.t3.micro").hourly_usd == 0.017
        table = read_price_table(directory)
        keep_price_table(directory, table, with_listed(table, [listed()], DAY))
        found = prices.price("us-east-1", "redis", "cache.t3.micro")
        assert (found.hourly_usd, found.upfront_usd, found.as_of) == (0.019, 0.0, "2026-11-28")
        assert "published 2026-11-20" in found.source
    finally:
        monkeypatch.undo()
        prices.forget()


def test_this_process_answers_with_the_rates_that_were_kept(
        directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serverless, "CATALOG_DIR", directory)
    monkeypatch.setattr("amply_capacity.catalog.files.CATALOG_DIR", directory)
    prices.forget()
    serverless.forget()
    rate = ListedRate("serverless_storage", "us-west-2", "redis", "", Decimal("0.13"),
                      "USW2-CachedData:Redis", "2026-11-20")
    try:
        assert serverless.serverless("us-west-2", "redis").storage.amount == 0.125
        table = read_price_table(directory)
        keep_price_table(directory, table, with_listed(table, [], DAY, [rate]))
        found = serverless.serverless("us-west-2", "redis").storage
        assert (found.amount, found.detail, found.as_of) == (0.13, "USW2-CachedData:Redis", "2026-11-28")
        assert "published 2026-11-20" in found.source
    finally:
        monkeypatch.undo()
        prices.forget()
        serverless.forget()


def test_a_table_that_changed_meanwhile_is_not_overwritten(directory: Path) -> None:
    table = read_price_table(directory)
    other = with_listed(table, [listed(hourly="0.018")], DAY)
    keep_price_table(directory, table, other)
    before = contents(directory)
    with pytest.raises(AmplyError, match=r"left as it is.*changed while"):
        keep_price_table(directory, table, with_listed(table, [listed()], DAY))
    assert contents(directory) == before


@pytest.mark.parametrize("name", FILES)
def test_where_one_file_cannot_be_written_both_stay_as_they_were(directory: Path, name: str) -> None:
    table = read_price_table(directory)
    (directory / f"{name}.tmp").mkdir()
    with pytest.raises(BadInput, match="cannot be written"):
        keep_price_table(directory, table, with_listed(table, [listed()], DAY))
    assert read_price_table(directory) == table
    assert {path.name for path in directory.iterdir()} == {*FILES, f"{name}.tmp"}


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing.*prices\.csv"):
        read_price_table(tmp_path)


def test_an_empty_table_takes_its_first_source() -> None:
    after = with_listed(PriceTable((), ()), [listed()], DAY)
    assert [row.source for row in after.sources] == ["1"]
    assert after.rows[0].source == "1"
