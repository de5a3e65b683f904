"""Why each node type, and serverless, was not chosen: the limit that it breaks, or its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Excuse, Offer, Option
from amply_capacity.plan.ranked import Ranked, option_fit
from amply_capacity.plan.serverless_option import ServerlessOption, serverless_excuse

__all__ = ["excuses_of"]


def excuses_of(sold: Sequence[Offer], demand: Demand, need: Needs, ranked: Sequence[Ranked],
             nodes: Option) -> list[Excuse]:
    """One for each node type and engine but the chosen one's, on as many shards as the best one of nodes.

    And one for serverless of each engine.
    """
    chosen, review = ranked[0].option, min(demand.plan.review_months, demand.plan.horizon_months)
    scores = {one.option.name: one for one in reversed(ranked)}
    excuses = [_serverless_excuse(demand, engine, chosen, scores) for engine in demand.engines
               if f"serverless, {engine}" != chosen.name]
    for offer in sold:
        option = offer.option(nodes.shards, nodes.replicas, demand.terms[0])
        if option.name == chosen.name:
            continue
        fit = option_fit(option, demand, need, review)
        if not fit.is_enough:
            excuses.append(Excuse(fit.node_type, fit.binding.constraint, fit.reason, offer.engine))
            continue
        excuses.append(Excuse(fit.node_type, "price", _dearer(option, chosen, scores), offer.engine))
    return excuses


def _serverless_excuse(demand: Demand, engine: str, chosen: Option | ServerlessOption,
                       scores: Mapping[str, Ranked]) -> Excuse:
    barred = serverless_excuse(demand, engine)
    if barred is not None:
        return barred
    option = scores[f"serverless, {engine}"].option
    return Excuse("serverless", "price", _dearer(option, chosen, scores), engine)


def _dearer(option: Option | ServerlessOption, chosen: Option | ServerlessOption,
            scores: Mapping[str, Ranked]) -> str:
    """By how much, and in which worlds it is the best all the same."""
    more = option.usd_per_month - chosen.usd_per_month
    reason = f"fits, but costs {more:,.2f} USD a month more" if more > 0.0 else (
        "fits at the same price, with no more memory" if more == 0.0 else
        f"costs {-more:,.2f} USD a month less")
    if option.name in scores:
        score = scores[option.name].score
        reason += (f"; its regret is {score['regret_usd_per_month']['expected']:,.2f} USD a month, "
                   f"and it is the best in {100 * score['probability_best']:.1f} % of the worlds")
    return reason
