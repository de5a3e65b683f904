"""One sheet of the workbook, written from the top down: question, answers, tables, notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xlsxwriter.utility import xl_col_to_name

from amply_capacity.report.cells import Cell
from amply_capacity.report.layout import Row, Said, Table

if TYPE_CHECKING:
    from xlsxwriter.chart import Chart
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

__all__ = ["Formula", "Sheet", "width_of"]

Formula = Callable[[int, int], str | None]
"""Formula of a cell by its row in the table and its place there, from 0; None where it holds a plain number.

`{row}` is that row, `{first}` and `{last}` the table's, `{c2}` the column of place 2.
"""

_INK, _DEEP, _MUTED, _RULE, _MARKED = "#1b2733", "#0b2a42", "#566575", "#dfe6ec", "#eef6fc"
_WIDEST, _NARROWEST, _PADDING = 62, 9, 3
_LONGEST = 32_767
"""Characters that a cell of Excel can hold."""
_MERGED, _LINE_CHARACTERS, _LINE_POINTS = 8, 130, 15.0
"""Columns across which a sentence stands, and what fits into a line of it."""
_KEY_WIDTH = 5
_CHART_PIXELS, _ROW_PIXELS = (760, 380), 20


class Sheet:
    """Rows and columns count from 0, as xlsxwriter's do; `places` are the rows of the sources on theirs."""

    def __init__(self, workbook: Workbook, name: str, places: Mapping[str, int], key_column: int) -> None:
        self.sheet: Worksheet = workbook.add_worksheet(name)
        self.name = name
        self.tables: dict[str, tuple[int, int]] = {}
        """First and last row of each table's content, by its key."""
        self.columns: dict[str, Mapping[int, int]] = {}
        """Column of each place of a table's rows, by its key."""
        self._workbook, self._places = workbook, places
        self._key_column = max(key_column, _MERGED + 1)
        self._row = 0
        self._widths: dict[int, int] = {}
        self._key_columns: set[int] = set()
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        self._frozen_at: int | None = None

    def heading(self, text: str, below: str = "") -> None:
        """The question, large."""
        self.sheet.set_row(0, 26)
        self._text(0, 0, text, bold=True, font_size=16, font_color=_DEEP)
        self._row = 1
        if below:
            self._text(1, 0, below, font_color=_MUTED)
            self._row = 2

    def said(self, said: Said, *, is_decision: bool = False) -> None:
        """A sentence, and links to what it rests on beside it."""
        self._across(said.text, **({"font_size": 13, "bold": True} if is_decision else {"font_size": 11}))
        self._keys(self._row, self._key_column, said.keys, {})
        self._row += 1

    def note(self, text: str) -> None:
        """A line in small print."""
        self._across(text, font_color=_MUTED, italic=True)
        self._row += 1

    def table(self, table: Table, formula: Formula | None = None,
              total: Mapping[int, str] | None = None) -> None:
        """The table at the next free row; the first one's header is frozen.

        A figure with bounds takes three columns, a cell with a detail two; keys stand from the sheet's key
        column on.
        """
        self._row += 1
        if table.title:
            self._text(self._row, 0, table.title, bold=True, font_color=_DEEP)
            self._row += 1
        parts = _parts(table)
        has_keys = any(row.keys for row in table.rows)
        for at, (title, part, place) in enumerate(parts):
            self._title(at, title, is_right=part != "detail" and table.is_numeric(place))
        if has_keys:
            self._title(self._key_column, "Source")
        self._row += 1
        if self._frozen_at is None:
            self._frozen_at = self._row
            self.sheet.freeze_panes(self._row, 0)
            self.sheet.repeat_rows(self._row - 1)
        first = self._row
        columns = {place: at for at, (_, part, place) in enumerate(parts) if part == "cell"}
        self.tables[table.key] = (first, first + len(table.rows) - 1)
        self.columns[table.key] = columns
        for number, row in enumerate(table.rows):
            texts = {} if formula is None else {place: formula(number, place) for place in columns}
            self._line(row, parts, texts, {"bg_color": _MARKED} if row.is_marked else {}, first)
        if table.total is not None:
            self._line(table.total, parts, total or {}, {"bold": True, "top": 1, "top_color": _DEEP}, first)

    def figure(self, row: int, column: int, cell: Cell, formula: str | None = None, **style: Any) -> None:
        """One number, or the formula that gives it."""
        assert cell.number is not None
        side = _apart(column) if cell.is_date else {}
        form = self._format(num_format=cell.excel, **side, **style)
        if formula is None:
            self.sheet.write_number(row, column, cell.number, form)
        else:
            self.sheet.write_formula(row, column, f"={formula}", form, cell.number)
        self._widen(column, len(cell.text))

    def take_row(self) -> int:
        """The next free row, which is then taken."""
        self._row += 1
        return self._row - 1

    def label(self, row: int, column: int, text: str, **style: Any) -> None:
        """A text beside figures."""
        self._text(row, column, text, **style)
        self._widen(column, len(text))

    def chart(self, chart: Chart, title: str) -> None:
        """Below all that is written, and on a page of its own where it is printed: it is not cut in two."""
        self._row += 1
        chart.set_size({"width": _CHART_PIXELS[0], "height": _CHART_PIXELS[1]})
        self.sheet.set_h_pagebreaks([self._row])
        self._row += 1
        self.sheet.insert_chart(self._row, 0, chart, {"description": title})
        self._row += math.ceil(_CHART_PIXELS[1] / _ROW_PIXELS)

    def finish(self) -> None:
        """Widths, and how it prints: a page wide, the header on each."""
        for column, width in self._widths.items():
            self.sheet.set_column(column, column, min(max(width + _PADDING, _NARROWEST), _WIDEST))
        if self._key_columns:
            self.sheet.set_column(min(self._key_columns), max(self._key_columns), _KEY_WIDTH)
        self.sheet.print_area(0, 0, self._row, self._key_column - 1)
        self.sheet.hide_gridlines(2)
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_footer("&L&A&RPage &P of &N")

    def _title(self, column: int, title: str, *, is_right: bool = False) -> None:
        side = {"align": "right"} if is_right else _apart(column)
        self._text(self._row, column, title, bold=True, bottom=1, bottom_color=_DEEP, font_color=_MUTED,
                   text_wrap=" " in title, valign="bottom", **side)
        self._widen(column, max([len(title) // 2 + 2, *map(len, title.split())]))  # two lines at most

    def _line(self, row: Row, parts: Sequence[tuple[str, str, int]], formulas: Mapping[int, str | None],
              style: Mapping[str, Any], first: int) -> None:
        letters = {f"c{place}": xl_col_to_name(at) for at, (_, part, place) in enumerate(parts)
                   if part == "cell"}
        for at, (_, part, place) in enumerate(parts):
            cell = row.cells[place]
            formula = formulas.get(place) if part == "cell" else None
            self._cell(self._row, at, _part(cell, part), None if formula is None else formula.format(
                row=self._row + 1, first=first + 1, last=self._row, **letters), style)
        self._keys(self._row, self._key_column, row.keys, style)
        lines = max(1 + len(text) // (_WIDEST - 2) for cell in row.cells for text in (cell.text, cell.detail))
        if lines > 1:
            self.sheet.set_row(self._row, _LINE_POINTS * lines)
        self._row += 1

    def _cell(self, row: int, column: int, cell: Cell, formula: str | None, style: Mapping[str, Any]) -> None:
        edged = {"bottom": 1, "bottom_color": _RULE, "valign": "top", **style}
        if cell.number is None:
            self._text(row, column, cell.text, text_wrap=len(cell.text) > _WIDEST, **_apart(column), **edged)
            self._widen(column, len(cell.text) + 1)
        else:
            self.figure(row, column, cell, formula, **edged)

    def _keys(self, row: int, column: int, keys: Sequence[str], style: Mapping[str, Any]) -> None:
        """A cell for each, since a cell can lead to one place only."""
        form = self._format(font_color=_MUTED, font_size=8, valign="top", **style)
        for place, key in enumerate(dict.fromkeys(keys)):
            self.sheet.write_url(row, column + place, f"internal:Sources!A{self._places[key] + 1}", form, key)
            self._key_columns.add(column + place)

    def _across(self, text: str, **style: Any) -> None:
        """A sentence across several columns, as many lines as it takes."""
        form = self._format(text_wrap=True, valign="top", **style)
        self.sheet.merge_range(self._row, 0, self._row, _MERGED, "", form)
        self.sheet.write_string(self._row, 0, text[:_LONGEST], form)
        larger = style.get("font_size", 11) / 11
        lines = 1 + int(len(text) * larger) // _LINE_CHARACTERS
        self.sheet.set_row(self._row, _LINE_POINTS * larger * lines)

    def _text(self, row: int, column: int, text: str, **style: Any) -> None:
        self.sheet.write_string(row, column, text[:_LONGEST], self._format(**style))

    def _format(self, **style: Any) -> Format:
        properties = {"font_name": "Calibri", "font_color": _INK, **style}
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._workbook.add_format(properties)
        return self._formats[key]

    def _widen(self, column: int, characters: int) -> None:
        self._widths[column] = max(self._widths.get(column, 0), characters)


def _parts(table: Table) -> list[tuple[str, str, int]]:
    """The sheet's columns of a table: title, which part of the cell, and the cell's place in its row."""
    found = []
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        found.append((column.title, "cell", place))
        if any(cell.bounds is not None for cell in cells):
            found += [("low", "low", place), ("high", "high", place)]
        if any(cell.detail for cell in cells):
            found.append(("", "detail", place))
    return found


def _apart(column: int) -> dict[str, Any]:
    """To the left, and a little off the number in the column before."""
    return {"align": "left", "indent": 1 if column else 0}


def width_of(tables: Iterable[Table]) -> int:
    """Columns that the widest of the tables takes."""
    return max((len(_parts(table)) for table in tables), default=0)


def _part(cell: Cell, part: str) -> Cell:
    if part == "cell":
        return cell
    if part == "detail":
        return Cell(cell.detail)
    if cell.bounds is None:
        return Cell("")
    bound = cell.bounds[part == "high"]
    return Cell(f"{bound:,.4g}", bound, cell.excel)
