"""Predicted, then measured: every model of memory against real servers, on seeds and sizes it has not seen.

Each prediction is written into the ledger before its measurement is begun: those of memory all together,
and those of CPU and response times just before, since an hour later the host is another. What leaves most of
a core free is measured beside each other, the rest one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import median

from amply_capacity.files import LEDGER_DIR
from amply_capacity.model.ledger import Ledger
from amply_capacity.progress import progress, say
from amply_capacity.target.process import die_with
from bench import churn, costs, drills, hits, leak, memory, network, profiled, queues
from bench.claim import Claim, Experiment

__all__ = ["table"]

_PARTS: tuple[Callable[[], list[Experiment]], ...] = (
    memory.experiments, profiled.experiments, churn.experiments, hits.experiments, leak.experiments,
    network.experiments, drills.experiments)
_IN_TURN: tuple[Callable[[], Iterator[list[Experiment]]], ...] = (costs.batches, queues.batches)
_BESIDE_EACH_OTHER = 6
_FILE = "bench.jsonl"
_WHOLE = 100.0
"""From here on a figure is told without decimals."""


def table(parts: Sequence[Callable[[], list[Experiment]]] = _PARTS,
          in_turn: Sequence[Callable[[], Iterator[list[Experiment]]]] = _IN_TURN) -> str:
    """A row a claim: predicted, measured, error, and whether the interval held the truth; then what was not
    predicted or not measured.

    All experiments of `parts` are predicted first; a batch of `in_turn` when that before it was measured.
    """
    with progress("predicting", len(parts)) as advance:
        first = [experiment for part in parts for experiment in _made(part, advance)]
    ledger = Ledger(LEDGER_DIR / _FILE)
    rows, untold = _scored(ledger, first)
    for batches in in_turn:
        for batch in batches():
            more, untold_too = _scored(ledger, batch)
            rows, untold = rows + more, untold + untold_too
    return "\n".join([*_lines(rows), *untold, "", *_summary(rows)])


def _scored(ledger: Ledger, experiments: Sequence[Experiment]) -> tuple[list[tuple[Claim, float]], list[str]]:
    """Predicted, measured, noted: claims with what was measured, and words on what is missing."""
    names = [[ledger.predict(claim.quantity, claim.case, claim.unit, claim.predicted, experiment.inputs)
              for claim in experiment.claims] for experiment in experiments]
    measured = _measured(experiments, [partial(_noted, ledger, ids) for ids in names])
    rows = [(claim, value) for experiment, values in zip(experiments, measured, strict=True)
            for claim, value in zip(experiment.claims, values, strict=False)]  # a failed one has no values
    untold = [f"withheld: {words}" for experiment in experiments for words in experiment.withheld]
    untold += [f"not measured: {claim.quantity}, {claim.case}"
               for experiment, values in zip(experiments, measured, strict=True)
               for claim in experiment.claims[len(values):]]
    return rows, untold


def _made(part: Callable[[], list[Experiment]], advance: Callable[[], object]) -> list[Experiment]:
    made = part()
    advance()
    return made


def _noted(ledger: Ledger, names: Sequence[str], values: Sequence[float]) -> None:
    """At once: what comes later may fail."""
    for name, value in zip(names, values, strict=False):
        ledger.measure(name, value)


def _measured(experiments: Sequence[Experiment],
              notes: Sequence[Callable[[Sequence[float]], None]]) -> list[Sequence[float]]:
    """What each measured, in their order; nothing where it could not be."""
    note_of = {id(one): note for one, note in zip(experiments, notes, strict=True)}
    together = [one for one in experiments if one.runs_beside_others]
    with progress("measuring", len(experiments)) as advance:

        def measured(experiment: Experiment) -> Sequence[float]:
            try:
                values = _in_process(experiment) if experiment.runs_beside_others else experiment.measure()
            except Exception as error:  # whatever it is: hours of others' measurements come before and after
                cases = ", ".join(claim.case for claim in experiment.claims)
                say(f"not measured: {cases}: {str(error) or type(error).__name__}")
                values = []
            note_of[id(experiment)](values)
            advance()
            return values

        with ThreadPoolExecutor(_BESIDE_EACH_OTHER) as pool:
            beside = dict(zip(map(id, together), pool.map(measured, together), strict=True))
        return [beside[id(one)] if id(one) in beside else measured(one) for one in experiments]


def _in_process(experiment: Experiment) -> Sequence[float]:
    """Measured by a process of its own, which has a Python of its own."""
    context = get_context("fork")  # the experiment holds functions, which are not sent
    receiver, sender = context.Pipe(duplex=False)
    parent = os.getpid()

    def measure() -> None:
        die_with(parent)
        sender.send(experiment.measure())

    process = context.Process(target=measure)
    process.start()
    sender.close()
    try:
        values: Sequence[float] = receiver.recv()
    except EOFError:
        raise RuntimeError("its process failed") from None
    finally:
        process.join()
    return values


def _lines(rows: Sequence[tuple[Claim, float]]) -> list[str]:
    lines = [f"{'':<34} {'':<44} {'predicted':>15} {'measured':>15} {'error':>9} {'allowed':>9}  inside"]
    for claim, value in rows:
        lines.append(f"{claim.quantity:<34} {claim.case:<44} {_figure(claim, claim.predicted.mid):>15} "
                     f"{_figure(claim, value):>15} {claim.error(value):>+7.2f} {_unit(claim)} "
                     f"{_allowed(claim):>9}  {'yes' if _is_inside(claim, value) else 'no'}")
    return lines


def _summary(rows: Sequence[tuple[Claim, float]]) -> list[str]:
    """By quantity: the mean and the largest error, and how many were as small as their case allows: that may
    be more of one than of another, and some are not judged."""
    groups: dict[str, list[tuple[Claim, float]]] = {}
    for claim, value in rows:
        groups.setdefault(claim.quantity, []).append((claim, value))
    lines = [f"{'':<34} {'mean |error|':>13} {'largest':>9} {'as allowed':>11}  intervals that held"]
    for quantity, group in groups.items():
        errors = [abs(claim.error(value)) for claim, value in group]
        inside = sum(_is_inside(claim, value) for claim, value in group)
        near = [error <= claim.limit for (claim, _), error in zip(group, errors, strict=True)
                if claim.limit is not None]
        lines.append(f"{quantity:<34} {sum(errors) / len(errors):>11.2f} {_unit(group[0][0])} "
                     f"{max(errors):>9.2f} {f'{sum(near)} of {len(near)}' if near else '–':>11}  "
                     f"{inside} of {len(group)}")
    lines += _repeated(rows)
    if rows:
        held = sum(_is_inside(claim, value) for claim, value in rows)
        lines.append(f"{'all':<34} {'':>13} {'':>9} {'':>11}  {held} of {len(rows)}: "
                     f"{100.0 * held / len(rows):.0f} % (of 90 % intervals)")
    return lines


def _repeated(rows: Sequence[tuple[Claim, float]]) -> list[str]:
    """Of a case that was predicted and measured several times, the median error: what is not chance."""
    errors: dict[tuple[str, str], list[float]] = {}
    known = {(claim.quantity, claim.case): claim for claim, _ in rows}
    for claim, value in rows:
        errors.setdefault((claim.quantity, claim.case), []).append(claim.error(value))
    return [f"{quantity:<34} {case:<44} median error of {len(found)}: {median(found):+.1f} "
            f"{_unit(known[quantity, case])} (allowed {_allowed(known[quantity, case]) or '–'})"
            for (quantity, case), found in errors.items() if len(found) > 1]


def _is_inside(claim: Claim, value: float) -> bool:
    return claim.predicted.low <= value <= claim.predicted.high


def _figure(claim: Claim, value: float) -> str:
    if claim.unit == "points":
        return f"{100.0 * value:.2f} %"
    return f"{value:,.0f} {claim.unit}" if value >= _WHOLE else f"{value:.3g} {claim.unit}"


def _unit(claim: Claim) -> str:
    return "p" if claim.unit == "points" else "%"


def _allowed(claim: Claim) -> str:
    return "" if claim.limit is None else f"{claim.limit:g} {_unit(claim)}"
