"""`amply-capacity prices`: newer prices are shown before they are kept, and how old prices are is said."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from price_pages import PriceServer, item, listed_items, page, set_environment
from price_pages import serverless as listed_serverless

from amply_capacity.catalog import files, prices, serverless
from amply_capacity.catalog.files import CATALOG_DIR
from amply_capacity.catalog.price_table import PriceTable, read_price_table
from amply_capacity.commands import prices as command
from amply_capacity.files import ROOT

REGION = "eu-west-1"
DAY = date(2026, 11, 28)
PATIENCE_SECONDS = 60.0
KEPT = (f"{REGION},", "us-east-1,", "us-east-2,", "us-west-2,")


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_today", lambda: DAY)


@pytest.fixture(scope="module")
def shipped() -> PriceTable:
    return read_price_table(CATALOG_DIR)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the price table, of a few regions, in the place of the shipped one."""
    directory = tmp_path / "catalog"
    directory.mkdir()
    for name in ("rates.csv", "sources.csv"):
        shutil.copy(CATALOG_DIR / name, directory)
    header, *rows = (CATALOG_DIR / "prices.csv").read_text().splitlines(keepends=True)
    (directory / "prices.csv").write_text(header + "".join(row for row in rows if row.startswith(KEPT)))
    monkeypatch.setattr(files, "CATALOG_DIR", directory)
    for module in (prices, serverless):
        monkeypatch.setattr(module, "CATALOG_DIR", directory)
        module.forget()
    yield directory
    monkeypatch.undo()
    for module in (prices, serverless):
        module.forget()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PriceServer]]:
    """Starts a local price list that gives these answers, and points boto3 at it."""
    started: list[PriceServer] = []

    def start(*answers: dict[str, Any] | str) -> PriceServer:
        server = PriceServer(answers)
        started.append(server.__enter__())
        set_environment(monkeypatch, server.url)
        return server

    yield start
    for server in started:
        server.__exit__()


@pytest.fixture(scope="module")
def changed(shipped: PriceTable) -> dict[str, Any]:
    """The region's list at the table's own prices, but for one that is dearer and one that is new."""
    items = listed_items(shipped.rows, REGION)
    for one in items:
        attributes = one["product"]["attributes"]
        if (attributes["instanceType"], attributes["cacheEngine"]) == ("cache.t4g.small", "Redis"):
            (offer,) = one["terms"]["OnDemand"].values()
            (dimension,) = offer["priceDimensions"].values()
            dimension["pricePerUnit"]["USD"] = "0.0350000000"
    return page([*items, item("cache.r8g.large", "Valkey", "0.1950000000", region=REGION),
                 item(engine="Memcached", region=REGION),
                 *listed_serverless("Redis", REGION, "EU-", storage="0.1450000000"),
                 *listed_serverless("Valkey", REGION, "EU-", ecpu="25")])


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_new_prices_are_shown_and_with_yes_they_are_kept(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any]) -> None:
    serve(changed)
    answer = amply("prices", "refresh", "--region", REGION, "--yes")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "prices in eu-west-1, published 2026-11-20" in lines[0]
    (dearer,) = [line for line in lines if "cache.t4g.small" in line]
    assert "0.0340 →    0.0350 USD/h  +2.9%" in dearer
    (new,) = [line for line in lines if "cache.r8g.large" in line]
    assert "– →    0.1950 USD/h" in new
    counts = {line.split()[0]: line.split()[1] for line in lines if line[:1] != " " and len(line.split()) > 1}
    assert (counts["new"], counts["dearer"], counts["cheaper"]) == ("1", "1", "0")
    assert "left out: 2 ElastiCache Serverless, 1 Memcached" in answer.out
    (rates,) = [line for line in lines if line.startswith("rates  ")]
    assert rates.endswith("3  of Serverless and add-ons: 0 new, 3 changed, 0 unchanged")
    assert "  serverless_storage eu-west-1 redis  0.14 → 0.145 USD per GB-hour" in lines
    assert "rates that stay, since they cannot be read: EU-ElastiCacheProcessingUnits:Valkey" in answer.out
    assert lines[-1] == f"kept in {catalog / 'prices.csv'}"
    found = prices.price(REGION, "redis", "cache.t4g.small")
    assert (found.hourly_usd, found.as_of) == (0.035, "2026-11-28")
    assert prices.price(REGION, "valkey", "cache.r8g.large").source.endswith("read 2026-11-28")
    assert serverless.serverless(REGION, "redis").storage.amount == 0.145
    assert serverless.serverless(REGION, "valkey").ecpus.as_of == "2025-03-14"
    assert not list(catalog.glob("*.tmp"))


