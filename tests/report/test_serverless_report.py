"""The report of a plan that chose serverless: in every format, with no node to speak of."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from amply_capacity.errors import BadInput
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.report import figures, tables
from amply_capacity.report.document import Document, conclusion, document_of
from amply_capacity.report.files import FORMATS, write_report
from amply_capacity.report.notebooks import open_session
from amply_capacity.report.schema import report_schema
from amply_capacity.report.start import Start
from amply_capacity.report.text import plan_text


@pytest.fixture(scope="module")
def serverless_document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    text = (DATA_DIR / "demand.example.toml").read_text()
    for old, new in (("registered = 25_000", "registered = 1_000"), ("# engines = ", "engines = "),
                     ("cluster_mode = false", "cluster_mode = true")):
        assert old in text
        text = text.replace(old, new)
    demand = tmp_path_factory.mktemp("demand") / "demand.toml"
    demand.write_text(text)
    return document_of([EXAMPLE_RUN], demand, worlds=500)


def test_it_is_said_without_nodes_and_replicas(serverless_document: Document) -> None:
    plan = serverless_document.content["plan"]
    assert plan["chosen"]["kind"] == "serverless"
    assert conclusion(plan).startswith("Run ElastiCache Serverless (valkey, us-east-1) for $6.")
    text = plan_text(plan)
    assert "None" not in text
    assert "serverless" in text
    assert "Serverless" in tables.ranked(plan).to_html()
    assert tables.headroom(plan).data.empty
    with pytest.raises(BadInput, match="no limit to be near to"):
        figures.headroom(plan)


def test_a_meeting_opens_on_it(serverless_document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Start(open_session(EXAMPLE_RUN), [], True)
    monkeypatch.setitem(start.session.__dict__, "plan", serverless_document.content["plan"])
    answers = {one.title: one.answer for one in start.answered()}
    assert answers["Node sizing"] == "Serverless, which has no node that could be too small."
    assert not [answer for answer in answers.values() if "None" in answer]
    assert "Serverless" in start.opening()._repr_html_()


def test_every_format_without_nodes_holds_to_the_schema(serverless_document: Document,
                                                        tmp_path: Path) -> None:
    written = write_report(serverless_document, tmp_path, FORMATS)
    assert [path.suffix for path in written] == [f".{name}" for name in FORMATS]
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, report_schema())
    for name in ("report.html", "report.md"):
        page = (tmp_path / name).read_text()
        assert "Serverless" in page
        assert "None" not in page
