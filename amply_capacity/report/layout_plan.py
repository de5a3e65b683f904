"""The sections of the report that a plan fills: the first page, and a question each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from amply_capacity.report.bought import is_serverless, node_name
from amply_capacity.report.cells import (
    NOTHING,
    Cell,
    amount,
    change,
    count,
    decimal,
    money,
    month,
    name,
    percent,
    share,
    words,
)
from amply_capacity.report.document import month_text
from amply_capacity.report.figures import CONSTRAINTS, ITEMS
from amply_capacity.report.layout import Column, Row, Said, Section, Table, Tile
from amply_capacity.report.money import usd
from amply_capacity.report.sources import Sources

__all__ = ["bill_table", "constraint", "cost_section", "spec_table", "tiles", "why_section"]

Plan = Mapping[str, Any]

_UNITS = {"cores": "cores", "connections": ""}
"""Said once in a row's head."""


def constraint(named: str) -> str:
    """A limit, or what else speaks against a node type, in words."""
    return {"price": "Price"}.get(named) or CONSTRAINTS.get(named, named.replace("_", " "))


def tiles(plan: Plan, sources: Sources) -> tuple[Tile, ...]:
    """What to run, what it costs, whether with a replica, and until when."""
    chosen, replica = plan["chosen"], plan["replica"]
    paid = sources.price(*_priced(plan))
    if is_serverless(chosen):
        last = plan["months"][-1]
        return (
            Tile("Run", name("Serverless"), f"{chosen['engine']}, as large as the load", sources.runs()),
            Tile("Pay in the first month", money(chosen["usd_per_month"]), "the median world", paid),
            Tile("Pay in the last", money(last["usd_mid"]),
                 f"{usd(last['usd_low'])} to {usd(last['usd_high'])}",
                 (*paid, *sources.inputs("users", "plan"))),
            Tile("Replica", words("none to pay for"), "several zones are in the price", paid))
    nodes = chosen["shards"] * (1 + chosen["replicas"])
    found = [
        Tile("Run", name(chosen["node_type"].removeprefix("cache.")),
             f"fits in {share(chosen['probability']).text} of the worlds",
             (*sources.runs(), *sources.inputs("users"))),
        Tile("Pay a month", money(chosen["usd_per_month"]),
             f"{_term(chosen['term'])}, {nodes} node{'s' * (nodes != 1)}", paid),
        Tile("Replica", words(replica["verdict"]), f"pays in {share(replica['probability'], 0).text} of the "
             "worlds", (*sources.inputs("failures", "money"), *paid)),
    ]
    if not plan["upgrades"]:
        return (*found, Tile("Next upgrade", words("none"), f"within {len(plan['months'])} months",
                             sources.inputs("users", "plan")))
    upgrade = plan["upgrades"][0]
    return (*found, Tile("Next upgrade", month(upgrade["month"]),
                         f"to {upgrade['to'].removeprefix('cache.')}; be ready by "
                         f"{month_text(upgrade['act_by'])}", sources.inputs("users", "plan")))


def spec_table(plan: Plan, sources: Sources) -> Table:
    """The specification's three costs beside the true ones."""
    rows = []
    for row in plan["spec_table"]:
        true = row["true_usd"]
        more = None if true is None else true - row["spec_usd"]
        rows.append(Row((
            name(row["configuration"]), money(row["spec_usd"]),
            Cell("not offered") if true is None else money(true),
            NOTHING if more is None else change(more),
            NOTHING if more is None else share(more / row["spec_usd"]), words(row["as_of"])),
            sources.price(row["source"], row["as_of"])))
    columns = (Column("Configuration", 2), Column("Specification says"),
               Column(f"True, {plan['chosen']['region']}"), Column("Difference"), Column("Of it"),
               Column("As of", 1))
    return Table("spec", "The specification’s cost table, corrected (USD a month)", columns, tuple(rows))


def bill_table(plan: Plan, sources: Sources) -> Table:
    """The first month's bill, line by line."""
    bill = plan["bill"]
    rows = tuple(Row((words(line["what"]), _quantity(line["quantity"]), words(line["unit"]),
                      money(line.get("usd_per_unit"), exact=True) if line.get("usd_per_unit") is not None else
                      NOTHING, money(line["usd"]), words(line["as_of"])),
                     sources.price(line["source"], line["as_of"])) for line in bill["lines"])
    total = Row((words("a month"), NOTHING, NOTHING, NOTHING, money(bill["usd_per_month"]), NOTHING))
    columns = (Column("What", 2), Column("Quantity"), Column("Unit"), Column("USD a unit"), Column("USD"),
               Column("As of", 1))
    return Table("bill", "The bill of a month", columns, rows, total)