def test_where_nobody_can_be_asked_nothing_is_kept_and_the_answer_is_no(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any]) -> None:
    before = contents(catalog)
    serve(changed)
    answer = amply("prices", "refresh", "--region", REGION)
    assert answer.code == 1
    assert "cache.t4g.small" in answer.out
    assert answer.out.splitlines()[-1] == "nothing is kept: the table is as it was"
    assert "--yes" in answer.err
    assert contents(catalog) == before


def test_the_answer_is_one_json_object_and_what_changes_is_said_before_it(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any]) -> None:
    serve(changed, changed)
    refused = amply("prices", "refresh", "--region", REGION, "--json")
    assert (refused.code, refused.json["kept"]) == (1, False)
    answer = amply("prices", "refresh", "--region", REGION, "--json", "--yes")
    assert answer.code == 0
    content = answer.json
    assert (content["kept"], content["regions"]) == (True, [REGION])
    assert content["counts"]["dearer"] == 1
    (dearer,) = content["dearer"]
    assert (dearer["was_usd_per_hour"], dearer["now_usd_per_hour"]) == (0.034, 0.035)
    assert len(content["gone"]) == content["counts"]["gone"]
    assert {(one["item"], one["engine"], one["now"]) for one in content["rates"]["changed"]} == {
        ("serverless_storage", "redis", 0.145), ("serverless_storage", "valkey", 0.125),
        ("serverless_ecpu", "redis", 0.0034)}
    assert len(content["rates"]["unread"]) == 1
    assert "cache.t4g.small" in answer.err


def test_prices_that_are_in_the_table_already_are_not_asked_about(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any]) -> None:
    serve(changed, changed)
    assert amply("prices", "refresh", "--region", REGION, "--yes").code == 0
    kept = contents(catalog)
    answer = amply("prices", "refresh", "--region", REGION)
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "the table holds these prices already"
    assert contents(catalog) == kept


def test_several_regions_are_asked_one_after_the_other(
        amply: Callable, catalog: Path, serve: Callable, shipped: PriceTable,
        changed: dict[str, Any]) -> None:
    server = serve(changed, page(listed_items(shipped.rows, "us-east-2")))
    answer = amply("prices", "refresh", "--region", REGION, "--region", "us-east-2", "--yes", "--json")
    assert answer.code == 0
    assert [asked["Filters"][0]["Value"] for asked in server.asked] == [REGION, "us-east-2"]
    assert "price list, regions  2 done" in answer.err
    as_of = {row.region: row.as_of for row in read_price_table(catalog).rows
             if row[1:4] == ("redis", "cache.t3.micro", "on_demand")}
    assert (as_of[REGION], as_of["us-east-2"], as_of["us-west-2"]) == (
        "2026-11-28", "2026-11-28", "2025-03-14")


def test_without_credentials_the_table_stands_and_its_age_is_said(
        amply: Callable, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, "http://127.0.0.1:9", keys=False)  # nothing is sent without them
    before = contents(catalog)
    answer = amply("prices", "refresh", "--yes")
    answer.assert_refused(
        "the prices are not refreshed: no AWS credentials are found", "aws configure", "pricing:GetProducts",
        "until then the table stands as it is, prices as of 2024-10-07 (2 years 1 month ago) to "
        "2026-10-02 (57 days ago)")
    assert contents(catalog) == before


@pytest.mark.parametrize(("answer", "words"), [
    (page([item(region=REGION, usd="-1")]), ("cannot be read", "no amount")),
    (page([]), ("came in part", REGION)),
    ("AccessDeniedException", ("does not allow pricing:GetProducts",)),
])
def test_what_cannot_be_believed_changes_nothing(
        amply: Callable, catalog: Path, serve: Callable, answer: dict[str, Any] | str,
        words: tuple[str, ...]) -> None:
    before = contents(catalog)
    serve(answer)
    refused = amply("prices", "refresh", "--region", REGION, "--yes")
    refused.assert_refused(*words, "the table stands as it is")
    assert contents(catalog) == before


@pytest.mark.parametrize(("unit", "currency", "word"), [
    ("Lambda-GB-Second", "USD", "unknown unit 'Lambda-GB-Second'"), ("Hrs", "CNY", "unknown currency, CNY")])
