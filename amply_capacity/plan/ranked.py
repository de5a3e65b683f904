"""The options that were scored, each with its fit and its bill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amply_capacity.plan.bill import Bill, ServerlessBill
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.fit import Fit, fit_of
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Option
from amply_capacity.plan.regret import Choice
from amply_capacity.plan.serverless_option import ServerlessOption

__all__ = ["Ranked", "option_fit", "ranked_of"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An option that fits, with its bill and what choosing it would cost and regret."""

    fit: Fit | None
    """None where nothing can be too small (serverless)."""
    bill: Bill | ServerlessBill
    option: Option | ServerlessOption
    score: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        binding = None if self.fit is None else self.fit.binding
        left = None if binding is None else binding.share_left
        return {
            **self.option.as_json(),
            "usd_per_month": self.bill.usd_per_month,
            "region": self.bill.region,
            "probability": None if self.fit is None else round(self.fit.probability, 4),
            "binding": None if binding is None else binding.constraint,
            "headroom_percent": None if left is None else round(100.0 * left, 2),
            **self.score,
        }


def ranked_of(choice: Choice, demand: Demand, need: Needs) -> tuple[Ranked, ...]:
    """All that were scored, least expected regret first, with the fit of the review's month."""
    region, review = demand.cluster.region, min(demand.plan.review_months, demand.plan.horizon_months)
    return tuple(Ranked(option_fit(one.option, demand, need, review)
                        if isinstance(one.option, Option) else None,
                        one.option.bill(region), one.option, choice.as_json(one, share))
                 for one, share in zip(choice.scored, choice.probability_best(), strict=True))


def option_fit(option: Option, demand: Demand, need: Needs, month: int) -> Fit:
    """Of the busiest shard in that month, 0 being today."""
    return fit_of(option.node, demand, need, month, shards=option.shards, replicas=option.replicas,
                  engine=option.engine)
