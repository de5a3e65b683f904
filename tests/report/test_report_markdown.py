"""The Markdown for a pull request: tables that are whole, links that lead somewhere, names that are text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hostile import NAMES, hostile
from markdown_it import MarkdownIt

from amply_capacity.errors import BadInput
from amply_capacity.report.document import Document, month_text
from amply_capacity.report.layout_document import layout_of
from amply_capacity.report.markdown import escaped, render_markdown
from amply_capacity.report.money import usd

pytestmark = pytest.mark.xdist_group("report")

_MOST = 65_536
"""Characters that GitHub takes as a comment."""


@pytest.fixture(scope="module")
def markdown(document: Document) -> str:
    return render_markdown(document)


def rendered(text: str) -> str:
    """HTML as GitHub's dialect has it, raw HTML passed on."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)


def test_it_fits_into_a_comment_and_is_the_same_every_time(document: Document, markdown: str) -> None:
    assert len(markdown) < _MOST
    assert render_markdown(document) == markdown


def test_every_row_of_a_table_has_the_cells_of_its_header(markdown: str) -> None:
    cells = 0
    for line in markdown.splitlines():
        if line.startswith("|"):
            here = len(re.findall(r"(?<!\\)\|", line)) - 1
            cells = cells or here
            assert here == cells, line
        else:
            cells = 0
    assert rendered(markdown).count("<table>") > 10


def test_every_key_leads_to_an_anchor_and_every_anchor_is_there_once(markdown: str) -> None:
    anchors = re.findall(r'<a id="([^"]+)"></a>', markdown)
    assert len(set(anchors)) == len(anchors)
    targets = set(re.findall(r"\]\(#([^)]+)\)", markdown))
    assert targets
    assert targets <= set(anchors)


def test_all_months_and_sections_are_there(document: Document, markdown: str) -> None:
    text = re.sub(r"<[^>]+>", " ", rendered(markdown))
    for section in layout_of(document.content).sections:
        assert escaped(section.question) in markdown
    for month in document.content["plan"]["months"]:
        costs = [usd(month[f"usd_{name}"]) for name in ("low", "lower", "mid", "upper", "high")]
        row = rf"{month_text(month['month'])}\s+{re.escape(month['node_type'])}\s+{month['shards']}\s+"
        assert re.search(row + r"\s+".join(map(re.escape, costs)), text), month


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    plain = " ".join(name.split())
    for around in ("{}", "| {} |\n|---|\n| {} |", "**{}**", "- {}", "> {}", "## {}"):
        html = rendered(around.replace("{}", escaped(name)))
        text = re.sub(r"</?(p|table|thead|tbody|tr|th|td|strong|ul|li|blockquote|h2)>", " ", html)
        assert "<" not in text, (around, html)
        for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
            text = text.replace(entity, sign)
        assert plain in text.replace("@\u200b", "@"), (around, html)


def test_a_hostile_document_adds_no_element_and_no_link(document: Document, markdown: str) -> None:
    def elements(text: str) -> set[str]:
        return set(re.findall(r"<(/?\w+)", rendered(text)))

    wicked = render_markdown(hostile(document))
    assert elements(wicked) <= elements(markdown) | {"blockquote", "/blockquote", "ul", "/ul", "li", "/li"}
    assert "<script" not in wicked
    assert "@octocat" not in wicked
    for address in ("b.example", "c.example", "d.example"):
        assert f'href="https://{address}' not in rendered(wicked)


def test_what_begins_like_a_list_is_none() -> None:
    assert escaped("-1 + 2") == "\\-1 + 2"
    assert escaped("12. of December") == "12\\. of December"
    assert escaped("12.41") == "12.41"


def test_a_plan_of_another_schema_is_refused(changed: Callable[..., Document]) -> None:
    with pytest.raises(BadInput, match="made by another version"):
        render_markdown(changed(lambda content: content["plan"].update(schema=1)))


def test_rows_left_out_on_paper_are_said_to_be(document: Document, markdown: str) -> None:
    ranked = len(document.content["plan"]["ranked"])
    if ranked > 8:
        assert f"… and {ranked - 8} more in report.json and the workbook" in markdown
