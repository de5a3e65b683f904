"""The report as PDF: typeset by typst, with fonts of wheels: nothing is the system's.

All content reaches the template as data: a name is text there, and never markup.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from amply_capacity.errors import AmplyError
from amply_capacity.report.document import Document
from amply_capacity.report.drawing import Pictures
from amply_capacity.report.layout import Row, Said, Section, Table
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.sources import KINDS, Sources

__all__ = ["FONTS", "pages_png", "render_pdf"]

_TEMPLATE = Path(__file__).with_name("templates") / "report.typ"
FONTS = ("DejaVu Sans", "DejaVu Sans Mono", "Libertinus Serif")
"""matplotlib brings the first, typst the others: the same on every machine."""
_WIDTH = {"memory_bill": 50, "memory_by_month": 50, "throughput": 50, "latency": 50, "headroom": 86,
          "strategies": 51}
"""Percent of the page; two of 50 stand beside each other."""


def render_pdf(document: Document, pictures: Pictures | None = None) -> bytes:
    """The PDF of a document, its date the newest run's; the same document gives the same bytes.

    It is PDF/A-2a, to be kept for years, and PDF/UA-1, to be read aloud.

    Raises BadInput for a document of another schema, and AmplyError where a font is missing or it cannot be
    typeset.
    """
    import typst

    with _typesetting():
        return typst.compile(
            _TEMPLATE.read_bytes(), format="pdf", pdf_standards=["a-2a", "ua-1"], font_paths=_fonts(),
            sys_inputs=_inputs(document, pictures or Pictures(document)), timestamp=_recorded(document))


def pages_png(document: Document, ppi: float = 110.0) -> list[bytes]:
    """Its pages as pictures, to be looked at. Raises as `render_pdf` does."""
    import typst

    with _typesetting():
        pages: list[bytes] | bytes = typst.compile(
            _TEMPLATE.read_bytes(), format="png", ppi=ppi, font_paths=_fonts(),
            sys_inputs=_inputs(document, Pictures(document)), timestamp=_recorded(document))
    return list(pages) if isinstance(pages, list) else [pages]


@contextlib.contextmanager
def _typesetting() -> Iterator[None]:
    import typst

    try:
        yield
    except typst.TypstError as error:
        raise AmplyError("the PDF could not be typeset", got=str(error).strip()[:300],
                         do="take another format, and report this") from error


def _inputs(document: Document, pictures: Pictures) -> dict[str, str]:
    return {"report": json.dumps(_content(document, pictures), ensure_ascii=False)}


def _recorded(document: Document) -> datetime:
    """When the newest run began: the date of the PDF."""
    newest = max(datetime.fromisoformat(run["started_at"]) for run in document.content["runs"])
    return newest.replace(microsecond=0)


def _fonts() -> Any:
    """Fonts of the wheels alone: those of a system would make another document of it."""
    import matplotlib
    import typst

    directory = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = typst.Fonts(include_system_fonts=False, font_paths=[str(directory)])
    missing = [font for font in FONTS if font not in found.families()]
    if missing:
        raise AmplyError("a font of the PDF is missing", got=f"no {', '.join(missing)} in {directory}",
                         do="install matplotlib and typst again, or take another format")
    return found


def _content(document: Document, drawn: Pictures) -> dict[str, Any]:
    layout = layout_of(document.content)
    return {
        "title": layout.title, "kicker": layout.kicker, "meta": layout.meta, "footer": layout.footer,
        "decision": _said(layout.decision), "further": _said(layout.further),
        "warnings": list(layout.warnings),
        "tiles": [{"label": tile.label, "value": tile.cell.text, "note": tile.note,
                   "keys": _unique(tile.keys)} for tile in layout.tiles],
        "first": [_table(table) for table in layout.first], "first_notes": list(layout.first_notes),
        "first_figures": _pictures(layout.first_figures, drawn),
        "sections": [_section(section, drawn) for section in layout.sections],
        "sources": list(_sources(layout.sources)),
    }


def _section(section: Section, drawn: Pictures) -> dict[str, Any]:
    return {
        "key": section.key, "continued": section.is_continued, "question": section.question,
        "said": [_said(one) for one in section.said],
        "figures": _pictures(section.figures, drawn),
        "tables": [_table(table) for table in section.tables if not table.is_sheet_only],
        "notes": list(section.notes),
    }


def _pictures(names: Iterable[str], drawn: Pictures) -> list[dict[str, Any]]:
    return [{"svg": picture.svg, "claim": picture.claim, "width": _WIDTH.get(name.partition(" of ")[0], 100)}
            for name in names if (picture := drawn.named(name)) is not None]


def _said(said: Said) -> dict[str, Any]:
    return {"text": said.text, "keys": _unique(said.keys)}


def _table(table: Table) -> dict[str, Any]:
    places = table.paper_columns
    return {
        "key": table.key, "title": table.title, "keys": _unique(table.keys),
        "columns": [{"title": table.columns[place].title, "grow": table.columns[place].grow,
                     "right": table.is_numeric(place), "characters": _characters(table, place)}
                    for place in places],
        "rows": [_row(row, places) for row in table.on_paper],
        "total": None if table.total is None else _row(table.total, places),
        "left_out": table.left_out,
    }


def _row(row: Row, places: Sequence[int]) -> dict[str, Any]:
    cells = [row.cells[place] for place in places]
    return {"cells": [{"text": cell.text, "name": cell.is_name, "detail": cell.detail} for cell in cells],
            "keys": _unique(row.keys), "marked": row.is_marked}


def _characters(table: Table, place: int) -> int:
    """How wide a column has to be: its longest cell, or word of its title."""
    rows = (*table.on_paper, *(() if table.total is None else (table.total,)))
    title = table.columns[place].title.split()
    return max(*(len(row.cells[place].text) for row in rows), *map(len, title), 2)


def _sources(sources: Sources) -> Iterator[dict[str, Any]]:
    for kind, title in KINDS.items():
        lines = [line for line in sources.lines if line.kind == kind]
        if lines:
            yield {"title": title, "lines": [
                {"key": line.key, "what": line.what, "value": line.value.text, "source": line.source,
                 "as_of": line.as_of} for line in lines]}


def _unique(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(keys))
