"""No figure differs between the formats: each is read back from what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pdf_text import Pdf, squeezed
from sheet_text import Book

from amply_capacity.report.cells import Cell
from amply_capacity.report.document import Document
from amply_capacity.report.files import FORMATS, write_report
from amply_capacity.report.layout import Layout, Row, Table
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.markdown import escaped

pytestmark = pytest.mark.xdist_group("report")

ON_THE_PAGE = {
    "months": ("5 %", "Median", "95 %", "Nothing fits"), "bill": ("Quantity", "USD"),
    "headroom": ("Needed, median", "5 %", "95 %", "Available", "Left"),
    "ranked": ("Now", "Expected, with harm", "Regret", "Best in", "Fits in", "Left"),
    "ways": ("First month", "Against the plan", "Cheaper in"), "influences": ("Worth a month",),
    "operations": ("Operations", "Per second", "p50 ms", "p99 ms", "p99.9 ms"),
    "bytes": ("Bytes", "Low", "High"), "promises": ("Target", "Measured"), "server": ("Measured",),
}
"""Columns that the page has as well, by table; of `spec` those that name money."""
HEADS = {"operations": 2}
"""Columns that name a row; one without."""
SCALES = {"MB": 1e6, "Mbit/s": 1e6, "Gbit/s": 1e9, "%": 0.01, "millionths": 1e-6}


@pytest.fixture(scope="module")
def written(document: Document, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = write_report(document, tmp_path_factory.mktemp("formats"), FORMATS)
    return {path.suffix[1:]: path for path in paths}


@pytest.fixture(scope="module")
def layout(document: Document) -> Layout:
    return layout_of(document.content)


def tables(layout: Layout) -> Iterator[Table]:
    yield from layout.first
    for section in layout.sections:
        yield from section.tables


def all_rows(table: Table) -> tuple[Row, ...]:
    return (*table.rows, *(() if table.total is None else (table.total,)))


def test_five_formats_are_written(written: dict[str, Path]) -> None:
    assert set(written) == set(FORMATS)


def test_a_text_says_its_number_to_its_last_digit(layout: Layout) -> None:
    read = 0
    for table in tables(layout):
        for row in all_rows(table):
            for cell in row.cells:
                if cell.number is not None and not cell.is_date:
                    read += 1
                    value, digit = number_in(cell.text)
                    assert abs(value - cell.number) <= 0.5001 * digit + 1e-9 * abs(value), (table.key, cell)
    assert read > 500


def test_the_json_holds_every_number_that_the_others_show(layout: Layout, written: dict[str, Path]) -> None:
    held = set(numbers(json.loads(written["json"].read_text())))
    for table in tables(layout):
        if table.key in {"months", "bill", "headroom", "ranked", "operations", "bytes", "memory", "excuses"}:
            for row in table.rows:
                for cell in row.cells:
                    if cell.number is not None and not cell.is_date:
                        assert {cell.number, round(100.0 * cell.number, 6)} & held, (table.key, cell)


def test_the_pdf_shows_every_row_of_paper(layout: Layout, written: dict[str, Path]) -> None:
    text = squeezed(Pdf(written["pdf"].read_bytes()).text)
    for table, row in on_paper(layout):
        cells = "".join(squeezed(row.cells[place].text + row.cells[place].detail)
                        for place in table.paper_columns)
        assert cells in text, (table.key, cells)


def test_the_markdown_shows_every_row_of_paper(layout: Layout, written: dict[str, Path]) -> None:
    lines = written["md"].read_text().splitlines()
    for table, row in on_paper(layout):
        cells = [escaped(row.cells[place].text) for place in table.paper_columns]
        pattern = re.compile(r"\| " + r"(?:<br><sub>.*?</sub>)? \| ".join(map(re.escape, cells)))
        assert any(pattern.match(line) for line in lines), (table.key, cells)


def test_the_workbook_holds_every_number_of_every_row(layout: Layout, written: dict[str, Path]) -> None:
    book = Book(written["xlsx"].read_bytes())
    rows = [list(cells.values()) for name in book.sheets for cells in book.rows(name).values()]
    by_head: dict[str, list[list[Any]]] = {}
    for held in rows:
        head = held[0].text if held[0].text is not None else f"{held[0].number:.0f}"
        by_head.setdefault(head, []).append(held)
    for table in tables(layout):
        for row in all_rows(table):
            head = row.cells[0].text if row.cells[0].number is None else f"{row.cells[0].number:.0f}"
            wanted = [cell.number for cell in row.cells if cell.number is not None]
            assert any(all(any(held.number == pytest.approx(one, rel=1e-3, abs=1e-4) for held in found
                               if held.number is not None) for one in wanted)
                       for found in by_head.get(head, ())), (table.key, head)


def test_the_page_shows_the_same_figures(layout: Layout, written: dict[str, Path]) -> None:
    rows = page_rows(written["html"].read_text())
    for table in tables(layout):
        shown = ON_THE_PAGE.get(table.key, ())
        if table.key == "spec":
            shown = tuple(column.title for column in table.columns
                          if column.title.startswith(("Spec", "True")))
        places = [place for place, column in enumerate(table.columns)
                  if column.title in shown or column.title.endswith("months, expected")]
        for row in table.on_paper if places else ():
            heads = [row.cells[place].text for place in range(HEADS.get(table.key, 1))]
            texts = [row.cells[place].text for place in places if row.cells[place].number is not None]
            found = [one for one in rows if all(any(head in cell for cell in one) for head in heads)]
            assert any(all(any(text in cell for cell in one) for text in texts) for one in found), (
                table.key, heads, texts, found[:3])


def test_the_decision_is_the_same_everywhere(document: Document, layout: Layout,
                                             written: dict[str, Path]) -> None:
    conclusion = document.content["conclusion"]
    assert f"{layout.decision.text} {layout.further.text}".strip() == conclusion
    assert json.loads(written["json"].read_text())["conclusion"] == conclusion
    for text in (conclusion.partition(". ")[0], conclusion.partition(". ")[2]):
        assert escaped(text) in written["md"].read_text()
        assert squeezed(text) in squeezed(Pdf(written["pdf"].read_bytes()).text)
        assert text in unescape(written["html"].read_text())


def on_paper(layout: Layout) -> Iterator[tuple[Table, Row]]:
    for table in tables(layout):
        if not table.is_sheet_only:
            for row in (*table.on_paper, *(() if table.total is None else (table.total,))):
                yield table, row


def page_rows(page: str) -> list[list[str]]:
    """Texts of the cells of every row of the page's tables."""
    found = []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        found.append([" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells])
    return found


def numbers(content: Any) -> Iterator[float]:
    if isinstance(content, dict):
        for value in content.values():
            yield from numbers(value)
    elif isinstance(content, list):
        for value in content:
            yield from numbers(value)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield float(content)
        yield round(float(content), 6)


def number_in(text: str) -> tuple[float, float]:
    """The first number of a text, and the worth of its last digit."""
    found = re.match(r"([−+-]?)\$?([\d,]*\.?\d+)(?:e([+-]\d+))?\s*(\S*)", text)
    assert found is not None, text
    sign, digits, exponent, unit = found.groups()
    plain = digits.replace(",", "")
    scale = SCALES.get(unit, 1.0) * 10.0 ** int(exponent or 0)
    places = len(plain.partition(".")[2])
    value = float(plain) * scale * (-1.0 if sign in {"−", "-"} else 1.0)
    return value, 10.0**-places * scale


def test_a_number_is_read_from_its_text() -> None:
    assert number_in("−$1,234.50") == (-1234.5, 0.01)
    assert number_in("12.3 MB") == (12_300_000.0, pytest.approx(100_000.0))
    assert Cell("x").number is None
