"""The sections on what else could be done: other ways through the months, and other node types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.bought import bought, is_serverless, node_name, would_win
from amply_capacity.report.cells import NOTHING, Cell, change, money, month, name, percent, share, words
from amply_capacity.report.layout import Column, Row, Said, Section, Table
from amply_capacity.report.layout_plan import constraint
from amply_capacity.report.money import usd
from amply_capacity.report.sources import Sources
from amply_capacity.report.ways import WAYS_NOTE, ways_sentence

__all__ = ["alternatives_section", "excuses_section", "ways_section"]

Plan = Mapping[str, Any]

_SHOWN_OPTIONS, _SHOWN_INFLUENCES = 8, 6
"""Rows on paper."""


def ways_section(plan: Plan, sources: Sources) -> Section | None:
    """The plan's own way through the months beside those that people ask for; None in a draft."""
    if not plan["strategies"]:
        return None
    keys = (*sources.prices(), *sources.reserved(),
            *sources.inputs("users", "activity", "failures", "money", "plan", "sampling"))
    months = len(plan["months"])
    rows = tuple(_way(one, is_own=place == 0, keys=keys) for place, one in enumerate(plan["strategies"]))
    columns = (Column("Way", 10), Column("First month"), Column(f"{months} months, expected"),
               Column("Of it outages"), Column("Median (5–95 % of worlds)", is_sheet_only=True),
               Column("Against the plan"), Column("Cheaper in"),
               Column("Ahead for good from", is_sheet_only=True), Column("Unserved"),
               Column("What has to change", 11))
    table = Table("ways", f"What each comes to over {months} months, outages included (USD)", columns, rows)
    return Section("ways", "What if we went another way?", (Said(ways_sentence(plan), keys),),
                   ("strategies",), (table,), (WAYS_NOTE,))


def alternatives_section(plan: Plan, sources: Sources) -> Section:
    """The options that fit, least expected regret first, and what would turn the choice."""
    chosen, second = plan["chosen"], plan["runner_up"]
    keys = (*sources.prices(), *sources.node(node_name(chosen)),
            *sources.inputs("users", "activity", "slo", "money", "plan", "sampling"))
    said = [Said(f"Chosen is what regrets least: each option is held for {plan['review_months']} months, in "
                 "the same worlds, with what goes wrong on it in dollars.", keys)]
    if second is not None:
        other = f"{node_name(second)} ({second['engine']})"
        said.append(Said(f"The runner-up is {other}: {would_win(second['would_win_if'])}.", keys))
    for one in plan["alternatives"]:
        said.append(Said(f"{one['engine'].capitalize()} on {one['node_type']} would cost "
                         f"{usd(one['usd_per_month'])} a month ({change(one['difference_usd']).text}); "
                         f"{one['note']}.", keys))
    options = tuple(Row((
        Cell(bought(one), is_name=True,
             detail=f"{one['engine']}, {one['term'].replace('_', ' ')}"), money(one["usd_per_month"]),
        money(one["expected_usd_per_month"]), money(one["regret_usd_per_month"]["expected"]),
        share(one["probability_best"]),
        *((NOTHING, NOTHING) if is_serverless(one) else
          (share(one["probability"]), words(constraint(one["binding"])))),
        percent(one["headroom_percent"])), keys, is_marked=place == 0)
        for place, one in enumerate(plan["ranked"]))
    tables = [Table("ranked", "Options that fit, least expected regret first (USD a month)", (
        Column("Option", 3), Column("Now"), Column("Expected, with harm"),
        Column("Regret"), Column("Best in"), Column("Fits in"), Column("Tightest limit", 1), Column("Left")),
        options, shown=_SHOWN_OPTIONS)]
    if plan["influences"]:
        worth = tuple(Row((words(_number_name(one["number"])), money(one["worth_usd_per_month"]),
                           words(one["how"].replace("`", ""))),
                          sources.inputs(one["number"].partition(".")[0])) for one in plan["influences"])
        tables.append(Table("influences", "What is worth knowing better", (
            Column("Number", 2), Column("Worth a month"), Column("How to know it", 3)), worth,
            shown=_SHOWN_INFLUENCES))
    return Section("alternatives", f"Why not another than {node_name(chosen)}?", tuple(said), (),
                   tuple(tables))


def excuses_section(plan: Plan, sources: Sources) -> Section | None:
    """The reason against each other node type; None where there is no other."""
    excuses = plan["excuses"]
    if not excuses:
        return None
    rows = tuple(Row((name(one["node_type"]), words(one["engine"]), words(constraint(one["constraint"])),
                      words(one["reason"])), (*sources.node(one["node_type"]), *sources.prices()))
                 for one in excuses)
    columns = (Column("Node type"), Column("Engine"), Column("Because of"), Column("Reason", 1))
    return Section("excuses", f"Why not each of the other {len(excuses)}?", (), (),
                   (Table("excuses", "Node types that were not chosen", columns, rows),))


def _way(one: Mapping[str, Any], *, is_own: bool, keys: tuple[str, ...]) -> Row:
    called = Cell(one["name"], detail=one["what"])
    if one["unserved"] is None:
        return Row((called, Cell("not priced"), *[NOTHING] * 7,
                    words("; ".join(filter(None, (one["note"], one["changes"]))))), keys)
    first = Cell("not known") if one["usd_first_month"] is None else money(one["usd_first_month"])
    changes = Cell(one["changes"] or "nothing", detail=one["note"])
    unserved = share(one["unserved"]) if one["unserved"] else NOTHING
    total = one["usd_total"]
    if total is None:
        return Row((called, first, Cell("not known"), *[NOTHING] * 5, unserved, changes), keys,
                   is_marked=is_own)
    expected = money(one["usd_total_expected"])
    spread = Cell(f"{usd(total['mid'])} ({usd(total['low'])} – {usd(total['high'])})", total["mid"],
                  expected.excel, bounds=(total["low"], total["high"]))
    beside = (NOTHING,) * 3
    if not is_own and one["difference_expected"] is not None:
        beside = (change(one["difference_expected"]), share(one["probability_cheaper"], 0),
                  month(one["break_even_month"]))
    return Row((called, first, expected, money(one["usd_outages_expected"]), spread, *beside, unserved,
                changes), keys, is_marked=is_own)


def _number_name(dotted: str) -> str:
    """`users.registered` as `users: registered`."""
    return dotted.replace("_", " ").replace(".", ": ")
