"""Alarms over a run or an import: which would have fired, when, how early, and which tell nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.catalog.nodes import DEFAULT_RESERVED_MEMORY_PERCENT, NodeType, node_type, node_types
from amply_capacity.ops.alarm import INSUFFICIENT_DATA, Alarm
from amply_capacity.ops.alarm_derived import derived_alarms
from amply_capacity.ops.alarm_evaluation import Evaluation, data_points, evaluate
from amply_capacity.ops.alarm_lead import BestThreshold, best_threshold, false_episodes, lead_s
from amply_capacity.ops.alarm_points import NodePoints, RunPoints, points_of
from amply_capacity.ops.alarm_reach import Installation, Reach, reach_of
from amply_capacity.ops.alarm_sets import aws_alarms, missing_metrics, spec_alarms
from amply_capacity.ops.alarm_troubles import Limits, Trouble, troubles_of
from amply_capacity.ops.export_plan import NODES, PlanFile
from amply_capacity.run.reader import Run

__all__ = ["History", "NodeHistory", "SetAlarm", "history_of"]

_MOST_EPISODES = 20
_REPLICA = "slave"


@dataclass(frozen=True, slots=True)
class SetAlarm:
    """An alarm, the set it belongs to (specification, AWS, plan), and what it can do where it stands."""

    set: str
    alarm: Alarm
    reach: Reach | None
    """None where no node type is known."""


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """One alarm on one node."""

    of: SetAlarm
    node: str
    evaluation: Evaluation | None
    not_evaluated: str | None
    """Why there is no evaluation."""
    points: int
    breaching: int
    """Of its data points, those beyond the threshold, however the alarm counts them."""
    leads: tuple[tuple[Trouble, int | None], ...]
    false_episodes: int
    best: BestThreshold | None

    @property
    def has_fired(self) -> bool:
        return self.evaluation is not None and bool(self.evaluation.in_alarm.any())

    @property
    def alarm_percent(self) -> float | None:
        """Of the time, in ALARM; None where it was not evaluated."""
        found = self.evaluation
        return round(100.0 * float(found.in_alarm.mean()), 2) if found is not None and len(found) else None

    def as_json(self) -> dict[str, Any]:
        found, alarm = self.evaluation, self.of.alarm
        episodes = () if found is None else found.episodes
        return {
            "set": self.of.set, **alarm.as_json(), "node": self.node,
            "reach": None if self.of.reach is None else self.of.reach.as_json(),
            "not_evaluated": self.not_evaluated,
            "fired": self.has_fired if found is not None else None,
            "first_fired_s": episodes[0].from_s if episodes else None,
            "times_fired": len(episodes), "alarm_percent": self.alarm_percent,
            "episodes": [{"from_s": one.from_s, "until_s": one.until_s} for one in episodes[:_MOST_EPISODES]],
            "state_at_end": INSUFFICIENT_DATA if found is None else found.end_state,
            "data_points": self.points, "breaching": self.breaching,
            "warned": [{"trouble": trouble.kind, "from_s": trouble.from_s, "lead_s": lead}
                       for trouble, lead in self.leads],
            "false_episodes": self.false_episodes,
            "best_threshold": None if self.best is None else self.best.as_json(),
        }


@dataclass(frozen=True, slots=True)
class History:
    """All alarms of a run."""

    run: str
    points: RunPoints
    node_type: NodeType | None
    alarms: tuple[NodeHistory, ...]
    troubles: tuple[Trouble, ...]
    missing: tuple[str, ...]
    """Metrics that the specification does not watch."""
    derived: tuple[Alarm, ...]
    """Those of the plan; none without one."""
    notes: tuple[str, ...]

    @property
    def has_fired(self) -> bool:
        return any(one.has_fired for one in self.alarms)

    def as_json(self) -> dict[str, Any]:
        thresholds = {alarm.metric: alarm.as_json() for alarm in reversed(self.derived)}
        return {
            "run": self.run, "node_type": None if self.node_type is None else self.node_type.name,
            "from_s": self.points.start_s, "minutes": self.points.minutes,
            "resolution_s": self.points.resolution_s, "approximate": self.points.is_approximate,
            "fired": [{"set": name, "name": alarm} for name, alarm in dict.fromkeys(
                (one.of.set, one.of.alarm.name) for one in self.alarms if one.has_fired)],
            "alarms": [one.as_json() for one in self.alarms],
            "troubles": [one.as_json() for one in self.troubles],
            "missing": [{"metric": name, "proposed": thresholds.get(name)} for name in self.missing],
            "notes": list(self.notes),
        }


def history_of(run: Run, plan: PlanFile | None = None, *, node_type_name: str | None = None,
               wanted_lead_s: int = 1_800) -> History:
    """Evaluate the specification's alarms, AWS', and with a plan those derived from it.

    The node type is the named one, else that which the run stands in for, else the plan's. Raises BadRun
    for a run without metrics, UnknownName for a node type, BadInput for a plan that chose no nodes.
    """
    points = points_of(run)
    node = _node_type(run, plan, node_type_name)
    replicas = _replicas(run, plan)
    derived = () if plan is None else derived_alarms(plan)
    sets = (("specification", spec_alarms()), ("AWS", aws_alarms(node, replicas)), ("plan", derived))
    at = None if node is None else _installation(run, node, plan, replicas)
    alarms = [SetAlarm(name, alarm, None if at is None else reach_of(alarm, at))
              for name, members in sets for alarm in members]
    limits = Limits() if plan is None else Limits(
        evictions_per_minute=plan.evictions_per_minute.mid,
        p99_ms={name: limit.mid for name, limit in plan.p99_ms.items()})
    troubles = troubles_of(run, points, limits)
    found = tuple(_on(one, member, points.minutes, troubles, wanted_lead_s)
                  for member in points.nodes for one in alarms)
    return History(run.name, points, node, found, troubles, missing_metrics(spec_alarms()), derived,
                   tuple(_notes(run, points, node, plan)))


def _node_type(run: Run, plan: PlanFile | None, named: str | None) -> NodeType | None:
    if named is not None:
        return node_type(named)
    stands_for = (run.manifest.get("target") or {}).get("node_type")
    known = {node.name: node for node in node_types()}
    return known.get(str(stands_for)) or (None if plan is None else plan.node)


def _replicas(run: Run, plan: PlanFile | None) -> int:
    if plan is not None and plan.kind == NODES:
        return plan.replicas
    server = run.server
    return int(server.loc[server["role"] == _REPLICA, "node"].nunique()) if "role" in server else 0


def _installation(run: Run, node: NodeType, plan: PlanFile | None, replicas: int) -> Installation:
    if plan is None:
        reserved = (run.manifest.get("target") or {}).get("reserved_memory_percent")
        return Installation(node, DEFAULT_RESERVED_MEMORY_PERCENT if reserved is None else float(reserved),
                            replicas)
    pooled = int(plan.tasks.low * plan.workers_per_task.low * plan.pool_size.low)
    return Installation(node, plan.reserved_memory_percent, replicas, pooled)


def _on(one: SetAlarm, member: NodePoints, minutes: int, troubles: Sequence[Trouble],
        wanted_lead_s: int) -> NodeHistory:
    points = member.of(one.alarm)
    if points is None:
        why = f"{one.alarm.what} was not measured" if minutes else "the run holds no full minute"
        return NodeHistory(one, member.node, None, why, 0, 0, (), 0, None)
    evaluation = evaluate(one.alarm, points)
    values = data_points(one.alarm, points)
    concerned = [trouble for trouble in troubles if trouble.node in {None, member.node}]
    return NodeHistory(
        of=one, node=member.node, evaluation=evaluation, not_evaluated=None,
        points=int(np.count_nonzero(~np.isnan(values))),
        breaching=int(np.count_nonzero(one.alarm.breaches(values))),
        leads=tuple((trouble, lead_s(evaluation, trouble)) for trouble in concerned),
        false_episodes=false_episodes(evaluation, concerned),
        best=best_threshold(one.alarm, points, concerned, wanted_lead_s),
    )


def _notes(run: Run, points: RunPoints, node: NodeType | None, plan: PlanFile | None) -> list[str]:
    notes = []
    if plan is not None and plan.node is not None and node is not None and plan.node != node:
        notes.append(f"the plan's alarms are for {plan.node.name}, and this is about {node.name}")
    if points.is_approximate:
        notes.append(f"imported at {points.resolution_s} s: each minute has its share of a value, so that "
                     "times and alarms of shorter periods are approximate")
    emulated = [str(name) for name in run.manifest.get("emulated") or ()]
    if emulated:
        notes.append(f"emulated on a local server: {', '.join(emulated)}")
    return notes
