"""The workbook: numbers that are numbers, formulas that give them, and names that are never formulas."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostile import NAMES, hostile
from sheet_text import Book

from amply_capacity.errors import BadInput
from amply_capacity.report.document import Document
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.workbook import render_workbook

pytestmark = pytest.mark.xdist_group("report")


@pytest.fixture(scope="module")
def content(document: Document) -> bytes:
    return render_workbook(document)


@pytest.fixture(scope="module")
def book(content: bytes) -> Book:
    return Book(content)


def test_there_is_a_sheet_a_question(document: Document, book: Book) -> None:
    questions = [cells["A"].text for cells in (book.rows(name)[1] for name in book.sheets)]
    assert questions == [document.content["title"],
                         *(section.question for section in layout_of(document.content).sections),
                         "Where every figure comes from"]


def test_the_bill_of_each_month_is_a_number_and_their_sum_a_formula(document: Document, book: Book) -> None:
    months = document.content["plan"]["months"]
    rows = book.rows("Cost by month")
    header = next(row for row, cells in rows.items() if "D" in cells and cells["D"].text == "5 %")
    for place, month in enumerate(months, start=header + 1):
        values = [rows[place][column].number for column in "DEFGH"]
        assert values == [month[f"usd_{name}"] for name in ("low", "lower", "mid", "upper", "high")]
        assert rows[place]["A"].number is not None, "a date"
    total = rows[header + len(months) + 1]
    assert total["F"].formula == f"SUM(F{header + 1}:F{header + len(months)})"
    assert total["F"].number == pytest.approx(sum(month["usd_mid"] for month in months))


def test_every_formula_gives_the_figure_that_stands_there(book: Book) -> None:
    formulas = 0
    for sheet, cells in book.sheets.items():
        for reference, cell in cells.items():
            if cell.formula is not None:
                formulas += 1
                value = book.reckoned(sheet, reference)
                if cell.number is None:
                    assert value == cell.text, (sheet, reference)
                else:
                    assert value == pytest.approx(cell.number, rel=2e-4, abs=0.02), (sheet, reference, cell)
    assert formulas > 15


def test_what_if_breaks_even_where_the_plan_does(document: Document, book: Book) -> None:
    even = document.content["plan"]["replica"]["break_even"]
    rows = book.rows("Replica")
    for label, name in (("breaks even at failures per year", "failures_per_year"),
                        ("breaks even at USD for each minute of downtime", "usd_per_downtime_minute"),
                        ("breaks even at registered users", "users")):
        cell = rows[book.row_of("Replica", label)]["B"]
        assert cell.formula is not None
        if even[name]:
            assert cell.number == pytest.approx(even[name], rel=1e-9)


def test_what_if_answers_other_numbers(changed: Callable[..., Document]) -> None:
    def dear(content: dict[str, Any]) -> None:
        content["plan"]["replica"]["medians"]["failures_per_year"] = 0.0

    book = Book(render_workbook(changed(dear)))
    row = book.row_of("Replica", "breaks even at registered users")
    assert book.rows("Replica")[row]["B"].text == "never"
    row = book.row_of("Replica", "USD a month that a replica avoids")
    assert book.reckoned("Replica", f"B{row}") == 0.0


def test_headers_stay_in_sight_money_is_dollars_and_there_are_charts(book: Book) -> None:
    names = list(book.sheets)
    for place in range(1, len(names) + 1):
        assert 'state="frozen"' in book.part(f"xl/worksheets/sheet{place}.xml"), names[place - 1]
    styles = book.part("xl/styles.xml")
    for form in ("&quot;$&quot;#,##0.00", "mmmm yyyy", "#,##0.0,,&quot; MB&quot;", "0.0 %"):
        assert form in styles, form
    charts = [name for name in book.archive.namelist() if name.startswith("xl/charts/chart")]
    assert len(charts) == 3
    assert "'Cost by month'!$F$" in "".join(book.part(name) for name in charts)


def test_charts_are_printed_whole(book: Book) -> None:
    areas = re.findall(r'Print_Area" localSheetId="(\d+)">[^<]*!\$A\$1:\$([A-Z])\$(\d+)<',
                       book.part("xl/workbook.xml"))
    last = {int(place) + 1: (ord(column) - ord("A"), int(row) - 1) for place, column, row in areas}
    printed = 0
    for place in range(1, len(book.sheets) + 1):
        sheet = book.part(f"xl/worksheets/sheet{place}.xml")
        assert 'orientation="landscape"' in sheet
        assert 'fitToHeight="0"' in sheet, "as wide as a page, of as many as it takes"
        if "<drawing " not in sheet:
            continue
        links = book.part(f"xl/worksheets/_rels/sheet{place}.xml.rels")
        drawing = book.part(f"xl/drawings/{re.findall(r'drawings/(.*?)[.]xml', links)[0]}.xml")
        corners = re.findall(r"<xdr:col>(\d+)</xdr:col>.*?<xdr:row>(\d+)</xdr:row>", drawing)
        (_, top), (right, bottom) = [(int(column), int(row)) for column, row in corners]
        assert right <= last[place][0], "as wide as the print area at most"
        assert bottom <= last[place][1]
        written = max(row for row, cells in book.rows(list(book.sheets)[place - 1]).items() if "A" in cells)
        broken = [int(row) for row in re.findall(r'<brk id="(\d+)"', sheet)]
        assert written <= broken[0] <= top, "a page of its own: none is cut in two"
        printed += 1
    assert printed == 3


def test_a_millionth_is_no_exponent(changed: Callable[..., Document]) -> None:
    def rare(content: dict[str, Any]) -> None:
        content["plan"]["replica"]["setups"][0]["lost_writes"]["low"] = 5.277e-6

    book = Book(render_workbook(changed(rare)))
    sheet = book.part(f"xl/worksheets/sheet{list(book.sheets).index('Replica') + 1}.xml")
    style = re.findall(r'<c r="[A-Z]+\d+" s="(\d+)"><v>5.277E-06</v>', sheet)
    assert len(style) == 1, "not rounded"
    styles = book.part("xl/styles.xml")
    used = re.findall(r'<xf numFmtId="(\d+)"', styles.partition("<cellXfs")[2])[int(style[0])]
    assert f'<numFmt numFmtId="{used}" formatCode="[=0]0;[&lt;9.95]0.00;#,##0"/>' in styles


def test_keys_lead_to_their_line_of_the_sources(book: Book) -> None:
    sources = {cells["A"].text: row for row, cells in book.rows("Sources").items() if "A" in cells}
    led = 0
    for place in range(1, len(book.sheets)):
        sheet = book.part(f"xl/worksheets/sheet{place}.xml")
        for target, key in re.findall(
                r'<hyperlink ref="[A-Z]+\d+" location="Sources!A(\d+)" display="([A-Z]\d+)"', sheet):
            assert sources[key] == int(target)
            led += 1
    assert led > 100


def test_the_same_document_gives_the_same_bytes_dated_as_the_newest_run(
        document: Document, content: bytes, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 86_400.0
    monkeypatch.setattr(time, "time", lambda: later)
    assert render_workbook(document) == content
    newest = max(run["started_at"] for run in document.content["runs"])[:19]
    assert f">{newest}Z</dcterms:created>" in book.part("docProps/core.xml")


def test_hostile_names_are_text_and_never_a_formula_or_a_link(document: Document, book: Book) -> None:
    wicked = Book(render_workbook(hostile(document)))
    texts = {cell.text for cells in wicked.sheets.values() for cell in cells.values()}
    for name in NAMES:
        assert name in texts, name
    ours = {cell.formula for cells in book.sheets.values() for cell in cells.values()}
    theirs = {cell.formula for cells in wicked.sheets.values() for cell in cells.values()}
    # Ours move down by the rows that were added.
    assert {_shape(one) for one in theirs} <= {_shape(one) for one in ours}
    relations = [name for name in wicked.archive.namelist() if name.endswith(".rels")]
    assert not [name for name in relations if 'TargetMode="External"' in wicked.part(name)]


def _shape(formula: str | None) -> str | None:
    return None if formula is None else re.sub(r"\d+", "#", formula)


def test_what_nobody_knows_is_a_word_and_in_no_formula(changed: Callable[..., Document]) -> None:
    def forget(content: dict[str, Any]) -> None:
        plan = content["plan"]
        for month in plan["months"][3:]:
            month |= {f"usd_{name}": None for name in ("low", "lower", "mid", "upper", "high")}
        plan["headroom"][0] |= {"available": None, "headroom_percent": None}
        plan["spec_table"][0] |= {"true_usd": None, "source": None, "as_of": None}
        plan["strategies"][1] |= {"usd_total": None, "usd_total_expected": None, "usd_first_month": None,
                                  "difference_expected": None, "unserved": None, "note": "no price"}

    book = Book(render_workbook(changed(forget)))
    for name, words in (("Cost by month", "unknown"), ("Why", "unknown"), ("Decision", "not offered"),
                        ("Other ways", "not priced")):
        assert words in {cell.text for cell in book.sheets[name].values()}
    for sheet, cells in book.sheets.items():
        for reference, cell in cells.items():
            if cell.formula is not None and "SUM" not in cell.formula:
                book.reckoned(sheet, reference)


def test_a_plan_of_another_schema_is_refused(changed: Callable[..., Document]) -> None:
    with pytest.raises(BadInput, match="made by another version"):
        render_workbook(changed(lambda content: content["plan"].update(schema=1)))
