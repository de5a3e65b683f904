"""The one report document: all that any format shows, from runs, a demand and a seed, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amply_capacity import __version__
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.latency import operation_table
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.recorded import plan_of_runs
from amply_capacity.report.bought import bought, is_serverless
from amply_capacity.report.money import usd
from amply_capacity.run.reader import Run, read_run

__all__ = ["Document", "conclusion", "document_of", "month_text", "plan_of"]

SCHEMA = 1
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")
_SIZES = ("session_bytes", "index_bytes", "counter_bytes", "cached_bytes", "result_bytes", "connection_bytes")


@dataclass(frozen=True, slots=True)
class Document:
    """The report as JSON-able content, and the recorded runs from which figures are drawn."""

    content: dict[str, Any]
    recorded: tuple[Run, ...]


def plan_of(runs: Sequence[str | Path], demand: Path, *, worlds: int = 10_000, seed: int = 1) -> Plan:
    """The plan of recorded runs and a demand file; its months begin after the newest run's date, not today's.

    Raises BadRun and BadDemand, and what `make_plan` raises.
    """
    return plan_of_runs([read_run(run) for run in runs], demand, worlds=worlds, seed=seed)


def document_of(runs: Sequence[str | Path], demand: Path, *, worlds: int = 10_000, seed: int = 1) -> Document:
    """The report document; the same runs, demand and seed give the same one. Raises as `plan_of` does."""
    recorded = tuple(read_run(run) for run in runs)
    plan = plan_of_runs(recorded, demand, worlds=worlds, seed=seed)
    made, evidence = plan.as_json(), {one.run_id: one for one in plan.figures.runs}
    content = {
        "schema": SCHEMA,
        "title": "Sizing report",
        "as_of": made["start"],
        "conclusion": conclusion(made),
        "warnings": list(dict.fromkeys(warning for run in made["evidence"] for warning in run["warnings"])),
        "plan": made,
        "runs": [_run_facts(run, evidence[run.name]) for run in recorded],
        "versions": {"amply_capacity": __version__, "numpy": np.__version__, "pandas": pd.__version__},
    }
    return Document(content, recorded)


def conclusion(plan: Mapping[str, Any]) -> str:
    """The recommendation in two or three sentences."""
    chosen, replica = plan["chosen"], plan["replica"]
    where = f"{chosen['engine']}, {chosen['region']}"
    first = (f"Run ElastiCache Serverless ({where}) for {usd(chosen['usd_per_month'])} in the first month."
             if is_serverless(chosen) else
             f"Run {bought(chosen).replace(' × ', ' ')} ({where}, {chosen['term'].replace('_', ' ')}) for "
             f"{usd(chosen['usd_per_month'])} a month.")
    share = f"{100 * replica['probability']:.0f} % of the worlds"
    verdicts = {
        "add": f"Add a replica: it saves more than it costs in {share}.",
        "do not add": f"Do not add a replica: it saves more than it costs in only {share}.",
        "undecided": f"Whether a replica pays is undecided ({share} say yes), so today's number, "
                     f"{replica['replicas']}, stays.",
    }
    if limit := replica["break_even_notes"].get("allowed"):
        verdicts |= {
            "add": f"A replica would save more than it costs in {share}, but {limit}.",
            "undecided": f"Whether a replica pays is undecided ({share} say yes), and {limit}.",
        }
    parts = [first, "It keeps its data in several zones and grows by itself: there is no replica to pay for "
                    "and no type to outgrow, and the bill follows the load."]
    if not is_serverless(chosen):
        parts = [first, verdicts[replica["verdict"]]]
    if plan["withheld"]:
        parts.insert(0, f"Not to be decided yet: {plan['withheld']['reason']}. First "
                        f"{plan['withheld']['settled_by']}. On what is known so far:")
    if plan["upgrades"]:
        upgrade = plan["upgrades"][0]
        parts.append(f"The next upgrade is to {upgrade['to']} in {month_text(upgrade['month'])}; be ready by "
                     f"{month_text(upgrade['act_by'])}.")
    elif not is_serverless(chosen):
        parts.append(f"No upgrade is in sight for {len(plan['months'])} months.")
    return " ".join(parts)


def month_text(month: str) -> str:
    """`2027-09` as `September 2027`."""
    year, number = month.split("-")
    return f"{_MONTHS[int(number) - 1]} {year}"


def _run_facts(run: Run, evidence: Evidence) -> dict[str, Any]:
    table = operation_table(run)
    footprint = evidence.footprint
    sizes = {name: value.rounded(1) for name in _SIZES if (value := getattr(footprint, name)) is not None}
    cpu = evidence.cpu_us_per_command
    return {
        "run": run.name, "scenario": run.manifest["scenario"], "verdict": run.verdict,
        "verdict_reason": run.manifest.get("verdict_reason") or None,
        "started_at": run.manifest["started_at"],
        "arrivals": run.manifest["arrivals"], "rate_per_second": run.manifest["rate_per_second"],
        "seed": run.manifest["seed"], "target": run.manifest["target"], "server": run.manifest["server"],
        "prefill_share": run.manifest["prefill"]["share"], "population": run.manifest["population"],
        "seconds": evidence.seconds, "commands_per_second": round(evidence.commands_per_second, 1),
        "hit_rate": evidence.hit_rate, "evictions": evidence.evictions, "bytes": sizes,
        "cpu_us_per_command": None if cpu is None else cpu.rounded(2),
        "operations": _plain(table),
    }


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): round(float(value), 4) if isinstance(value, float) else value
             for key, value in row.items()} for row in table.to_dict("records")]
