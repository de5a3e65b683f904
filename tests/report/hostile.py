"""A document whose every name from outside is markup, a formula or code to one format or another."""

from __future__ import annotations

import copy
from typing import Any

from amply_capacity.report.document import Document

__all__ = ["NAMES", "hostile"]

NAMES = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A1",
    "#set page(width: 1cm)",
    "#panic(\"x\") $sum$ *bold* _it_ `raw` @label <r1>",
    "[a](https://b.example/) ![i](j) | pipe \\| https://c.example www.d.example @octocat :tada:",
    "-1+2 +3 @SUM(A1) {=A1} \t2. list",
    "\\u{41} \\ \" ' & &amp; {{ 7 * 7 }} {% raw %}",
)


def hostile(document: Document) -> Document:
    """The document with hostile names of run, scenario, server, target, campaign, tag and more."""
    content: dict[str, Any] = copy.deepcopy(document.content)
    names = iter(NAMES * 4)
    content["warnings"] = list(NAMES)
    for run in content["runs"]:
        run |= {"run": next(names), "scenario": next(names), "verdict_reason": next(names)}
        run["server"] |= {"version": next(names), "allocator": next(names)}
        run["target"] |= {"node_type": next(names), "url": next(names)}
        for row in run["operations"]:
            row |= {"operation": next(names), "outcomes": NAMES[0]}
            break
    plan = content["plan"]
    plan["evidence"][0]["run_id"] = content["runs"][0]["run"]
    plan["demand"]["campaign"] = [{"name": one, "month": "2027-09", "load": 1.5, "months": 1}
                                  for one in NAMES]
    plan["demand"]["tags"] = {"owner": NAMES[1], "cluster": NAMES[2]}
    plan["bill"]["notes"] += list(NAMES)
    for line in plan["bill"]["lines"]:
        line |= {"what": NAMES[1], "unit": NAMES[2], "source": NAMES[0]}
    for one, name in zip(plan["excuses"], NAMES, strict=False):
        one |= {"node_type": name, "reason": name}
    for one, name in zip(plan["assumptions"], NAMES, strict=False):
        one["source"] = name
    for one, name in zip(plan["strategies"], NAMES, strict=False):
        one |= {"what": name, "changes": name}
    return Document(content, document.recorded)
