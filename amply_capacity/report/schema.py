"""The JSON schema of `report.json` (draft 2020-12), published as docs/report-schema.json.

`python -m amply_capacity.report.schema` prints it; a test holds the published file to it, and reports to it.
"""

from __future__ import annotations

import json
from typing import Any

from amply_capacity.report.document import SCHEMA
from amply_capacity.report.plan_schema import plan_schema
from amply_capacity.report.schema_parts import (
    INTERVAL,
    NUMBER,
    TEXT,
    TEXTS,
    WHOLE,
    array,
    mapping,
    maybe,
    said,
    thing,
)
from amply_capacity.report.sources import KINDS
from amply_capacity.run.schema import VERDICTS

__all__ = ["report_schema", "schema_text"]


def report_schema() -> dict[str, Any]:
    """The schema as JSON-able content; what it does not name may not be in a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "amply-capacity sizing report",
        "description": "What `amply-capacity report --format json` writes. null is a figure that nobody "
                       "knows; it is never 0.",
        **thing({
            "schema": said({"const": SCHEMA}, "Version of this schema; of the plan within, plan.schema"),
            "title": TEXT,
            "as_of": said(TEXT, "Date of the newest run, ISO 8601; the plan's months begin after it"),
            "conclusion": said(TEXT, "The recommendation in two or three sentences"),
            "warnings": said(TEXTS, "Reasons to read the report with care"),
            "plan": said(plan_schema(), "What `amply-capacity plan --json` prints"),
            "runs": array(_run()),
            "versions": mapping(TEXT),
            "sources": array(_source()),
        }),
    }


def schema_text() -> str:
    """The published file's content."""
    return json.dumps(report_schema(), indent=1, ensure_ascii=False) + "\n"


def _source() -> dict[str, Any]:
    return said(thing({
        "key": said(TEXT, "R for a run, F a fact, D a table of the demand (its numbers bear the same), A an "
                          "assumption"),
        "kind": {"enum": list(KINDS)}, "what": TEXT, "value": TEXT, "source": TEXT, "as_of": TEXT,
    }), "Where figures come from; the other formats link their figures to these keys")


def _run() -> dict[str, Any]:
    return thing({
        "run": TEXT, "scenario": TEXT, "verdict": {"enum": list(VERDICTS)}, "verdict_reason": maybe(TEXT),
        "started_at": said(TEXT, "ISO 8601, UTC"), "arrivals": TEXT,
        "rate_per_second": said(maybe(NUMBER), "Operations offered a second; null in a closed loop"),
        "seed": WHOLE,
        "target": said({"type": "object"}, "As in run.json: never a secret"),
        "server": said({"type": "object"}, "As in run.json"),
        "prefill_share": NUMBER, "population": maybe({"type": "object"}),
        "seconds": said(NUMBER, "Seconds that the figures are taken from"),
        "commands_per_second": NUMBER,
        "hit_rate": said(maybe(NUMBER), "Of cached reads, 0 to 1"), "evictions": maybe(WHOLE),
        "bytes": said(mapping(INTERVAL), "Of used_memory, for one session, counter, connection, …"),
        "cpu_us_per_command": maybe(INTERVAL),
        "operations": array(thing({
            "use case": TEXT, "operation": TEXT, "operations": WHOLE, "per second": NUMBER, "p50 ms": NUMBER,
            "p99 ms": NUMBER, "p99.9 ms": NUMBER, "outcomes": TEXT})),
    })


if __name__ == "__main__":
    print(schema_text(), end="")
