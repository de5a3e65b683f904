"""`runs compare`, answered: two runs or plans side by side, what is noise, what the plan makes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amply_capacity.errors import BadDemand, BadInput
from amply_capacity.model.comparison import MORE, NOISE, compare_runs, differences
from amply_capacity.plan.decision import SCHEMA
from amply_capacity.plan.recorded import plan_of_runs
from amply_capacity.report.bought import bought
from amply_capacity.report.document import month_text
from amply_capacity.report.money import usd
from amply_capacity.run.reader import Run, read_run

__all__ = ["comparison_of_plans", "comparison_of_runs", "is_plan", "read_plan"]

Plan = Mapping[str, Any]

_WORLDS = 2_000
_Z = 1.96
_DRAWING_PERCENT = 1.0
"""What another drawing of the worlds may make of a headroom."""
_AGAIN = "make it again: amply-capacity plan --run RUN --demand demand.toml --json > plan.json"


def is_plan(name: str) -> bool:
    """Whether what is to be compared is a plan's or report's file, and no run."""
    return Path(name).suffix == ".json" or Path(name).is_file()


def comparison_of_runs(before: str, after: str, demand: Path) -> dict[str, Any]:
    """Two runs, and the plans that the demand would get from each, as JSON. Raises BadRun and BadDemand."""
    old, new = read_run(before), read_run(after)
    for run in (old, new):
        run.need_load()
    found = compare_runs(old, new)
    plans = _plans(old, new, demand)
    return {
        "kind": "runs", "before": _run_facts(old), "after": _run_facts(new),
        "settings": [{"what": one.what, "before": one.before, "after": one.after} for one in found.settings],
        "changes": [change.as_json() for change in found.changes],
        "plan": {"demand": str(demand), **plans},
        "notes": list(_run_notes(old, new)),
        "conclusion": " ".join((_told([change.as_json() for change in found.told]), plans["conclusion"])),
    }


def comparison_of_plans(before: Path, after: Path) -> dict[str, Any]:
    """Two plans, as JSON. Raises BadInput as `read_plan`."""
    old, new = read_plan(before), read_plan(after)
    outcomes = _outcomes(old, new)
    inputs = [{"what": what, "before": was, "after": now} for what, was, now in differences(
        _inputs(old), _inputs(new))]
    return {
        "kind": "plans", "before": {"file": str(before), **_decision(old)}, "after": {"file": str(after),
                                                                                     **_decision(new)},
        "settings": inputs, "changes": outcomes, "plan": {"conclusion": _decided(old, new)},
        "notes": ["shares of worlds are told apart where they differ by more than the drawing of worlds "
                  "explains (95 %); money and node types are told as they are"],
        "conclusion": " ".join((_told([one for one in outcomes if one["verdict"] not in (NOISE, "same")]),
                                _decided(old, new))),
    }


def read_plan(path: Path) -> dict[str, Any]:
    """What `plan --json` printed, or the plan within a report.json.

    Raises BadInput for a file that cannot be read, is no plan, or was made by another version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("there is no such plan", got=str(path), do=_AGAIN) from None
    except OSError as error:
        raise BadInput("the plan cannot be read", got=f"{path}: {error.strerror}",
                       do="name a file that may be read") from None
    except (ValueError, RecursionError) as error:
        raise BadInput("the plan is no JSON", got=f"{path}: {str(error)[:120]}", do=_AGAIN) from None
    if isinstance(found, dict) and isinstance(found.get("plan"), dict):
        found = found["plan"]
    if not isinstance(found, dict) or "chosen" not in found:
        raise BadInput("this is no plan", got=f"{path} says nothing under chosen", do=_AGAIN)
    if found.get("schema") != SCHEMA:
        raise BadInput("the plan was made by another version", got=f"{path}: plan schema "
                       f"{found.get('schema', 1)}, this version reads {SCHEMA}", do=_AGAIN)
    return found


def _run_facts(run: Run) -> dict[str, Any]:
    return {"run": run.name, "scenario": run.manifest["scenario"], "verdict": run.verdict,
            "started_at": run.manifest["started_at"], "seconds": len(run.sound_seconds)}


def _run_notes(before: Run, after: Run) -> Iterator[str]:
    for run in (before, after):
        if run.verdict != "complete":
            yield f"{run.name} is {run.verdict}: {run.manifest.get('verdict_reason') or 'it ended early'}"
        if run.starved_seconds & set(run.sound_seconds):
            yield (f"in {run.name} other processes took CPU from the server in {len(run.starved_seconds)} s, "
                   "too many to leave them out: response times and CPU are told apart less finely")
    if before.manifest["scenario"] != after.manifest["scenario"]:
        yield "the runs are of different scenarios: their figures are of different work"
    elif before.manifest["rate_per_second"] != after.manifest["rate_per_second"]:
        yield "the runs were offered different rates, on which response times and CPU of a command depend"


def _plans(before: Run, after: Run, demand: Path) -> dict[str, Any]:
    plans: list[Plan | None] = []
    reasons = []
    for run in (before, after):
        try:
            plans.append(plan_of_runs([run], demand, worlds=_WORLDS, is_draft=True).as_json())
        except BadDemand:
            raise
        except BadInput as error:
            plans.append(None)
            reasons.append(f"{run.name}: {error.what}")
    old, new = plans
    if old is None or new is None:
        return {"before": None, "after": None, "changes": [],
                "conclusion": f"What it means for the plan cannot be said ({'; '.join(reasons)})."}
    return {"before": _decision(old), "after": _decision(new), "changes": _outcomes(old, new),
            "conclusion": _decided(old, new)}


