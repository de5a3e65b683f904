"""Each format is written whole or not at all, and one that fails does not stop the others."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.report import html
from amply_capacity.report.document import Document
from amply_capacity.report.files import FORMATS, check_place, write_formats, write_report

pytestmark = pytest.mark.xdist_group("report")

BOTH = ["report.html", "report.json"]
QUICK = ["json", "md", "xlsx"]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_formats_are_written_whole(document: Document, page: str, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    html_, json_ = write_report(document, out, ["html", "json"])
    assert (html_, json_) == (out / "report.html", out / "report.json")
    assert html_.read_text(encoding="utf-8") == page
    content = json.loads(json_.read_text(encoding="utf-8"))
    assert content.pop("sources")
    assert content == document.content
    assert names(out) == BOTH


def test_the_same_document_is_written_as_the_same_bytes(document: Document, tmp_path: Path) -> None:
    once, again = (write_report(document, tmp_path / name, QUICK) for name in ("once", "again"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_a_format_named_twice_is_written_once(document: Document, tmp_path: Path) -> None:
    assert write_report(document, tmp_path, ["json", " json ", ""]) == [tmp_path / "report.json"]


@pytest.mark.parametrize("formats", [["html", "docx", "odt"], [], [" "]])
def test_an_unknown_format_or_none_is_refused_with_the_known_ones(
        document: Document, tmp_path: Path, formats: list[str]) -> None:
    with pytest.raises(BadInput, match="html, pdf, xlsx, md, json"):
        write_report(document, tmp_path, formats)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_earlier_file_as_it_was_and_the_rest_is_written(
        document: Document, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(html, "render_html", lambda *_: page)  # it is not drawn again
    for name in BOTH:
        (tmp_path / name).write_text(f"earlier {name}")
    whole = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.name.startswith("report.html"):
            whole(self, content[:100])
            raise OSError(number, os.strerror(number), str(self))
        return whole(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    written = write_formats(document, tmp_path, ["html", "json"])
    assert written.paths == (tmp_path / "report.json",)
    (failure,) = written.failures
    assert (failure.format, failure.path) == ("html", tmp_path / "report.html")
    assert "the disk is full" in failure.reason
    assert names(tmp_path) == BOTH
    assert (tmp_path / "report.html").read_text() == "earlier report.html"
    assert json.loads((tmp_path / "report.json").read_text())["plan"] == document.content["plan"]


def test_a_font_that_is_missing_costs_the_pdf_alone(
        document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from amply_capacity.report import pdf

    class Undrawn:
        def named(self, name: str) -> None:
            return None

    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path / "nothing"))
    monkeypatch.setattr("amply_capacity.report.files.Pictures", lambda _: Undrawn())
    monkeypatch.setattr(pdf, "Pictures", lambda _: Undrawn())
    written = write_formats(document, tmp_path / "out", ["pdf", *QUICK])
    assert names(tmp_path / "out") == ["report.json", "report.md", "report.xlsx"]
    assert written.failed_text().startswith(
        "report.pdf was not written: a font of the PDF is missing: no DejaVu")
    with pytest.raises(AmplyError, match=r"report.pdf was not written") as raised:
        write_report(document, tmp_path / "out", ["pdf", "json"])
    assert "\n" not in str(raised.value)


def test_a_renderer_that_breaks_costs_its_format_alone(
        document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Document) -> str:
        raise ZeroDivisionError("no\nsuch thing")

    monkeypatch.setattr("amply_capacity.report.markdown.render_markdown", broken)
    written = write_formats(document, tmp_path, QUICK)
    assert names(tmp_path) == ["report.json", "report.xlsx"]
    assert written.failed_text() == "report.md was not written: ZeroDivisionError: no such thing"


def test_of_a_plan_of_another_schema_the_json_is_still_written(
        changed: Callable[..., Document], tmp_path: Path) -> None:
    old = changed(lambda content: content["plan"].update(schema=1))
    written = write_formats(old, tmp_path, FORMATS)
    assert names(tmp_path) == ["report.json"]
    assert json.loads((tmp_path / "report.json").read_text()) == old.content
    assert len(written.failures) == 4
    assert all("made by another version" in one.reason and "plan schema 1" in one.reason
               for one in written.failures)


def test_where_nothing_could_be_written_it_is_refused(document: Document, tmp_path: Path) -> None:
    for name in ("json", "md"):
        (tmp_path / f"report.{name}").mkdir()
    with pytest.raises(BadInput, match="no format of the report could be written") as raised:
        write_formats(document, tmp_path, ["json", "md"])
    for name in ("report.json", "report.md"):
        assert f"{name} was not written: a file cannot be written" in str(raised.value)


def test_a_file_in_the_way_is_refused_and_kept(document: Document, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="is a file"):
            write_report(document, out, ["json"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(BadInput, match="cannot be written to"):
        check_place(tmp_path / "new", ["json"])
    assert names(tmp_path) == []
