"""The published schema is the one that reports keep to, and says no to what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from amply_capacity.files import ROOT
from amply_capacity.report.document import Document
from amply_capacity.report.files import write_report
from amply_capacity.report.schema import report_schema, schema_text

pytestmark = pytest.mark.xdist_group("report")

PUBLISHED = ROOT / "docs" / "report-schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(PUBLISHED.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def written(document: Document, directory: Path) -> Any:
    return json.loads(write_report(document, directory, ["json"])[0].read_text())


def test_what_is_published_is_what_the_package_says() -> None:
    assert PUBLISHED.read_text() == schema_text(), (
        "print it anew: python -m amply_capacity.report.schema > docs/report-schema.json")


def test_a_report_keeps_to_it(document: Document, validator: Draft202012Validator, tmp_path: Path) -> None:
    errors = [(list(error.absolute_path), error.message[:200])
              for error in validator.iter_errors(written(document, tmp_path))]
    assert errors == []


def test_a_report_of_things_that_nobody_knows_keeps_to_it(
        changed: Callable[..., Document], validator: Draft202012Validator, tmp_path: Path) -> None:
    def forget(content: dict[str, Any]) -> None:
        plan = content["plan"]
        plan["months"][0] |= {f"usd_{name}": None for name in ("low", "lower", "mid", "upper", "high")}
        plan["headroom"][0] |= {"available": None, "headroom_percent": None, "probability": None}
        plan["runner_up"] = plan["today"]["short_from"] = plan["today"]["fits"] = None
        plan["objectives"][0] |= {"measured": None, "met": None, "run_id": None}
        content["runs"][0] |= {"hit_rate": None, "evictions": None, "cpu_us_per_command": None,
                               "rate_per_second": None, "population": None}

    assert validator.is_valid(written(changed(forget), tmp_path))


@pytest.mark.parametrize("edit", [
    lambda content: content["plan"].update(schema=1),
    lambda content: content.update(surprise=1),
    lambda content: content["plan"]["chosen"].pop("usd_per_month"),
    lambda content: content["plan"]["replica"].update(verdict="maybe"),
    lambda content: content["plan"]["months"][0].update(month="2027-13"),
    lambda content: content["plan"]["ranked"][0].update(probability=1.5),
    lambda content: content["runs"][0].update(hit_rate="96 %"),
], ids=["schema", "key", "lost", "verdict", "month", "share", "text"])
def test_what_is_no_report_is_refused(
        document: Document, changed: Callable[..., Document], validator: Draft202012Validator, tmp_path: Path,
        edit: Callable[[Any], object]) -> None:
    content = written(document, tmp_path)
    edit(content)
    assert not validator.is_valid(content)


def test_every_source_that_a_key_may_name_is_in_the_json(document: Document, tmp_path: Path) -> None:
    sources = written(document, tmp_path)["sources"]
    assert {one["key"][0] for one in sources} == {"R", "F", "D", "A"}
    assert all(one["key"] and one["what"] for one in sources)
    runs = [one for one in sources if one["kind"] == "run"]
    assert len(runs) == len(document.content["runs"])


def test_each_part_of_the_schema_says_what_may_be_in_it() -> None:
    def closed(schema: Any) -> bool:
        if isinstance(schema, dict):
            if "properties" in schema and schema.get("additionalProperties") is not False:
                return False
            return all(map(closed, schema.values()))
        return all(map(closed, schema)) if isinstance(schema, list) else True

    assert closed(report_schema())
