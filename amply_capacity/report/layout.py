"""The parts a report is made of, before any format: sentences, tables and figures, each with its sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from amply_capacity.report.cells import Cell
from amply_capacity.report.sources import Sources

__all__ = ["Column", "Layout", "Row", "Said", "Section", "Table", "Tile"]

Keys = tuple[str, ...]


class Said(NamedTuple):
    """A sentence or two, and what its figures come from."""

    text: str
    keys: Keys = ()


class Column(NamedTuple):
    """A column; `grow` shares out what room is left, 0 is as wide as its content."""

    title: str
    grow: int = 0
    is_sheet_only: bool = False


class Row(NamedTuple):
    cells: tuple[Cell, ...]
    keys: Keys = ()
    is_marked: bool = False
    """The one that the section is about."""


@dataclass(frozen=True, slots=True)
class Table:
    """`key` is its name to those who treat it in a special way."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None = None
    """The sum, a line of its own below."""
    shown: int | None = None
    """Rows on paper; the workbook has all."""
    is_sheet_only: bool = False

    @property
    def keys(self) -> Keys:
        """Those of its rows, where all rest on the same: they then stand with the title."""
        of_rows = {row.keys for row in self.rows}
        return of_rows.pop() if len(of_rows) == 1 and len(self.rows) > 1 else ()

    @property
    def on_paper(self) -> tuple[Row, ...]:
        return self.rows[:self.shown]

    @property
    def left_out(self) -> int:
        return len(self.rows) - len(self.on_paper)

    @property
    def paper_columns(self) -> tuple[int, ...]:
        """Places of the columns that paper has."""
        return tuple(place for place, column in enumerate(self.columns) if not column.is_sheet_only)

    def is_numeric(self, place: int) -> bool:
        """Whether a column holds figures, which go to the right; dates do not."""
        return any(row.cells[place].is_figure and not row.cells[place].is_date for row in self.rows)


class Tile(NamedTuple):
    """One of the four figures of the first page."""

    label: str
    cell: Cell
    note: str
    keys: Keys = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One question: its answer, what shows it, and what to keep in mind."""

    key: str
    question: str
    said: tuple[Said, ...] = ()
    figures: tuple[str, ...] = ()
    """By name; a run's as `throughput of RUN`."""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    is_continued: bool = False
    """On the page of the section before."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole report."""

    title: str
    kicker: str
    meta: str
    decision: Said
    """In one sentence."""
    further: Said
    """What follows from it."""
    tiles: tuple[Tile, ...]
    warnings: tuple[str, ...]
    first: tuple[Table, ...]
    """Tables of the first page."""
    first_notes: tuple[str, ...]
    first_figures: tuple[str, ...]
    sections: tuple[Section, ...]
    sources: Sources
    footer: str
