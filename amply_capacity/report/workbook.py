"""The report as an Excel workbook: a sheet a question, real numbers with their units, formulas that reckon.

Text from outside is written as text, whatever it begins with: only formulas made here are formulas.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from amply_capacity.report.cells import Cell
from amply_capacity.report.document import Document
from amply_capacity.report.formulas import add_break_even, add_charts, formula_of, total_of
from amply_capacity.report.layout import Column, Layout, Row, Said, Section, Table
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.sheet import Sheet, width_of
from amply_capacity.report.sources import KINDS

if TYPE_CHECKING:
    from xlsxwriter import Workbook

__all__ = ["render_workbook"]

_SHEETS = {"why": "Why", "replica": "Replica", "cost": "Cost by month", "ways": "Other ways",
           "alternatives": "Alternatives", "measured": "Promises", "excuses": "Why not"}
_DECISION, _SOURCES = "Decision", "Sources"


def render_workbook(document: Document) -> bytes:
    """The workbook of a document, its date the newest run's; the same document gives the same bytes.

    Raises BadInput for a document of another schema.
    """
    import xlsxwriter

    layout = layout_of(document.content)
    recorded = max(datetime.fromisoformat(run["started_at"]) for run in document.content["runs"])
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False,
                                            "strings_to_urls": False, "strings_to_numbers": False})
    workbook.set_properties({"title": layout.title, "author": "amply-capacity", "comments": layout.footer,
                             "created": recorded.replace(microsecond=0, tzinfo=None)})
    workbook.set_calc_mode("auto")
    _write(workbook, layout, document.content["plan"])
    workbook.close()
    return buffer.getvalue()


def _write(workbook: Workbook, layout: Layout, plan: Mapping[str, Any]) -> None:
    rows = _source_rows(layout)
    _decision(Sheet(workbook, _DECISION, rows, width_of(layout.first)), layout)
    for section in layout.sections:
        sheet = Sheet(workbook, _SHEETS.get(section.key, section.key.replace("run-", "Run ")), rows,
                      width_of(section.tables))
        _question(sheet, section)
        if section.key == "replica":
            add_break_even(sheet, plan)
        add_charts(workbook, sheet, section.key)
        sheet.finish()
    _sources(Sheet(workbook, _SOURCES, rows, 0), layout, rows)


def _decision(sheet: Sheet, layout: Layout) -> None:
    sheet.heading(layout.title, layout.kicker)
    sheet.said(layout.decision, is_decision=True)
    sheet.said(layout.further)
    sheet.table(Table("tiles", "", (Column("What"), Column("Decision"), Column("Because")), tuple(
        Row((Cell(tile.label), tile.cell, Cell(tile.note)), tile.keys) for tile in layout.tiles)))
    for warning in layout.warnings:
        sheet.note(f"Read with care: {warning}")
    for table in layout.first:
        sheet.table(table, formula_of(table), total_of(table))
    for note in (*layout.first_notes, layout.meta, layout.footer):
        sheet.note(note)
    sheet.finish()


def _question(sheet: Sheet, section: Section) -> None:
    sheet.heading(section.question)
    for said in section.said:
        sheet.said(said)
    for table in section.tables:
        sheet.table(table, formula_of(table), total_of(table))
    for note in section.notes:
        sheet.note(note)


def _source_rows(layout: Layout) -> dict[str, int]:
    """Row of each source on its sheet, from 0, as `_sources` writes them."""
    rows: dict[str, int] = {}
    row = 4
    for kind in KINDS:
        for line in layout.sources.lines:
            if line.kind == kind:
                rows |= {line.key: row} if line.key else {}
                row += 1
    return rows


def _sources(sheet: Sheet, layout: Layout, rows: Mapping[str, int]) -> None:
    sheet.heading("Where every figure comes from")
    sheet.said(Said("A number in a table leads here by the key at the end of its row."))
    lines = [line for kind in KINDS for line in layout.sources.lines if line.kind == kind]
    columns = tuple(map(Column, ("Key", "What", "Value", "Source", "As of")))
    sheet.table(Table("sources", "", columns, tuple(
        Row((Cell(line.key), Cell(line.what), line.value, Cell(line.source), Cell(line.as_of)))
        for line in lines)))
    first, _ = sheet.tables["sources"]
    assert all(first + place == rows[line.key] for place, line in enumerate(lines) if line.key)
    sheet.finish()

