"""Predictions of a run: written into the ledger before it begins, and scored when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amply_capacity.errors import AmplyError
from amply_capacity.files import OWN_LEDGER_DIR
from amply_capacity.model.forecast import Forecast, forecasts, outcomes
from amply_capacity.model.ledger import Ledger
from amply_capacity.progress import say
from amply_capacity.run.reader import read_run

__all__ = ["Foretold", "foretell"]

_FILE = "runs.jsonl"


@dataclass(frozen=True, slots=True)
class Foretold:
    """What was written down, by its name in the ledger."""

    ledger: Ledger
    by_name: Mapping[str, Forecast]

    def score(self, directory: Path) -> None:
        """Write down what the run showed; nothing where it was not recorded to its end."""
        try:
            run = read_run(directory)
            if run.verdict != "complete":
                say(f"ledger      not scored: the run is {run.verdict}")
                return
            seen = outcomes(run)
        except AmplyError as error:
            say(f"ledger      not scored: {error}")
            return
        words, held = [], 0
        for name, one in self.by_name.items():
            if one.quantity not in seen:
                continue
            measured = seen[one.quantity]
            self.ledger.measure(name, measured)
            is_inside = one.predicted.low <= measured <= one.predicted.high
            held += is_inside
            words.append(f"{one.quantity} {100.0 * (one.predicted.mid / measured - 1.0):+.1f} %"
                         f"{'' if is_inside else ' (outside)'}")
        say(f"ledger      {held} of {len(words)} intervals held: {', '.join(words)}")


def foretell(names: Sequence[str], mix: Mapping[str, int], rate_per_second: float, seconds: float | None,
             inputs: Mapping[str, Any], directory: Path = OWN_LEDGER_DIR) -> Foretold:
    """Predict a run of this mix and rate from the runs named, and write that down.

    Raises BadRun where they cannot tell.
    """
    runs = [read_run(name) for name in names]
    total = sum(mix.values())
    found = forecasts(runs, {name: rate_per_second * weight / total for name, weight in mix.items()}, seconds)
    ledger = Ledger(directory / _FILE)
    case = f"{inputs['run']}: {inputs['scenario']}, {rate_per_second:,.0f} operations/s"
    known = {**inputs, "rate_per_second": rate_per_second, "mix": dict(mix),
             "from": {run.name: run.manifest["files"] for run in runs}}
    by_name = {ledger.predict(one.quantity, case, one.unit, one.predicted, known): one for one in found}
    say(f"ledger      {len(by_name)} predictions of this run are written down")
    return Foretold(ledger, by_name)
