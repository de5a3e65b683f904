"""Writes a report's formats: each whole or not at all, and one that fails does not stop the others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.report.document import Document
from amply_capacity.report.drawing import Pictures

__all__ = ["FORMATS", "Failure", "Written", "check_place", "write_formats", "write_report"]

FORMATS = ("html", "pdf", "xlsx", "md", "json")
_LONGEST_REASON = 300


class Failure(NamedTuple):
    """A format that was not written, and why in a sentence; an earlier file of that name is as it was."""

    format: str
    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the formats asked for."""

    paths: tuple[Path, ...]
    failures: tuple[Failure, ...]

    def failed_text(self) -> str:
        """The list of what was not written."""
        return "; ".join(f"{one.path.name} was not written: {one.reason}" for one in self.failures)


def write_report(document: Document, directory: Path, formats: Sequence[str]) -> list[Path]:
    """`write_formats` for those who want all of them: the paths. Raises AmplyError where one failed."""
    written = write_formats(document, directory, formats)
    if written.failures:
        raise AmplyError("not every format of the report could be written", got=written.failed_text(),
                         do="mend that, and write the report again")
    return list(written.paths)


def write_formats(document: Document, directory: Path, formats: Sequence[str]) -> Written:
    """Write `report.<format>` into the directory, which is made where missing.

    Raises BadInput as `check_place` does, and where nothing at all could be written.
    """
    wanted = check_place(directory, formats)
    with on_disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
    paths, failures = [], []
    pictures = Pictures(document)
    for name in wanted:
        path = directory / f"report.{name}"
        reason = _write(document, pictures, name, path)
        if reason is None:
            paths.append(path)
        else:
            failures.append(Failure(name, path, reason))
    written = Written(tuple(paths), tuple(failures))
    if not paths:
        raise BadInput("no format of the report could be written", got=written.failed_text(),
                       do="mend that, or choose another format or folder")
    return written


def check_place(directory: Path, formats: Sequence[str]) -> list[str]:
    """The formats, each once, before anything is reckoned or made.

    Raises BadInput for an unknown format, and for a place that is no folder or may not be written to.
    """
    wanted = list(dict.fromkeys(name.strip() for name in formats if name.strip()))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise BadInput("there is no such report format", got=", ".join(unknown) or "none",
                       do=f"choose from {', '.join(FORMATS)}")
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if not there.is_dir():
        raise BadInput("the report's folder is a file", got=str(there), do="name a folder with --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise BadInput("the report's folder cannot be written to", got=str(there),
                       do="choose a folder that you may write to")
    return wanted


def _write(document: Document, pictures: Pictures, name: str, path: Path) -> str | None:
    """None, or why it was not written."""
    try:
        content = _RENDERERS[name](document, pictures)
        with on_disk(path), replacing(path) as partial:
            partial.write_bytes(content)
    except AmplyError as error:
        reason = f"{error.what}: {error.got}" if error.got else error.what
    except Exception as error:  # whatever a renderer or its library stumbles over: the others can be had
        reason = f"{type(error).__name__}: {error}"
    else:
        return None
    return " ".join(reason.split())[:_LONGEST_REASON]


def _html(document: Document, pictures: Pictures) -> bytes:
    from amply_capacity.report.html import render_html
    from amply_capacity.report.layout_document import check_schema

    check_schema(document.content)
    return render_html(document, pictures).encode()


def _pdf(document: Document, pictures: Pictures) -> bytes:
    from amply_capacity.report.pdf import render_pdf

    return render_pdf(document, pictures)


def _xlsx(document: Document, _: Pictures) -> bytes:
    from amply_capacity.report.workbook import render_workbook

    return render_workbook(document)


def _markdown(document: Document, _: Pictures) -> bytes:
    from amply_capacity.report.markdown import render_markdown

    return render_markdown(document).encode()


def _json(document: Document, _: Pictures) -> bytes:
    """The document's content as it is, with its sources where this version can tell them."""
    from amply_capacity.report.layout_document import check_schema
    from amply_capacity.report.sources import sources_of

    content = document.content
    try:
        check_schema(content)
    except BadInput:
        pass
    else:
        content = {**content, "sources": sources_of(content).as_json()}
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


_RENDERERS: dict[str, Callable[[Document, Pictures], bytes]] = {
    "html": _html, "pdf": _pdf, "xlsx": _xlsx, "md": _markdown, "json": _json}
