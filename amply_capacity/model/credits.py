"""CPU credits of burstable nodes: the documented account, exact, and its course minute by minute.

ElastiCache's T4g, T3 and T2 nodes "are configured as standard" (ElastiCache User Guide, "Supported node
types", 2026): what exceeds the baseline is paid from the balance, and with an empty balance there is no more
than the baseline. The rules are EC2's (User Guide, "Key concepts and definitions for burstable performance
instances", "Standard mode examples", "Unlimited mode examples", "Monitor your CPU credits"; in
awsdocs/amazon-ec2-user-guide at 0f17a814, the first at 0147f878). AWS says that performance is lowered
*gradually* when the balance runs low, not how: here the baseline begins when the balance is 0.
Launch credits, which only T2 has, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.errors import BadInput

__all__ = [
    "ENGINE_CORES", "HOST_CORES", "SURPLUS_USD_PER_VCPU_HOUR", "Account", "CreditCourse", "CreditRules",
    "Surplus", "credit_course", "credit_rules", "spend", "spend_unlimited", "surplus_of",
]

Floats = NDArray[np.float64]
ENGINE_CORES = 1.0
"""One thread runs the commands."""
HOST_CORES = 0.02
"""What a node needs for itself, cores of all its vCPUs. A guess: AWS publishes nothing."""
SURPLUS_USD_PER_VCPU_HOUR: Mapping[str, float] = {"t2": 0.05, "t3": 0.05, "t4g": 0.04}
"""EC2 in unlimited mode, Linux, by family. 0.05: EC2 User Guide, "Unlimited mode concepts" (table of the
t3.large) and "Unlimited mode examples" (bill of the T2). 0.04: EC2 On-Demand Pricing, "T2/T3/T4g
Unlimited Mode Pricing", as quoted in merge request 118 of gitlab.com/gitlab-org/ci-cd/docker-machine.
ElastiCache has no unlimited mode, so what is computed with these is a what-if."""
_NOISE = 1e-12
"""Cores: a smaller difference from the baseline is rounding, not a burst."""
_LEAST_LACKING = 1e-9
"""Credits: less is rounding too."""


@dataclass(frozen=True, slots=True)
class CreditRules:
    """What a burstable type earns and may save; a credit is a vCPU-minute."""

    vcpu: int
    per_hour: Fraction
    most: Fraction
    """The balance's limit; what is earned beyond it is lost."""

    @property
    def baseline_cores(self) -> Fraction:
        """Credits earned a minute, and so the cores of all vCPUs together that the node has for ever."""
        return self.per_hour / 60

    @property
    def baseline_percent(self) -> Fraction:
        """The same as CloudWatch's CPUUtilization: (credits an hour / vCPUs) / 60 minutes."""
        return 100 * self.per_hour / self.vcpu / 60


def credit_rules(node: NodeType) -> CreditRules:
    """Of a T node. Raises BadInput for a type without credits, or of which a fact is not known."""
    if node.cpu_credits_per_hour is None:
        raise BadInput(f"{node.name} has no CPU credits: it is not burstable", got=node.name,
                       do="ask for a T3 or T4g type, e.g. cache.t3.micro")
    if node.vcpu is None or node.cpu_credits_max is None:
        raise BadInput(f"the catalog does not know the vCPUs or the credit limit of {node.name}",
                       got=node.name, do="ask for a T3 or T4g type, e.g. cache.t3.micro")
    return CreditRules(node.vcpu, Fraction(node.cpu_credits_per_hour), Fraction(node.cpu_credits_max))


@dataclass(frozen=True, slots=True)
class Account:
    """A stretch of constant CPU utilization, in credits; exact."""

    balance: Fraction
    """At its end: CPUCreditBalance."""
    surplus: Fraction
    """At its end, unlimited mode only: CPUSurplusCreditBalance."""
    earned: Fraction
    asked: Fraction
    discarded: Fraction
    """Earned beyond the limit, and lost."""
    unserved: Fraction
    """Standard mode: asked beyond balance and earnings, so not run."""
    charged: Fraction
    """Unlimited mode: spent beyond a day's earnings, CPUSurplusCreditsCharged."""
    throttled_minutes: Fraction

    @property
    def spent(self) -> Fraction:
        """CPUCreditUsage."""
        return self.asked - self.unserved


