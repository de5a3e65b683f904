"""Writes a report's formats, each whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from amply_capacity.errors import BadInput, DiskFull
from amply_capacity.report.document import Document

__all__ = ["FORMATS", "write_report"]

FORMATS = ("html", "json")


def write_report(document: Document, directory: Path, formats: Sequence[str]) -> list[Path]:
    """Write `report.<format>` into the directory, which is made where missing; the paths written.

    Raises BadInput for an unknown format or a directory that cannot be written, DiskFull when the disk is full.
    """
    wanted = list(dict.fromkeys(name.strip() for name in formats if name.strip()))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise BadInput("there is no such report format", got=", ".join(unknown) or "none",
                       do=f"choose from {', '.join(FORMATS)}")
    texts = {name: _RENDERERS[name](document) for name in wanted}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [_replace(directory / f"report.{name}", text) for name, text in texts.items()]
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull("the disk is full", got=f"no space left for {directory}", do="free space, then again") from None
        raise BadInput("the report cannot be written there", got=f"{directory}: {error.strerror}",
                       do="name another directory with --out") from None


def _replace(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.tmp")
    try:
        partial.write_text(text)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _html(document: Document) -> str:
    from amply_capacity.report.html import render_html

    return render_html(document)


def _json(document: Document) -> str:
    return json.dumps(document.content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_RENDERERS: dict[str, Callable[[Document], str]] = {"html": _html, "json": _json}
