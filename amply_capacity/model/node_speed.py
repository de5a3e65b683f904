"""From host to node: what a command's CPU on a node is, over that on the recording host.

log factor(family) = log(host to r6g) + the steps from family to family that `catalog.cpu_speed` publishes.
The first term is common to all families, so an observation of one narrows the others. The steps form a tree,
on which the posterior is exact up to a grid of 0.5 %: messages from the leaves to the root and back (Pearl,
Probabilistic Reasoning in Intelligent Systems, 1988, chapter 4).

An observation at its limit is censored: it says that a command costs at most so much, and may only lower the
factors. Its likelihood is the normal integral, that of any other the normal density, both of the logarithm.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.cpu_speed import FamilySpeed, family_speeds
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval

__all__ = ["Observation", "cpu_factor", "cpu_factors"]

_Z = NormalDist().inv_cdf(0.95)
_STEP = 0.005
_GRID = np.arange(-2.5, 3.2 + _STEP / 2.0, _STEP)
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one run or benchmark of a real node says of its family."""

    family: str
    factor: float
    """CPU of a command on the node over that on the host; where censored, at most this."""
    noise: float
    """Standard deviation of the factor's logarithm."""
    is_censored: bool
    reason: str
    """Why it is censored, or why it is not."""
    figures: Mapping[str, float] = field(hash=False)
    """What it was made from, with units in the names."""
    notes: tuple[str, ...] = ()

    def likelihood(self, log_factor: _Array) -> _Array:
        """Of these logarithms, up to a constant."""
        z = (math.log(self.factor) - log_factor) / self.noise
        if self.is_censored:
            return np.array([0.5 * math.erfc(-one / math.sqrt(2.0)) for one in z])
        density: _Array = np.exp(0.5 * (np.min(z * z) - z * z))
        return density


def cpu_factors(observations: Iterable[Observation] = ()) -> dict[str, Interval]:
    """Every family's factor, 90 %; without observations the prior.

    Raises BadInput where an observation is of a family that the catalog does not know.
    """
    return dict(_factors(tuple(observations)))


@functools.lru_cache(maxsize=8)
def _factors(observations: tuple[Observation, ...]) -> Mapping[str, Interval]:
    speeds = family_speeds()
    own = {family: np.ones_like(_GRID) for family in speeds}
    for one in observations:
        if one.family not in own:
            raise BadInput("an observation is of a family that the catalog does not know", got=one.family,
                           do="correct the family, or add it to data/catalog/cpu_speed.csv")
        own[one.family] = _normalised(own[one.family] * one.likelihood(_GRID))
    return MappingProxyType({family: _interval(belief) for family, belief in _beliefs(speeds, own).items()})


def cpu_factor(family: str, observations: Iterable[Observation] = ()) -> Interval:
    """The factor of one family; as `cpu_factors`."""
    factors = cpu_factors(observations)
    if family not in factors:
        raise BadInput("nothing is known of the speed of this node family", got=family,
                       do="add a row for it to data/catalog/cpu_speed.csv")
    return factors[family]


def _beliefs(speeds: Mapping[str, FamilySpeed], own: Mapping[str, _Array]) -> dict[str, _Array]:
    """Each family's posterior on the grid, from what was observed of each: sum-product on the tree."""
    kernels = {family: _kernel(speed.cpu_ratio) for family, speed in speeds.items() if speed.relative_to}
    upward: dict[str, _Array] = {}
    for family in reversed(list(speeds)):  # a family stands after the one that it is relative to
        if family in kernels:
            said = own[family] * _product(upward[child] for child in _children(speeds, family))
            upward[family] = _normalised(np.convolve(said, kernels[family][::-1], mode="same"))
    downward: dict[str, _Array] = {}
    found: dict[str, _Array] = {}
    for family, speed in speeds.items():
        parent = speed.relative_to
        if parent is None:
            downward[family] = _masses(speed.cpu_ratio)
        else:
            others = [child for child in _children(speeds, parent) if child != family]
            said = downward[parent] * own[parent] * _product(upward[child] for child in others)
            downward[family] = _normalised(np.convolve(said, kernels[family], mode="same"))
        found[family] = _normalised(downward[family] * own[family] * _product(
            upward[child] for child in _children(speeds, family)))
    return found


def _product(messages: Iterable[_Array]) -> _Array:
    product = np.ones_like(_GRID)
    for message in messages:
        product = product * message / message.max()
    return product


def _children(speeds: Mapping[str, FamilySpeed], family: str) -> list[str]:
    return [other for other, speed in speeds.items() if speed.relative_to == family]


def _kernel(ratio: Interval) -> _Array:
    """A step's log-normal ratio at the grid's distances; an odd number of them, around 0."""
    middle, deviation = math.log(ratio.mid), math.log(ratio.high / ratio.low) / (2.0 * _Z)
    half = math.ceil((abs(middle) + 8.0 * deviation) / _STEP)
    z = (np.arange(-half, half + 1) * _STEP - middle) / deviation
    density: _Array = np.exp(-0.5 * z * z)
    return _normalised(density)


def _masses(interval: Interval) -> _Array:
    """The reference's prior in the cells of the grid; its quantiles are those of the interval exactly."""
    low, mid, high = (math.log(bound) for bound in (interval.low, interval.mid, interval.high))
    edges = np.append(_GRID, _GRID[-1] + _STEP) - _STEP / 2.0 - mid
    z = _Z * np.where(edges < 0.0, edges / (mid - low), edges / (high - mid))
    masses: _Array = np.diff([NormalDist().cdf(one) for one in z])
    return masses


def _interval(belief: _Array) -> Interval:
    edges = np.append(_GRID, _GRID[-1] + _STEP) - _STEP / 2.0
    shares = np.append(0.0, np.cumsum(belief))
    low, mid, high = np.exp(np.interp([0.05, 0.5, 0.95], shares, edges))
    return Interval(float(low), float(mid), float(high))


def _normalised(values: _Array) -> _Array:
    normalised: _Array = values / values.sum()
    return normalised