def spend(rules: CreditRules, balance: Fraction, utilization: Fraction, minutes: Fraction) -> Account:
    """Standard mode: so much of all vCPUs (0 to 1) is asked for, for so long."""
    earned, asked = rules.baseline_cores * minutes, rules.vcpu * utilization * minutes
    end = balance + earned - asked
    lacking = max(-end, Fraction(0))
    throttled = lacking * minutes / (asked - earned) if lacking else Fraction(0)
    return Account(min(max(end, Fraction(0)), rules.most), Fraction(0), earned, asked,
                   max(end - rules.most, Fraction(0)), lacking, Fraction(0), throttled)


def spend_unlimited(rules: CreditRules, balance: Fraction, surplus: Fraction, utilization: Fraction,
                    minutes: Fraction) -> Account:
    """Unlimited mode: the balance first, then surplus credits, which later earnings pay down.

    "Monitor your CPU credits": adjusted balance = (balance − surplus) + (earned − used); above 0 it is the
    balance, below 0 the surplus, both up to the limit; the surplus beyond it is charged.
    """
    earned, asked = rules.baseline_cores * minutes, rules.vcpu * utilization * minutes
    adjusted = balance - surplus + earned - asked
    nothing = Fraction(0)
    return Account(min(max(adjusted, nothing), rules.most), min(max(-adjusted, nothing), rules.most), earned,
                   asked, max(adjusted - rules.most, nothing), nothing, max(-adjusted - rules.most, nothing),
                   nothing)


@dataclass(frozen=True, slots=True)
class CreditCourse:
    """A node's credits in standard mode, minute by minute; arrays have an element a minute."""

    rules: CreditRules
    host_cores: float
    start_balance: float
    engine_cores: Floats
    """What the engine is asked for, of the one core it has: more is a matter of the core, not of credits."""
    unserved_cores: Floats
    """Of that, what the throttled node does not run. An open loop: it is gone, no later minute makes up."""
    balance: Floats
    """At the end of each minute."""
    throttled: Floats
    """The share of each minute at the baseline with more asked for."""

    @property
    def first_exhaustion_minutes(self) -> float | None:
        """Minutes from the start until the node is first throttled; None where it never is."""
        minutes = np.flatnonzero(self.throttled)
        return float(minutes[0] + 1.0 - self.throttled[minutes[0]]) if minutes.size else None

    @property
    def throttled_hours(self) -> float:
        return float(self.throttled.sum() / 60.0)

    @property
    def unserved_share(self) -> float:
        """Of all the engine's work that was asked for."""
        return _share(self.unserved_cores.sum(), self.engine_cores.sum())

    @property
    def unserved_share_while_throttled(self) -> float | None:
        """Of what was asked for while throttled; None where it never was. Others' errors or timeouts."""
        asked = float((self.engine_cores * self.throttled).sum())
        return _share(self.unserved_cores.sum(), asked) if asked else None

    @property
    def lowest_balance(self) -> float:
        return min(self.start_balance, float(self.balance.min()))

    @property
    def end_balance(self) -> float:
        return float(self.balance[-1])

    @property
    def cpu_percent(self) -> Floats:
        """CPUUtilization of each minute as CloudWatch shows it: percent of all vCPUs."""
        used: Floats = self.engine_cores - self.unserved_cores + self.host_cores
        return 100.0 * used / self.rules.vcpu

    def as_json(self) -> dict[str, Any]:
        """The figures without the arrays."""
        return {
            "minutes": self.balance.size, "start_balance": self.start_balance,
            "first_exhaustion_minutes": self.first_exhaustion_minutes,
            "throttled_hours": self.throttled_hours, "unserved_share": self.unserved_share,
            "unserved_share_while_throttled": self.unserved_share_while_throttled,
            "lowest_balance": self.lowest_balance, "end_balance": self.end_balance,
            "highest_cpu_percent": float(self.cpu_percent.max()),
        }


@dataclass(frozen=True, slots=True)
class Surplus:
    """The what-if of unlimited mode, which ElastiCache does not offer."""

    charged_credits: float
    charged_usd: float
    surplus_at_end: float
    """Credits spent in advance that later earnings may pay down; charged where the node ends before."""
    usd_if_ended: float
    """The charge with those."""

    def as_json(self) -> dict[str, Any]:
        return {"charged_credits": self.charged_credits, "charged_usd": self.charged_usd,
                "surplus_at_end": self.surplus_at_end, "usd_if_ended": self.usd_if_ended}


