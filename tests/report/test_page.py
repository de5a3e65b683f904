"""The HTML page: all that a reader needs, nothing from elsewhere, and nothing of a run's text as markup."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.report.document import Document, document_of, month_text
from amply_capacity.report.drawing import Pictures
from amply_capacity.report.html import render_html
from amply_capacity.report.money import usd
from amply_capacity.report.sources import sources_of

pytestmark = pytest.mark.xdist_group("report")

HOSTILE = '<script>alert(1)</script>"&--><b onload=x>'
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "rect"}


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def text_of(page: str) -> str:
    """What a reader reads: no drawings, no style, no markup."""
    page = re.sub(r"<(svg|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_page_names_the_node_the_verdict_and_the_cost_of_all_months(
        document: Document, page: str) -> None:
    plan = document.content["plan"]
    text = text_of(page)
    assert document.content["conclusion"] in text
    assert f"The verdict is {plan['replica']['verdict']} :" in text
    assert len(plan["months"]) == 36
    for month in plan["months"]:
        costs = " ".join(usd(month[name]) for name in ("usd_low", "usd_mid", "usd_high"))
        assert f"{month_text(month['month'])} {month['node_type']} {costs}" in text


def test_the_page_gives_every_limit_bill_line_and_assumption(document: Document, page: str) -> None:
    plan, text = document.content["plan"], text_of(page)
    for line in plan["bill"]["lines"]:
        assert line["source"] in text
        assert line["as_of"] in text
    for one in plan["assumptions"]:
        assert " ".join(one["what"].split()) in text
    for excuse in plan["excuses"]:
        assert excuse["node_type"] in text
    for row in plan["spec_table"]:
        assert row["configuration"] in text


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(page: str) -> None:
    for tag, attributes in Reader(page).tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name.endswith(("href", "src")):
                assert (value or "").startswith("#"), (tag, name, value)
    style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "@import" not in page
    assert "url(" not in style


def test_the_page_is_well_formed_and_every_link_in_it_leads_somewhere(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    targets = {(attributes["href"] or "")[1:] for tag, attributes in reader.tags if tag == "a"}
    assert targets
    assert targets <= set(ids)


def test_every_source_has_a_line_and_every_kind_of_figure_leads_to_one(document: Document, page: str) -> None:
    lines = {line.key for line in sources_of(document.content).lines if line.key}
    anchors = {tag["id"] for _, tag in Reader(page).tags if (tag.get("id") or "").startswith("source-")}
    assert anchors == {f"source-{key}" for key in lines}
    cited = set(re.findall(r'href="#source-(\w+)"', page))
    assert {key[0] for key in cited} == {"R", "F", "D", "A"}
    for section in ("why", "replica", "cost", "ways", "alternatives", "measured", "assumed"):
        content = page.split(f'<section id="{section}">')[1].split("</section>")[0]
        assert 'class="cite"' in content, section
    limits = page.split('<section id="why">')[1].split("</tbody>")[0].split("<tbody>")[1]
    assert limits.count('class="cite"') == len(document.content["plan"]["headroom"])


def test_the_same_document_gives_the_same_page_byte_for_byte(
        page: str, recorded_run: Path, demand: Path) -> None:
    assert render_html(document_of([recorded_run], demand, worlds=2_000)) == page


@pytest.fixture(scope="module")
def hostile_page(recorded_run: Path, demand: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run whose every text is markup."""
    run = tmp_path_factory.mktemp("hostile") / "run"
    shutil.copytree(recorded_run, run)
    manifest = json.loads((run / "run.json").read_text())
    manifest |= {"run": HOSTILE, "scenario": HOSTILE, "verdict": "partial", "verdict_reason": HOSTILE}
    manifest["server"] |= {"version": HOSTILE, "allocator": HOSTILE}
    manifest["target"] |= {"node_type": HOSTILE, "url": HOSTILE}
    (run / "run.json").write_text(json.dumps(manifest))
    return render_html(document_of([run], demand, worlds=200))


def test_a_hostile_run_is_text_and_never_markup(page: str, hostile_page: str) -> None:
    assert "<script" not in hostile_page
    assert "<b onload" not in hostile_page
    assert HOSTILE in text_of(hostile_page)
    tags = {(tag, *attributes) for tag, attributes in Reader(hostile_page).tags}
    assert {tag for tag, *_ in tags} <= {tag for tag, _ in Reader(page).tags} | {"ul", "li", "strong"}
    assert not any(name.startswith("on") for _, *names in tags for name in names)


def test_the_warnings_of_a_run_are_at_the_top_of_the_page(hostile_page: str) -> None:
    text = text_of(hostile_page)
    assert "Read this report with care." in text
    assert f"the run is partial: {HOSTILE}" in text
    assert "its memory is not that of a production Redis" in text
    assert text.index("Read this report with care.") < text.index("When to pay for a replica")


def test_a_complete_run_on_jemalloc_carries_no_warning(changed: Callable, pictures: Pictures) -> None:
    calm = text_of(render_html(changed(lambda content: content.update(warnings=[])), pictures))
    assert "with care" not in calm


def test_what_was_not_measured_is_said_to_be_so(changed: Callable, pictures: Pictures) -> None:
    def forget(content: dict[str, Any]) -> None:
        content["runs"][0] |= {"hit_rate": None, "evictions": None, "cpu_us_per_command": None}
        for row in content["plan"]["objectives"]:
            row |= {"measured": None, "met": None}

    text = text_of(render_html(changed(forget), pictures))
    for figure in ("CPU per command", "Hit rate of cached reads", "Evictions"):
        assert f"{figure} not measured" in text
    assert "not known" in text


def test_months_and_limits_that_nobody_knows_are_unknown_not_zero(changed: Callable) -> None:
    def forget(content: dict[str, Any]) -> None:
        for month in content["plan"]["months"][6:]:
            month |= {"usd_mid": None, "usd_high": None}
        content["plan"]["headroom"][-1] |= {"available": None, "headroom_percent": None}
        content["plan"]["replica"]["break_even"]["users"] = None
        content["plan"]["upgrades"] = []

    text = text_of(render_html(changed(forget)))
    assert text.count("unknown") >= 2 * 18
    assert "never: users" in text
    assert "Next upgrade none within 36 months" in text
