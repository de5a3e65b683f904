"""Writes a report's formats, each whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import BadInput
from amply_capacity.report.document import Document

__all__ = ["FORMATS", "write_report"]

FORMATS = ("html", "json")


def write_report(document: Document, directory: Path, formats: Sequence[str]) -> list[Path]:
    """Write `report.<format>` into the directory, which is made where missing; the paths written.

    An earlier report is replaced once all formats are on the disk. Raises BadInput for an unknown format or a
    directory that cannot be written, DiskFull when the disk is full.
    """
    wanted = list(dict.fromkeys(name.strip() for name in formats if name.strip()))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise BadInput("there is no such report format", got=", ".join(unknown) or "none",
                       do=f"choose from {', '.join(FORMATS)}")
    texts = {directory / f"report.{name}": _RENDERERS[name](document) for name in wanted}
    with on_disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as replaced:
            for path, text in texts.items():
                replaced.enter_context(replacing(path)).write_text(text, encoding="utf-8")
    return list(texts)


def _html(document: Document) -> str:
    from amply_capacity.report.html import render_html

    return render_html(document)


def _json(document: Document) -> str:
    return json.dumps(document.content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_RENDERERS: dict[str, Callable[[Document], str]] = {"html": _html, "json": _json}
