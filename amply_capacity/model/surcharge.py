"""What encryption, replicas and connections cost the server's CPU: the difference that a run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import CpuCurve, interval_of
from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.run.reader import Run

__all__ = ["Surcharge", "surcharge"]

_MORE = 1.5  # times the connections, from which a run is one of more connections
_SEED = 3


@dataclass(frozen=True, slots=True)
class Surcharge:
    """What one run costs beyond the curve of others, at its own rate and mix."""

    what: str
    run_id: str
    rounds_per_second: float
    us_per_round: Interval
    """More than without, 90 %; below 0 where nothing can be told from the noise of runs."""
    percent: Interval
    """Of a round trip without."""

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "run": self.run_id, "rounds_per_second": round(self.rounds_per_second, 1),
                "us_per_round": self.us_per_round.rounded(3), "percent": self.percent.rounded(2)}


def surcharge(curve: CpuCurve, fitted: Sequence[Run], run: Run) -> Surcharge:
    """What this run costs beyond those that the curve was fitted to.

    Raises BadRun where it differs in nothing, or does not tell its server's CPU.
    """
    what = _differences([_setting(one) for one in fitted], _setting(run))
    if not what:
        raise BadRun(f"run {run.name} is like the others: there is no difference to tell",
                     got=_words(_setting(run)),
                     do="record one with --tls, --topology replicated or more users (-u), at the same rate")
    samples = cpu_samples(run)
    if not samples:
        raise BadRun(f"run {run.name} does not tell what its server's CPU did", got="no INFO with used_cpu",
                     do="record it for at least 10 seconds on a server that answers INFO")
    longest = max(samples, key=lambda one: one.seconds)
    execution = curve.execution_us(longest.commands_per_round)
    without = 1e6 * curve.cores(longest.rounds_per_second, execution) / longest.rounds_per_second
    rng = np.random.default_rng(_SEED)
    error = float(np.hypot(curve.spread, longest.relative_error))
    seen = longest.us_per_round * np.exp(error * rng.standard_normal(len(without)))
    seen[0] = longest.us_per_round
    return Surcharge(", ".join(what), run.name, longest.rounds_per_second, interval_of(seen - without),
                     interval_of(100.0 * (seen / without - 1.0)))


def _setting(run: Run) -> dict[str, Any]:
    target = run.manifest["target"]
    return {"tls": bool(target.get("tls")), "topology": str(target.get("topology")),
            "connections": float(run.in_sound_samples(run.server)["CurrConnections"].median())}


def _differences(before: Sequence[Mapping[str, Any]], now: Mapping[str, Any]) -> list[str]:
    found = []
    if now["tls"] and not any(one["tls"] for one in before):
        found.append("TLS")
    if now["topology"] == "replicated" and not any(one["topology"] == "replicated" for one in before):
        found.append("a replica")
    most = max(one["connections"] for one in before)
    if now["connections"] > _MORE * most:
        found.append(f"{now['connections']:,.0f} connections instead of {most:,.0f}")
    return found


def _words(setting: Mapping[str, Any]) -> str:
    return (f"{'TLS' if setting['tls'] else 'no TLS'}, topology {setting['topology']}, "
            f"{setting['connections']:,.0f} connections")