def why_section(plan: Plan, sources: Sources) -> Section:
    """Every limit of the chosen node type, and what becomes of today's."""
    chosen, now = plan["chosen"], plan["today"]
    confidence = 100.0 * plan["demand"]["plan"]["confidence"]
    until = month_text(plan["fits_in_month"])
    said = [
        _enough(plan, sources),
        Said(_today(now), (*sources.need(now["constraint"]), *sources.node(now["node_type"]))),
    ]
    rows = tuple(Row((
        Cell(constraint(row["constraint"]), detail=_UNITS.get(row["unit"], "")),
        *(_amount(row[key], row["unit"]) for key in ("needed_mid", "needed_low", "needed_high", "needed",
                                                     "available")),
        words(row["available_is"]), percent(row["headroom_percent"])),
        (*sources.need(row["constraint"]), *sources.node(node_name(chosen))),
        is_marked=row["constraint"] == chosen["binding"]) for row in plan["headroom"])
    columns = (Column("Limit", 2), Column("Needed, median"), Column("5 %"), Column("95 %"),
               Column(f"{confidence:g} %"), Column("Available"), Column("That is", 3), Column("Left"))
    items = tuple(Row((words(_sentence(ITEMS.get(one["what"], one["what"]))),
                       amount(one["bytes"], "bytes")), sources.need("memory"))
                  for one in plan["memory_items"] if one["bytes"] > 0)
    return Section(
        "why", f"Why {node_name(chosen)}?", tuple(said), ("headroom", "memory_bill", "memory_by_month"),
        (*((Table("headroom", f"What {until} needs of each limit", columns, rows),) if rows else ()),
         Table("memory", f"What fills the memory in {until}, medians",
               (Column("Item", 1), Column("Memory")), items, is_sheet_only=True)),
        ("“5 %” to “95 %” are bounds: so many of the worlds need less. “Left” is what the "
         f"{confidence:g} % world leaves. The month is the last before the plan is made again.",))


def _enough(plan: Plan, sources: Sources) -> Said:
    """How surely what is chosen is enough, and of what it has least."""
    chosen, left = plan["chosen"], plan["chosen"]["headroom_percent"]
    if is_serverless(chosen):
        return Said("A serverless cache has no node that could be too small: what is held and asked for is "
                    "what is paid. How fast it answers was not measured, and it takes load that rises "
                    "suddenly only step by step.", (*sources.need("memory"), *sources.prices()))
    confidence = 100.0 * plan["demand"]["plan"]["confidence"]
    rest = "" if left is None else (f": {percent(left).text} of it is left in the {confidence:g} % world, "
                                    "the one that the plan has to hold for")
    return Said(f"{node_name(chosen)} is enough in {share(chosen['probability']).text} of the worlds. Its "
                f"tightest limit is {constraint(chosen['binding'])}{rest}.",
                (*sources.need(chosen["binding"]), *sources.node(node_name(chosen))))


def cost_section(plan: Plan, sources: Sources) -> Section:
    """The bill of each month, and the upgrades."""
    rows, months = plan["months"], len(plan["months"])
    known = [row["usd_mid"] for row in rows if row["usd_mid"] is not None]
    keys = (*sources.prices(), *sources.inputs("users", "plan", "sampling"))
    total = f"{len(known)} months cost {usd(sum(known))} in the median world" if known else (
        "No month's cost is known")
    unknown = (f"; what the other {months - len(known)} cost is unknown"
               if known and len(known) < months else "")
    said = [Said(f"{total}{unknown}.", keys)]
    if not plan["upgrades"]:
        said.append(Said(f"No upgrade is in sight for {months} months.", keys))
    upgrades = tuple(Row((month(one["month"]), name(one["from"]), name(one["to"]), month(one["act_by"]),
                          words(constraint(one["constraint"]))), (*sources.inputs("users"),
                                                                  *sources.need(one["constraint"])))
                     for one in plan["upgrades"])
    columns = (Column("Month", 2), Column("Node type", 2), Column("Shards"), Column("5 %"), Column("25 %"),
               Column("Median"), Column("75 %"), Column("95 %"), Column("Nothing fits"))
    bills = tuple(Row((month(row["month"]), name(row["node_type"]),
                       NOTHING if row["shards"] is None else count(row["shards"]),
                       *(money(row[f"usd_{one}"]) for one in ("low", "lower", "mid", "upper", "high")),
                       share(row["nothing_fits"])), keys) for row in rows)
    sum_of = None if not known else Row((
        words(f"{len(known)} months"), *[NOTHING] * 4, money(sum(known)), *[NOTHING] * 3))
    tables = [Table("months", "The bill of each month (USD)", columns, bills, sum_of)]
    if upgrades:
        tables.insert(0, Table("upgrades", "Upgrades of the median world", (
            Column("Month", 1), Column("From", 1), Column("To", 1), Column("Be ready by", 1),
            Column("What runs short", 2)), upgrades))
    return Section("cost", "What will it cost, month by month?", tuple(said), (), tuple(tables),
                   ("“5 %” to “95 %” are the worlds by cost. “Nothing fits” is the share of worlds in "
                    "which nothing that may be bought is enough; what those would pay is not known.",
                    "Prices stay as they are today."))


def _amount(value: float | None, unit: str) -> Cell:
    """Without a unit that is a word, which stands in the row's head."""
    cell = amount(value, unit)
    return replace(cell, text=cell.text.removesuffix(f" {unit}")) if unit in _UNITS else cell


def _priced(plan: Plan) -> tuple[str, str]:
    """Source and date of the bill's first line."""
    lines = plan["bill"]["lines"]
    return (lines[0]["source"], lines[0]["as_of"]) if lines else ("", "")


def _quantity(value: float) -> Cell:
    return count(value) if value == int(value) else decimal(value, 2)


def _term(term: str) -> str:
    return term.replace("_", " ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _today(now: Mapping[str, Any]) -> str:
    does = {True: "is enough today", False: "is not enough today", None: "cannot be shown to be enough"}
    text = f"Today’s {now['node_type']} {does[now['fits']]}: it {now['reason']}."
    if now["fits"] and now["short_from"]:
        text += f" It falls short in too many worlds from {month_text(now['short_from'])} on."
    return text
