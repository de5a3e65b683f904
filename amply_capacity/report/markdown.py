"""The report as Markdown for a pull request: GitHub's dialect, every figure linked to its source at the end.

Text from outside is escaped character by character: no name becomes markup, HTML, a link or a mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from amply_capacity.report.cells import Cell
from amply_capacity.report.document import Document
from amply_capacity.report.layout import Layout, Row, Said, Section, Table
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.sources import KINDS, Sources

__all__ = ["escaped", "render_markdown"]

_MARKUP = re.compile(r"[\\`*_\[\]|~$#]|:(?=//|[a-z0-9_+-]+:)|(?<=www)\.")
_BEGINS = re.compile(r"^(?=[-+=])|^(\d+)(?=[.)] )")
"""What makes a list or a heading at the beginning of a line."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_AT = "@\u200b"
"""With a zero-width space behind it, so that nobody is mentioned."""
_ADDRESS = re.compile(r"(https://[A-Za-z0-9./_-]+[A-Za-z0-9/_-])")
_FOLDED = ("excuses",)


def render_markdown(document: Document) -> str:
    """The report of a document. Raises BadInput for one of another schema."""
    layout = layout_of(document.content)
    return "\n".join(_lines(layout)) + "\n"


def escaped(text: str) -> str:
    """A text that Markdown shows as it is: one line, no markup, no HTML, no link, no mention."""
    return _BEGINS.sub(r"\1\\", _escaped(" ".join(text.split())))


def _escaped(line: str) -> str:
    line = re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], line)
    return _MARKUP.sub(r"\\\g<0>", line).replace("@", _AT)


def _linked(text: str) -> str:
    """A source of ours: its addresses can be followed."""
    parts = _ADDRESS.split(" ".join(text.split()))
    return "".join(f"<{part}>" if place % 2 else _escaped(part) for place, part in enumerate(parts))


def _lines(layout: Layout) -> Iterator[str]:
    yield f"# {escaped(layout.title)}"
    decision = f"**{escaped(layout.decision.text)}**{_keys(layout.decision.keys)}"
    yield from ("", escaped(layout.kicker), "", f"{decision} {_said(layout.further)}", "")
    yield from (f"| {' | '.join(tile.label for tile in layout.tiles)} |",
                f"|{'---|' * len(layout.tiles)}",
                f"| {' | '.join(f'**{_cell(tile.cell)}**' for tile in layout.tiles)} |",
                f"| {' | '.join(escaped(tile.note) + _keys(tile.keys) for tile in layout.tiles)} |", "")
    if layout.warnings:
        yield from ("> **Read this report with care.**", ">")
        yield from (f"> - {escaped(warning)}" for warning in layout.warnings)
        yield ""
    for table in layout.first:
        yield from _table(table)
    yield from (f"- {escaped(note)}" for note in layout.first_notes)
    for section in layout.sections:
        yield from _section(section)
    yield from _appendix(layout.sources)
    yield from ("", "---", f"{escaped(layout.meta)}. {escaped(layout.footer)}.")


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {escaped(section.question)}", "")
    for said in section.said:
        yield from (_said(said), "")
    if section.key in _FOLDED:
        yield from (f"<details><summary>{len(section.tables[0].rows)} reasons</summary>", "")
    for table in section.tables:
        if not table.is_sheet_only:
            yield from _table(table)
    if section.key in _FOLDED:
        yield "</details>"
    yield from (f"*{escaped(note)}*" for note in section.notes)


def _table(table: Table) -> Iterator[str]:
    with_keys = not table.keys
    yield from (f"**{escaped(table.title)}**{_keys(table.keys)}", "")
    places = table.paper_columns
    sides = ["---:" if table.is_numeric(place) else "---" for place in places]
    titles = [escaped(table.columns[place].title) for place in places]
    yield _line((*titles, "Source") if with_keys else titles)
    yield _line((*sides, "---") if with_keys else sides)
    yield from (_row(row, places, with_keys=with_keys) for row in table.on_paper)
    if table.total is not None:
        yield _row(table.total, places, with_keys=with_keys)
    if table.left_out:
        yield from ("", f"*… and {table.left_out} more in report.json and the workbook.*")
    yield ""


def _row(row: Row, places: Sequence[int], *, with_keys: bool) -> str:
    cells = [_cell(row.cells[place]) for place in places]
    return _line((*cells, _keys(row.keys).strip()) if with_keys else cells)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    below = f"<br><sub>{escaped(cell.detail)}</sub>" if cell.detail else ""
    return escaped(cell.text) + below


def _said(said: Said) -> str:
    return escaped(said.text) + _keys(said.keys)


def _keys(keys: Iterable[str]) -> str:
    """Links to the sources' lines."""
    links = ", ".join(f"[{key}](#{key.lower()})" for key in dict.fromkeys(keys))
    return f" <sub>{links}</sub>" if links else ""


def _appendix(sources: Sources) -> Iterator[str]:
    yield from ("", "## Sources", "", "Every figure above links to the line that it comes from.", "")
    for kind, title in KINDS.items():
        lines = [line for line in sources.lines if line.kind == kind]
        if not lines:
            continue
        yield from (f"<details><summary>{title}</summary>", "", "| | What | Value | Source | As of |",
                    "|---|---|---|---|---|")
        for line in lines:
            anchor = f'<a id="{line.key.lower()}"></a>{line.key}' if line.key else ""
            ours = _linked if kind == "fact" else escaped
            yield (f"| {anchor} | {escaped(line.what)} | {escaped(line.value.text)} | {ours(line.source)} | "
                   f"{escaped(line.as_of)} |")
        yield from ("", "</details>", "")
