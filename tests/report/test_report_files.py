"""Reports are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from amply_capacity.errors import BadInput, DiskFull
from amply_capacity.report import html
from amply_capacity.report.document import Document
from amply_capacity.report.files import write_report

pytestmark = pytest.mark.xdist_group("report")

BOTH = ["report.html", "report.json"]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_both_formats_are_written_whole(document: Document, page: str, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    html_, json_ = write_report(document, out, ["html", "json"])
    assert (html_, json_) == (out / "report.html", out / "report.json")
    assert html_.read_text(encoding="utf-8") == page
    assert json.loads(json_.read_text(encoding="utf-8")) == document.content
    assert names(out) == BOTH


def test_the_same_document_is_written_as_the_same_bytes(document: Document, tmp_path: Path) -> None:
    once, again = (write_report(document, tmp_path / name, ["html", "json"]) for name in ("once", "again"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_a_format_named_twice_is_written_once(document: Document, tmp_path: Path) -> None:
    assert write_report(document, tmp_path, ["json", " json ", ""]) == [tmp_path / "report.json"]


@pytest.mark.parametrize("formats", [["html", "docx", "odt"], [], [" "]])
def test_an_unknown_format_or_none_is_refused_with_the_known_ones(
        document: Document, tmp_path: Path, formats: list[str]) -> None:
    with pytest.raises(BadInput, match="html, json"):
        write_report(document, tmp_path, formats)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("failing", BOTH)
def test_a_full_disk_leaves_the_earlier_report_as_it_was(
        document: Document, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int,
        failing: str) -> None:
    monkeypatch.setattr(html, "render_html", lambda _: page)  # it is not drawn again
    for name in BOTH:
        (tmp_path / name).write_text(f"earlier {name}")
    whole = Path.write_text

    def full(self: Path, text: str, **options: str) -> int:
        if self.name.startswith(failing):
            whole(self, text[:100], **options)
            raise OSError(number, os.strerror(number), str(self))
        return whole(self, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFull, match="free space"):
        write_report(document, tmp_path, ["html", "json"])
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {
        name: f"earlier {name}" for name in BOTH}


def test_a_file_in_the_way_is_refused_and_kept(document: Document, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="cannot be written"):
            write_report(document, out, ["json"])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(document: Document, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="cannot be written"):
        write_report(document, tmp_path, ["json"])
