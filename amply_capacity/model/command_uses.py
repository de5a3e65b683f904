"""Which commands an operation of the application sends, counted in a run and told apart by what they carry.

A class of commands is named by the command and the class of its key, e.g. `GET hit session`, since its bytes
follow from both. Where a run cannot tell which keys a command touched, it stands under SPREAD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from amply_capacity.run.reader import Run
from amply_capacity.traffic.application import OPERATIONS

__all__ = ["DEL_ALL", "MEMBERS", "SPREAD", "TRANSACTION", "Uses", "commands_by_second", "key_class_of",
           "uses_of"]

SPREAD = "spread"
"""Commands whose bytes a run does not tell: they get the server's total, less all that is told."""
MEMBERS = "user_sessions"
DEL_ALL = "DEL all session"
"""One DEL over all sessions of a user."""
TRANSACTION = "MULTI+SETEX+PUBLISH+EXEC"
_KEY_CLASSES = {"sessions": "session", "rate_limit": "rate", "cache": "cache",
                "celery_results": "celery-task-meta"}
_OF_THE_INDEX = frozenset({"SADD", "SREM", "SMEMBERS"})
_OF_THE_KEY = frozenset({"SETEX", "TTL", "INCR", "EXPIRE", "DEL", TRANSACTION})


@dataclass(frozen=True, slots=True)
class Uses:
    """One operation by second: how often it ended, its commands, and how many of each class."""

    operations: pd.Series[float]
    commands: pd.Series[float]
    """By second, a pipeline's each for itself."""
    by_class: pd.DataFrame
    """A row a second, a column a class."""
    spread: tuple[str, ...]
    """Commands that stand under SPREAD."""

    @property
    def per_operation(self) -> Mapping[str, float]:
        """Commands of each class per operation, mean."""
        total = float(self.operations.sum())
        return {str(name): float(count) / total for name, count in self.by_class.sum().items()}


def commands_by_second(uses: Mapping[str, Uses]) -> pd.Series[float]:
    """Commands of all operations."""
    each = [one.commands for one in uses.values()]
    return pd.concat(each, axis=1).sum(axis=1) if each else pd.Series(dtype=float)


def key_class_of(name: str) -> str:
    """The class of the key in a class of commands: its last word."""
    return name.rpartition(" ")[2]


def uses_of(run: Run) -> dict[str, Uses]:
    """By operation, over the sound seconds. Empty where nothing was recorded in them."""
    counts = run.counts_by_second
    counts = counts[(counts["clock"] == "service") & counts["second"].isin(run.sound_seconds)]
    tables: dict[tuple[str, str], dict[str, pd.DataFrame]] = {}
    for (use_case, operation, command), rows in counts.groupby(["use_case", "operation", "command"]):
        tables.setdefault((str(use_case), str(operation)), {})[str(command)] = rows
    found = {}
    for (use_case, operation), rows_of in tables.items():
        ended = rows_of.pop("", None)
        if ended is None or not rows_of:
            continue
        outcomes = _by_second({str(name): rows for name, rows in ended.groupby("outcome")}, run)
        sent = _by_second(rows_of, run)
        classes, spread = _classes(use_case, operation, sent, outcomes)
        commands = (sent * [str(name).count("+") + 1.0 for name in sent]).sum(axis=1)
        found[operation] = Uses(outcomes.sum(axis=1), commands, classes, spread)
    return found


def _by_second(rows_of: Mapping[str, pd.DataFrame], run: Run) -> pd.DataFrame:
    """Counts with a row for every sound second and a column for every name."""
    seconds = np.array(run.sound_seconds)
    counts = {name: np.bincount(rows["second"] - seconds[0], rows["count"], np.ptp(seconds) + 1)[
        seconds - seconds[0]] for name, rows in rows_of.items()}
    return pd.DataFrame(counts, index=pd.Index(seconds, name="second"))


def _classes(use_case: str, operation: str, sent: pd.DataFrame,
             outcomes: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    known = OPERATIONS.get(operation)
    is_ours = known is not None and known.use_case == use_case
    key_class = _KEY_CLASSES.get(use_case, "")
    columns: dict[str, pd.Series[float]] = {}
    spread = []
    for command in map(str, sent):
        count = sent[command]
        if is_ours and command == "GET":
            columns |= _gets(key_class, sent, outcomes)
            if operation == "cached_read":  # what a miss would be filled with, where there was none
                columns.setdefault(f"SETEX {key_class}", 0.0 * sent[command])
        elif is_ours and operation == "log_out_everywhere" and command == "DEL":
            # One over the sessions and one of the index, both or neither (sessions.log_out_everywhere).
            columns |= {DEL_ALL: count / 2.0, f"DEL {MEMBERS}": count / 2.0}
        elif is_ours and command in _OF_THE_INDEX:
            columns[f"{command} {MEMBERS}"] = count
        elif is_ours and command in _OF_THE_KEY:
            columns[f"{command} {key_class}"] = count
        else:
            columns[SPREAD] = columns.get(SPREAD, 0.0) + count * float(command.count("+") + 1)
            spread.append(command)
    return pd.DataFrame(columns), tuple(spread)


def _gets(key_class: str, sent: pd.DataFrame, outcomes: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """GETs that found their key and GETs that did not, as the operation's other steps tell.

    An operation that is a hit or a miss has one GET; listing sends SREM after each GET that found nothing; a
    result is stored after a GET that found none.
    """
    gets = sent["GET"]
    none = 0.0 * gets
    misses = outcomes.get("miss", none if "hit" in outcomes else None)
    for found_none in (misses, sent.get("SREM"), sent.get(TRANSACTION)):
        if found_none is not None:
            found = found_none.clip(upper=gets)
            return {f"GET hit {key_class}": gets - found, f"GET miss {key_class}": found}
    return {f"GET {key_class}": gets}
