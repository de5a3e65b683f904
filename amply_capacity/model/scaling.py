"""What a test of few users leaves out of the traffic of many: keys that are asked for more than any it met.

A small server that is played with a share of the keys (miniature simulation: Waldspurger et al., ATC'17)
stands for a large one with as many more. But among ten times the keys of a Zipf law the first is asked for
more often than the first of the test; its reads, and those of the ones that follow it, are hits that the test
does not show, and as many fewer are left for all others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.model.emulator import DEL, GET, Commands
from amply_capacity.model.workload import Workload

__all__ = ["popularity_exponent", "surplus_share", "with_more_keys"]

_Array = NDArray[Any]
_FEWEST_USES = 8
_FEWEST_RANKS = 20
_BINS = 24
_FIRST_RANK = 2
"""The first is luck more than law."""


def popularity_exponent(uses: _Array) -> float:
    """Exponent of the Zipf law of such numbers of uses, a key each; 0 where they show none.

    The slope of uses over ranks in logarithms, in bins of equal width, over the ranks whose uses are more
    than chance.
    """
    ranked = np.sort(uses)[::-1]
    known = int(np.count_nonzero(ranked >= _FEWEST_USES))
    if known < _FEWEST_RANKS:
        return 0.0
    edges = np.unique(np.geomspace(_FIRST_RANK, known + 1, _BINS + 1).astype(np.int64))
    totals = np.add.reduceat(ranked[:known].astype(np.float64), np.minimum(edges[:-1] - 1, known - 1))
    means = totals / np.diff(edges)
    ranks = np.exp((np.log(edges[:-1]) + np.log(edges[1:])) / 2.0)
    slope = np.polyfit(np.log(ranks), np.log(means), 1, w=np.sqrt(totals))[0]
    return float(max(-slope, 0.0))


def surplus_share(exponent: float, keys: int, scale: float) -> float:
    """Of the uses of `scale` times as many keys: those beyond what the keys of the test stand for.

    Rank r of the test stands for ranks scale·(r − 1) + 1 to scale·r, as if all had the uses of the last.
    """
    if keys == 0 or scale <= 1.0:
        return 0.0
    ranks = np.arange(1, keys + 1, dtype=np.float64)
    stood_for = scale * np.sum(ranks**-exponent)
    many = np.arange(1, round(scale * keys) + 1, dtype=np.float64)
    return float(max(1.0 - stood_for / np.sum((many / scale) ** -exponent), 0.0))


def with_more_keys(workload: Workload, scale: float, seed: int = 0) -> Workload:
    """The workload as the part that its keys have in that of `scale` times as many.

    Uses of keys that a miss fills are left out at random, by the surplus; the reads among them are of keys
    that are asked for so often that only a deletion makes one miss.
    """
    commands, first = workload.commands, workload.measured_from
    reads = (commands.ops == GET) & (commands.sizes > 0)
    uses = np.bincount(commands.keys[reads], minlength=workload.key_count)
    is_filled = uses > 0
    surplus = surplus_share(popularity_exponent(uses[is_filled]), int(np.count_nonzero(is_filled)), scale)
    if surplus == 0.0:
        return workload
    kept = ~is_filled[commands.keys] | (
        np.random.default_rng((seed, 34)).random(len(commands.keys)) >= surplus)
    expected = workload.expected_reads
    return replace(
        workload, commands=Commands(*(column[kept] for column in commands)),
        measured_from=int(np.count_nonzero(kept[:first])),
        expected_reads=float(np.count_nonzero(reads[first:])) if expected is None else expected,
        hot_hit_rate=max(1.0 - np.count_nonzero((commands.ops == DEL) & is_filled[commands.keys])
                         / np.count_nonzero(reads), 0.0))
