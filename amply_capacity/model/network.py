"""What an operation costs in commands and in bytes of RESP, and what an unseen mix of operations will.

Requests follow from the lengths of keys and values, operation by operation; the server's own count corrects
what a sample of the keys leaves uncertain, and prices what the run does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from amply_capacity.interval import Interval
from amply_capacity.model.command_sizes import Mean, size_of
from amply_capacity.model.command_uses import SPREAD, Uses, commands_by_second, uses_of
from amply_capacity.model.evidence import OperationCost
from amply_capacity.model.monitoring import monitoring_of
from amply_capacity.model.network_costs import Direction, NetworkCosts, OperationBytes, Z, mix_bytes
from amply_capacity.model.server_bytes import ServerBytes, server_bytes
from amply_capacity.run.reader import Run

__all__ = ["NetworkCosts", "mix_bytes", "network_costs", "operation_costs"]

_Array = NDArray[np.float64]
_COUNT_ERROR = 0.0005
"""Relative: the server's samples and the recorded seconds do not begin at the same moment."""
_UNTOLD = Mean(50.0, sampled=1e9)
_FOREIGN = 0.5
"""Relative error of the server's mean command as ours, where others loaded it too: a guess."""
_LEAST_BYTES = 4.0
_INFO = "INFO"


def operation_costs(run: Run) -> dict[str, OperationCost]:
    """Commands and bytes per operation, by operation name, over the sound seconds; see `network_costs`."""
    costs = network_costs(run)
    return {name: OperationCost(known.commands, *(one.mid for one in costs.bytes_of(name)))
            for name, known in costs.operations.items()}


def network_costs(run: Run) -> NetworkCosts:
    """Bytes of RESP per operation over the sound seconds.

    Classes of commands that the key accesses do not tell share what the server counted beyond all others
    (`OperationBytes.spread`), or have its mean where others loaded it too; where its count is not known, an
    operation that sends such commands is missing. The toolkit's own INFO is taken out of the count.
    """
    uses = uses_of(run)
    monitoring = monitoring_of(run)
    counted = server_bytes(run, commands_by_second(uses), monitoring)
    names = sorted({str(name) for one in uses.values() for name in one.by_class})
    sizes = {name: size_of(name, run) for name in names}
    untold = {name for name, size in sizes.items() if size is None}
    told = [name for name in names if name not in untold]
    if untold and counted is not None:
        told.append(SPREAD)
    uses = {name: _without(one, untold) for name, one in uses.items()}
    if counted is None:
        uses = {name: one for name, one in uses.items() if not one.by_class.get(SPREAD, np.zeros(1)).any()}
    known = {name: size for name, size in sizes.items() if size is not None}
    requests = _direction(told, {name: size.request for name, size in known.items()}, uses, counted,
                          None if counted is None else counted.bytes_in,
                          None if monitoring is None else Mean(monitoring.request_bytes))
    replies = _direction(told, {name: size.reply for name, size in known.items()}, uses, counted,
                         None if counted is None else counted.bytes_out,
                         None if monitoring is None else _as_mean(monitoring.reply_bytes))
    return NetworkCosts({name: _operation(one, requests, replies) for name, one in uses.items()},
                        requests, replies, monitoring, counted is not None and counted.is_ours)


def _without(uses: Uses, untold: set[str]) -> Uses:
    """Classes that no access tells are spread as well."""
    classes = uses.by_class
    lost = [name for name in classes if name in untold]
    if not lost:
        return uses
    kept = classes.drop(columns=lost)
    kept[SPREAD] = classes[lost].sum(axis=1)
    words = [name.rpartition(" ")[0] for name in map(str, lost) if name != SPREAD and classes[name].any()]
    return replace(uses, by_class=kept, spread=(*uses.spread, *words))


def _direction(names: list[str], told: Mapping[str, Mean], uses: Mapping[str, Uses],
               counted: ServerBytes | None, total_bytes: float | None, info: Mean | None) -> Direction:
    """The classes' means, made to agree with the server's total: a linear Gaussian update by one sum."""
    classes = [*names, _INFO] if info is not None else names
    untold = _UNTOLD
    if counted is not None and total_bytes is not None and not counted.is_ours:
        beside = 0.0 if info is None else counted.samples * info.mid
        each = max(total_bytes - beside, 0.0) / counted.commands
        untold = Mean(each, sampled=(_FOREIGN * each) ** 2)
    means = [*(told.get(name, untold) for name in names), *([info] if info is not None else [])]
    mids = np.array([one.mid for one in means])
    covariance = np.diag([one.sampled for one in means])
    alone = np.array([one.alone for one in means])
    counts = _counts(classes, [one.by_class for one in uses.values()])
    again = np.divide(alone, counts, out=np.zeros_like(alone), where=counts > 0.0)
    if counted is not None and counted.is_ours and total_bytes:
        seconds = list(counted.seconds)
        counts = _counts(classes, [one.by_class.loc[seconds] for one in uses.values()]) * counted.scale
        if info is not None:
            counts[-1] = counted.samples
        noise = (_COUNT_ERROR * total_bytes) ** 2
        gain = covariance @ counts / (counts @ covariance @ counts + noise)
        mids = mids + gain * (total_bytes - counts @ mids)
        covariance = covariance - np.outer(gain, counts @ covariance)
    elsewhere = np.array([one.elsewhere for one in means])
    return Direction(tuple(classes), np.maximum(mids, _LEAST_BYTES), covariance + np.diag(again),
                     np.maximum(elsewhere - again, 0.0), alone)


def _counts(classes: list[str], tables: list[pd.DataFrame]) -> _Array:
    """How many commands of each class there are in all tables."""
    return np.array([sum(float(table[name].sum()) for table in tables if name in table) for name in classes])


def _operation(uses: Uses, requests: Direction, replies: Direction) -> OperationBytes:
    total = float(uses.operations.sum())
    return OperationBytes(total, float(uses.commands.sum()) / total, uses.per_operation,
                          _behaviour(uses, requests), _behaviour(uses, replies), uses.spread)


def _behaviour(uses: Uses, way: Direction) -> float:
    """Variance of the bytes per operation from second to second, of a ratio of sums (Cochran, ch. 6)."""
    means = dict(zip(way.names, way.means, strict=True))
    bytes_ = uses.by_class.to_numpy() @ np.array([means[str(name)] for name in uses.by_class])
    operations = uses.operations.to_numpy()
    left = bytes_ - bytes_.sum() / operations.sum() * operations
    seconds = len(left)
    return float(left @ left) / float(operations.sum()) ** 2 * seconds / (seconds - 1)


def _as_mean(interval: Interval) -> Mean:
    return Mean(interval.mid, sampled=((interval.high - interval.low) / 2.0 / Z) ** 2)
