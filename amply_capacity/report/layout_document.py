"""The report document laid out: which question comes when, for every format but the page's own template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.plan.decision import SCHEMA as PLAN_SCHEMA
from amply_capacity.report.document import SCHEMA, month_text
from amply_capacity.report.layout import Layout, Said
from amply_capacity.report.layout_options import alternatives_section, excuses_section, ways_section
from amply_capacity.report.layout_plan import (
    bill_table,
    cost_section,
    spec_table,
    tiles,
    why_section,
)
from amply_capacity.report.layout_replica import replica_section
from amply_capacity.report.layout_runs import measured_section, run_section
from amply_capacity.report.sources import sources_of

__all__ = ["check_schema", "layout_of"]


def check_schema(content: Mapping[str, Any]) -> None:
    """Raises BadInput for a report of another schema, or of a plan of another schema, than this version's."""
    found = content.get("schema"), content.get("plan", {}).get("schema")
    if found != (SCHEMA, PLAN_SCHEMA):
        raise BadInput("the report's plan was made by another version",
                       got=f"report schema {found[0]}, plan schema {found[1]}; this version has {SCHEMA} and "
                           f"{PLAN_SCHEMA}", do="make it again from its runs and demand")


def layout_of(content: Mapping[str, Any]) -> Layout:
    """A document's content as sections; the same for the same content. Raises BadInput as `check_schema`."""
    check_schema(content)
    plan, runs = content["plan"], content["runs"]
    sources = sources_of(content)
    chosen, months = plan["chosen"], plan["months"]
    decision, _, further = content["conclusion"].removesuffix(".").partition(". ")
    further = f"{further}." if further else ""
    sections = [
        why_section(plan, sources), replica_section(plan, sources), cost_section(plan, sources),
        ways_section(plan, sources), alternatives_section(plan, sources), measured_section(content, sources),
        *(run_section(run, place, sources) for place, run in enumerate(runs, start=1)),
        excuses_section(plan, sources),
    ]
    return Layout(
        title=content["title"],
        kicker=f"Amazon ElastiCache · {chosen['engine']} · {chosen['region']}",
        meta=f"Measured in {len(runs)} run{'s' * (len(runs) != 1)}, recorded {content['as_of']} · plan for "
             f"{month_text(months[0]['month'])} to {month_text(months[-1]['month'])} · {plan['worlds']:,} "
             f"worlds, seed {plan['seed']}",
        decision=Said(f"{decision}.", (*sources.runs(), *sources.prices(), *sources.inputs("users", "plan"))),
        further=Said(further, sources.inputs("users", "failures", "money", "plan")),
        tiles=tiles(plan, sources),
        warnings=tuple(content["warnings"]),
        first=(spec_table(plan, sources), bill_table(plan, sources)),
        first_notes=tuple(plan["bill"]["notes"]),
        first_figures=("cost_by_month",),
        sections=tuple(section for section in sections if section is not None),
        sources=sources,
        footer=f"amply-capacity {content['versions']['amply_capacity']} · the same runs, demand and seed "
               f"give this report again · {plan['bill']['hours_per_month']:,.0f} hours a month",
    )