def _decision(plan: Plan) -> dict[str, Any]:
    return {"chosen": _option(plan["chosen"]), "usd_per_month": plan["chosen"]["usd_per_month"],
            "replica": plan["replica"]["verdict"]}


def _outcomes(before: Plan, after: Plan) -> list[dict[str, Any]]:
    """What the plans say, each beside the other's, with whether it is more than the drawing of worlds."""
    rows = []
    for what, unit, old, new in (
        ("chosen", "", _option(before["chosen"]), _option(after["chosen"])),
        ("bill of a month", "USD", before["chosen"]["usd_per_month"], after["chosen"]["usd_per_month"]),
        ("tightest limit", "", before["chosen"]["binding"], after["chosen"]["binding"]),
        ("left of it", "percent", before["chosen"]["headroom_percent"], after["chosen"]["headroom_percent"]),
        ("all months, median world", "USD", _total(before), _total(after)),
        ("verdict on a replica", "", before["replica"]["verdict"], after["replica"]["verdict"]),
        ("next upgrade", "", _upgrade(before), _upgrade(after)),
        ("today's node type falls short from", "", before["today"]["short_from"],
         after["today"]["short_from"]),
    ):
        verdict = "same" if old == new or (unit == "percent" and _is_near(old, new)) else "changed"
        rows.append({"what": what, "unit": unit, "before": old, "after": new, "verdict": verdict})
    for what, keys in (("worlds in which the chosen fits", ("chosen", "probability")),
                       ("worlds in which a replica pays", ("replica", "probability"))):
        shares = [(float(plan[keys[0]][keys[1]]), int(plan["worlds"])) for plan in (before, after)]
        rows.append({"what": what, "unit": "share", "before": shares[0][0], "after": shares[1][0],
                     "verdict": _shares_verdict(*shares[0], *shares[1])})
    return rows


def _is_near(old: Any, new: Any) -> bool:
    return old is not None and new is not None and abs(new - old) < _DRAWING_PERCENT


def _shares_verdict(old: float, old_worlds: int, new: float, new_worlds: int) -> str:
    if old == new:
        return "same"
    error = math.sqrt(old * (1.0 - old) / old_worlds + new * (1.0 - new) / new_worlds)
    return "changed" if abs(new - old) > _Z * error else NOISE


def _inputs(plan: Plan) -> dict[str, Any]:
    """What a plan was made from."""
    return {"runs": ", ".join(sorted(run["run_id"] for run in plan["evidence"])), "demand": plan["demand"],
            "worlds": plan["worlds"], "seed": plan["seed"], "start": plan["start"],
            "price": {line["what"]: f"{line['usd_per_unit']} USD as of {line['as_of']}"
                      for line in plan["bill"]["lines"]}}


def _decided(before: Plan, after: Plan) -> str:
    """What it means for the plan, in a sentence or two."""
    old, new = before["chosen"], after["chosen"]
    if _option(old) == _option(new):
        text = f"The plan stays {_option(new)}"
        if old["usd_per_month"] != new["usd_per_month"]:
            text += f", at {usd(new['usd_per_month'])} a month instead of {usd(old['usd_per_month'])}"
    else:
        text = (f"The plan changes from {_option(old)} ({usd(old['usd_per_month'])} a month) to "
                f"{_option(new)} ({usd(new['usd_per_month'])})")
    parts = [f"{text}."]
    was, now = before["replica"]["verdict"], after["replica"]["verdict"]
    if was != now:
        parts.append(f"The verdict on a replica turns from “{was}” to “{now}”.")
    if _upgrade(before) != _upgrade(after):
        parts.append(f"The next upgrade moves from {_upgrade(before) or 'none in sight'} to "
                     f"{_upgrade(after) or 'none in sight'}.")
    return " ".join(parts)


def _told(changes: list[dict[str, Any]]) -> str:
    if not changes:
        return "Nothing differs by more than noise."
    named = [f"{one['what']} {_moved(one)}" for one in changes[:4]]
    more = f", and {len(changes) - 4} more" if len(changes) > 4 else ""
    return f"More than noise: {'; '.join(named)}{more}."


def _moved(one: Mapping[str, Any]) -> str:
    change = one.get("change")
    if change is None:
        return f"{_plain(one['before'])} → {_plain(one['after'])}"
    unit = "%" if one["change_unit"] == "percent" else "percent points"
    return f"{'+' if one['verdict'] == MORE else '−'}{abs(change['mid']):.3g} {unit}"


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.4g}" if isinstance(value, int | float) else str(value)


def _option(chosen: Plan) -> str:
    return f"{bought(chosen)}, {chosen['engine']}, {chosen['term'].replace('_', ' ')}"


def _total(plan: Plan) -> float | None:
    known = [row["usd_mid"] for row in plan["months"] if row["usd_mid"] is not None]
    return round(sum(known), 2) if known else None


def _upgrade(plan: Plan) -> str | None:
    if not plan["upgrades"]:
        return None
    return f"{plan['upgrades'][0]['to']} in {month_text(plan['upgrades'][0]['month'])}"
