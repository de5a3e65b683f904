"""A Markdown document's fenced blocks, tables and running text, each with its lines."""

from __future__ import annotations

from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from amply_capacity.ops.configuration import Line, Table, TableRow

__all__ = ["Block", "Page", "read_page"]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    language: str
    """The first word behind the fence, in small letters; empty where there is none."""
    text: str
    line: int
    """Of its first line of text, from 1."""


@dataclass(frozen=True, slots=True)
class Page:
    """What of a document an audit can use."""

    blocks: tuple[Block, ...]
    tables: tuple[Table, ...]
    sentences: tuple[Line, ...]


def read_page(text: str) -> Page:
    """By CommonMark, with GitHub's tables. A fence that is never closed ends with the document."""
    blocks: list[Block] = []
    tables: list[Table] = []
    sentences: list[Line] = []
    rows: list[TableRow] | None = None
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            rows = []
        elif token.type == "table_close" and rows:
            tables.append(Table(rows[0].cells, tuple(rows[1:])))
            rows = None
        elif token.type == "tr_open" and rows is not None:
            rows.append(TableRow((), _first_line(token)))
        elif token.type == "inline" and rows:
            rows[-1] = TableRow((*rows[-1].cells, token.content.replace("`", "").strip()), rows[-1].line)
        elif token.type == "inline":
            sentences += [Line(one.strip(), _first_line(token) + number)
                          for number, one in enumerate(token.content.split("\n"))]
        elif token.type == "fence":
            language = (token.info.split() or [""])[0].lower()
            blocks.append(Block(language, token.content, _first_line(token) + 1))
    return Page(tuple(blocks), tuple(tables), tuple(sentences))


def _first_line(token: Token) -> int:
    return (token.map or [0])[0] + 1