def credit_course(rules: CreditRules, engine_cores: Floats, *, host_cores: float = HOST_CORES,
                  start_balance: float | Literal["settled"] = 0.0) -> CreditCourse:
    """Standard mode under a mean demand of the engine's for every minute, cores; beyond one core it is cut.

    A new node starts at 0, for T3 and T4g have no launch credits. `settled`: as after many such stretches,
    and where they earn exactly what they spend, as after a pause that filled the balance. Within a minute
    the demand is constant, so exhaustion and the limit are met to the moment. The host is served first.
    Raises BadInput for a start that no balance can have, and where the host alone needs the baseline.
    """
    asked = _asked(rules, engine_cores, host_cores)
    net, most = _net(rules, asked, host_cores), float(rules.most)
    start = start_balance if start_balance != "settled" else _settled(net, 0.0, most)
    if not 0.0 <= start <= most:
        raise BadInput("no balance of the node", got=f"a start of {start:g} credits",
                       do=f"give 0 to {most:g}, or \"settled\"")
    balance, lacking = _clipped(net, start, 0.0, most)
    throttled = np.divide(lacking, -net, out=np.zeros_like(net), where=lacking > 0.0)
    return CreditCourse(rules, host_cores, start, asked, lacking, balance, throttled)


def surplus_of(rules: CreditRules, engine_cores: Floats, usd_per_vcpu_hour: float, *,
               host_cores: float = HOST_CORES,
               start_balance: float | Literal["settled"] = 0.0) -> Surplus:
    """The same demand in unlimited mode: nothing is throttled, and what is charged for that."""
    asked = _asked(rules, engine_cores, host_cores)
    net, most = _net(rules, asked, host_cores), float(rules.most)
    start = start_balance if start_balance != "settled" else _settled(net, -most, most)
    balance, charged = _clipped(net, start, -most, most)
    credits, owed = float(charged.sum()), max(-float(balance[-1]), 0.0)
    usd_per_credit = usd_per_vcpu_hour / 60.0
    return Surplus(credits, credits * usd_per_credit, owed, (credits + owed) * usd_per_credit)


def _asked(rules: CreditRules, engine_cores: Floats, host_cores: float) -> Floats:
    if not 0.0 <= host_cores < float(rules.baseline_cores):
        raise BadInput("the host's own CPU leaves nothing of the baseline", got=f"{host_cores:g} cores",
                       do=f"give less than the baseline of {float(rules.baseline_cores):g} cores")
    if not engine_cores.size or not (engine_cores >= 0.0).all():
        raise BadInput("the demand has to be cores, 0 or more, for every minute",
                       got=f"{engine_cores.size} minutes", do="give at least one minute, without gaps")
    return np.minimum(engine_cores, min(ENGINE_CORES, rules.vcpu - host_cores))


def _net(rules: CreditRules, asked: Floats, host_cores: float) -> Floats:
    """What each minute adds to the balance, credits."""
    net: Floats = float(rules.baseline_cores) - host_cores - asked
    return np.where(np.abs(net) < _NOISE, 0.0, net)


def _clipped(net: Floats, start: float, low: float, high: float) -> tuple[Floats, Floats]:
    """The balance after each minute, held between the two, and what was lacking below."""
    balance, lacking, now = [0.0] * net.size, [0.0] * net.size, start
    for minute, change in enumerate(net.tolist()):
        now += change
        if now > high:
            now = high
        elif now < low:
            lacking[minute], now = low - now if low - now > _LEAST_LACKING else 0.0, low
        balance[minute] = now
    return np.array(balance), np.array(lacking)


def _settled(net: Floats, low: float, high: float) -> float:
    """The balance that the same stretch again and again ends at.

    A stretch maps the balance by min(H, max(L, balance + its sum)), for so do its minutes, and such maps
    stay such when composed. Where the sum is positive the map's end from `high` is H, a fixed point; where
    it is negative the end from `low` is L, one too.
    """
    balance, _ = _clipped(net, high if net.sum() > -_NOISE * net.size else low, low, high)
    return float(balance[-1])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
