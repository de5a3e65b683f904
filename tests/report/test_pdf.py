"""The PDF: a document to forward, of the run's date, with fonts of wheels, and no name in it is markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import matplotlib
import pytest
from hostile import NAMES, hostile
from pdf_text import Pdf, squeezed

from amply_capacity.errors import AmplyError, BadInput
from amply_capacity.report import pdf
from amply_capacity.report.document import Document
from amply_capacity.report.drawing import Pictures
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.pdf import pages_png, render_pdf

pytestmark = pytest.mark.xdist_group("report")

A4 = {b"0 0 595.2756 841.8898"}


class Undrawn(Pictures):
    """No figures, which are tested elsewhere and take most of the time."""

    def named(self, name: str) -> None:
        return None


@pytest.fixture(scope="module")
def pictures(document: Document) -> Pictures:
    """Drawn once: that figures are the same twice is tested with them."""
    return Pictures(document)


@pytest.fixture(scope="module")
def rendered(document: Document, pictures: Pictures) -> bytes:
    return render_pdf(document, pictures)


@pytest.fixture(scope="module")
def read(rendered: bytes) -> Pdf:
    return Pdf(rendered)


def test_the_first_page_has_the_decision_the_corrected_costs_and_the_bill(
        document: Document, read: Pdf) -> None:
    first, plan = squeezed(read.pages[0]), document.content["plan"]
    decision, _, further = document.content["conclusion"].partition(". ")
    assert squeezed(decision) in first
    assert squeezed(further) in first
    for row in plan["spec_table"]:
        assert squeezed(f"{row['configuration']} ${row['spec_usd']:.2f} ${row['true_usd']:.2f}") in first
    for line in plan["bill"]["lines"]:
        assert squeezed(line["what"]) in first
    assert f"${plan['bill']['usd_per_month']:,.2f}" in first


def test_each_question_begins_on_a_page_of_its_own_but_one_run_stands_with_the_promises(
        document: Document, read: Pdf) -> None:
    pages = [squeezed(page) for page in read.pages]
    for section in layout_of(document.content).sections:
        found = [page for page in pages if squeezed(section.question) in page]
        assert found, section.question
        if not section.is_continued:
            assert any(page.startswith(squeezed(section.question)) for page in found), section.question
    assert pages[-1].count("A1") or pages[-2].count("A1"), "the sources are the last"


def test_the_same_document_gives_the_same_bytes_dated_as_the_newest_run(
        document: Document, pictures: Pictures, rendered: bytes) -> None:
    assert render_pdf(document, pictures) == rendered
    newest = max(run["started_at"] for run in document.content["runs"])
    stamp = re.sub(r"\D", "", newest[:19]).encode()
    assert set(re.findall(rb"/(?:CreationDate|ModDate)\(D:(\d{14})Z\)", rendered)) == {stamp}


def test_it_is_archival_and_accessible_and_each_figure_says_what_it_shows(rendered: bytes) -> None:
    assert b"pdfaid:part" in rendered
    assert b"pdfuaid:part" in rendered
    assert rendered.count(b"/Alt(") + rendered.count(b"/Alt<") >= 8


def test_it_needs_no_font_of_the_system(read: Pdf) -> None:
    assert read.fonts <= {name.replace(" ", "") for name in pdf.FONTS}
    assert read.sizes == A4


def test_every_key_leads_to_a_line_of_the_appendix(document: Document, read: Pdf) -> None:
    layout = layout_of(document.content)
    named = sum(len(dict.fromkeys(said.keys)) for section in layout.sections for said in section.said)
    assert read.links > named


def test_a_font_that_is_missing_is_said_in_a_sentence(
        document: Document, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(AmplyError, match="a font of the PDF is missing") as raised:
        render_pdf(document, Undrawn(document))
    assert "DejaVu Sans" in str(raised.value)


def test_what_typst_refuses_is_said_in_a_sentence(
        document: Document, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    broken = tmp_path / "report.typ"
    broken.write_text("#nothing-of-that-name")
    monkeypatch.setattr(pdf, "_TEMPLATE", broken)
    with pytest.raises(AmplyError, match="could not be typeset"):
        render_pdf(document, Undrawn(document))


def test_a_plan_of_another_schema_is_refused(changed: Callable[..., Document]) -> None:
    with pytest.raises(BadInput, match="made by another version"):
        render_pdf(changed(lambda content: content["plan"].update(schema=1)))


def test_hostile_names_are_text(document: Document) -> None:
    wicked = hostile(document)
    read = Pdf(render_pdf(wicked, Undrawn(wicked)))
    text = squeezed(read.text)
    for name in NAMES:
        assert text.count(squeezed(name)) >= 2, name
    assert read.sizes == A4


def test_its_pages_can_be_looked_at(document: Document, monkeypatch: pytest.MonkeyPatch, read: Pdf) -> None:
    monkeypatch.setattr(pdf, "Pictures", Undrawn)
    pages = pages_png(document, ppi=20.0)
    assert all(page.startswith(b"\x89PNG") for page in pages)
    assert 0 < len(pages) <= len(read.pages)


def test_without_strategies_or_excuses_their_pages_are_left_out(changed: Callable[..., Document]) -> None:
    draft = changed(lambda content: content["plan"].update(strategies=[], excuses=[], influences=[],
                                                           runner_up=None, upgrades=[]))
    text = Pdf(render_pdf(draft, Undrawn(draft))).text
    assert "another way" not in text
    assert "Why not each" not in text
    assert "No upgrade is in sight" in text