def test_an_unknown_unit_or_currency_refuses_the_whole_list(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any], unit: str, currency: str,
        word: str) -> None:
    before = contents(catalog)
    wrong = item(region=REGION)
    (offer,) = wrong["terms"]["OnDemand"].values()
    (dimension,) = offer["priceDimensions"].values()
    dimension |= {"unit": unit, "pricePerUnit": {currency: "0.0680000000"}}
    serve(changed | {"PriceList": [*changed["PriceList"], json.dumps(wrong)]})
    amply("prices", "refresh", "--region", REGION, "--yes").assert_refused(word, "cache.t3.medium for Redis")
    assert contents(catalog) == before


def test_regions_that_are_none_are_refused_before_anything_is_asked(amply: Callable, serve: Callable) -> None:
    server = serve()
    amply("prices", "refresh", "--region", "eu-wast-1", "--region", "cn-north-1").assert_refused(
        "'eu-wast-1'", "eu-west-1", "CNY")
    assert server.asked == []


# As a person has it: a terminal, and a checkout of one's own.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package and its catalog, so that a process of its own may change them."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "amply_capacity", root / "amply_capacity",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CATALOG_DIR, root / "data" / "catalog")
    return root


def start(checkout: Path, *arguments: str, terminal: int | None = None) -> subprocess.Popen[str]:
    """`amply-capacity prices refresh` of that checkout, at that terminal or at none."""
    code = [sys.executable, "-m", "amply_capacity.cli", "prices", "refresh", "--region", REGION, *arguments]
    stream = subprocess.DEVNULL if terminal is None else terminal
    # A measured process would count the copy's modules beside ours.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.Popen(code, cwd=checkout, env=environment | {"PYTHONPATH": str(checkout)}, text=True,
                            stdin=stream, stderr=stream, stdout=subprocess.PIPE)


def read_until(descriptor: int, words: str) -> str:
    said, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while words not in said:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0.0))
        assert ready, f"{words!r} was not said, but {said!r}"
        said += os.read(descriptor, 4096).decode(errors="replace")
    return said


@pytest.mark.parametrize(("reply", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_at_a_terminal_the_question_comes_after_what_changes_and_yes_alone_keeps_it(
        checkout: Path, serve: Callable, changed: dict[str, Any], reply: str, code: int) -> None:
    serve(changed)
    before = contents(checkout / "data" / "catalog")
    primary, terminal = os.openpty()
    try:
        with start(checkout, "--json", terminal=terminal) as process:
            said = read_until(primary, "[y/N]")
            assert contents(checkout / "data" / "catalog") == before
            os.write(primary, f"{reply}\n".encode())
            out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        os.close(terminal)
        os.close(primary)
    assert "cache.t4g.small" in said
    assert process.returncode == code
    assert json.loads(out)["kept"] == (code == 0)
    assert (contents(checkout / "data" / "catalog") == before) == (code != 0)


def test_ctrl_c_in_the_middle_of_the_list_changes_nothing(
        checkout: Path, serve: Callable, changed: dict[str, Any]) -> None:
    before = contents(checkout / "data" / "catalog")
    server = serve(changed | {"NextToken": "next"}, "stalls")
    with start(checkout, "--yes") as process:
        server.wait_until_asked(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (130, "")
    assert contents(checkout / "data" / "catalog") == before


# prices show


def test_prices_show_says_their_age_and_warns_of_old_ones_on_stderr(amply: Callable) -> None:
    answer = amply("prices", "show", "--region", REGION, "--json")
    assert answer.code == 0
    assert len(answer.json["prices"]) > 50
    assert answer.err.startswith("prices as of 2025-03-14 (1 year 8 months ago)")
    assert "warning: " in answer.err
    assert "prices are older than 180 days, the oldest as of 2025-03-14" in answer.err
    assert "prices refresh" in answer.err


def test_prices_show_does_not_warn_of_prices_of_the_last_180_days(
        amply: Callable, catalog: Path, serve: Callable, changed: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch) -> None:
    serve(changed)
    assert amply("prices", "refresh", "--region", REGION, "--yes").code == 0
    answer = amply("prices", "show", "--region", REGION)
    assert answer.err == "prices as of 2026-11-28 (today)\n"
    monkeypatch.setattr(command, "_today", lambda: date(2027, 5, 28))
    answer = amply("prices", "show", "--region", REGION)
    assert "as of 2026-11-28 (5 months ago)" in answer.err
    assert "older than 180 days" in answer.err


def test_prices_show_without_a_region_says_the_age_of_the_whole_table(amply: Callable) -> None:
    answer = amply("prices", "show")
    assert "us-east-1" in answer.out.split()
    assert answer.err.startswith("prices as of 2024-10-07 (2 years 1 month ago) to 2026-10-02 (57 days ago)")
    assert "7 of 17,023 prices bear no date" in answer.err
