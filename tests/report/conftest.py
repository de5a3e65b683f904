"""One report document of the real recording, made once for the tests of the report."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.files import DATA_DIR
from amply_capacity.report.document import Document, document_of
from amply_capacity.report.drawing import Pictures
from amply_capacity.report.html import render_html


@pytest.fixture(scope="session")
def demand() -> Path:
    return DATA_DIR / "demand.example.toml"


@pytest.fixture(scope="session")
def document(recorded_run: Path, demand: Path) -> Document:
    return document_of([recorded_run], demand, worlds=2_000)


@pytest.fixture(scope="session")
def pictures(document: Document) -> Pictures:
    """Drawn once: they take most of a page's time."""
    return Pictures(document)


@pytest.fixture(scope="session")
def page(document: Document, pictures: Pictures) -> str:
    return render_html(document, pictures)


@pytest.fixture
def plan(document: Document) -> dict[str, Any]:
    """The plan's JSON, a copy to be changed."""
    content: dict[str, Any] = copy.deepcopy(document.content["plan"])
    return content


@pytest.fixture
def changed(document: Document) -> Callable[..., Document]:
    """The document with its content changed by a function."""

    def change(edit: Callable[[dict[str, Any]], object]) -> Document:
        content = copy.deepcopy(document.content)
        edit(content)
        return Document(content, document.recorded)

    return change
