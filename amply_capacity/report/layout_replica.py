"""The section of the report on the replica: the verdict, where it turns, and five ways to run the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.cells import Cell, given, money, month, number, share, words
from amply_capacity.report.layout import Column, Row, Said, Section, Table
from amply_capacity.report.money import usd
from amply_capacity.report.replica_sentences import beside_the_verdict
from amply_capacity.report.replica_words import amount_of, number_name, rounded
from amply_capacity.report.sources import Sources

__all__ = ["replica_section", "topic_keys"]

Plan = Mapping[str, Any]
Keys = tuple[str, ...]

_BREAK_EVEN = {
    "failures_per_year": ("failures of a node per year", "failures", "per_node_year"),
    "usd_per_downtime_minute": ("USD for each minute of downtime", "money", "usd_per_downtime_minute"),
    "users": ("registered users", "users", "registered"),
}
"""What it is called, and where the demand says today's."""
_EXPECTED = "[=0]0;[<9.95]0.00;#,##0"
"""Excel's format of an expected count or time: as `rounded`, and no exponent of a millionth."""
_ASSUMED = ("failures of a node", "minutes without Redis", "replication lag", "seconds of those",
            "seconds until", "seconds without Redis", "Availability Zone", "for maintenance",
            "automatic snapshots")


def replica_section(plan: Plan, sources: Sources) -> Section:
    """What a replica costs, what it avoids, from where on it pays, and what else there is to choose."""
    replica = plan["replica"]
    avoided = replica["avoided_usd_per_month"]
    keys = (*sources.prices(), *sources.inputs("failures", "money", "users"), *sources.assumed(*_ASSUMED))
    keys_of = topic_keys(plan, sources)
    said = (
        Said(f"A replica costs {usd(replica['usd_per_month'])} a month. In the median world it avoids "
             f"{usd(avoided['mid'])} of downtime and lost sessions ({usd(avoided['low'])} to "
             f"{usd(avoided['high'])}); expected, the mean of the worlds, is {usd(avoided['expected'])}.",
             keys),
        Said(f"The verdict is “{replica['verdict']}”: it saves more than it costs in "
             f"{share(replica['probability']).text} of the parameter worlds; “add” needs 80 %, “do not "
             "add” 20 % or fewer.", keys),
        *(Said(sentence, keys_of[topic]) for topic, sentence in beside_the_verdict(plan).items()),
    )
    notes = replica["break_even_notes"]
    by_month = tuple(Row((month(row["month"]), share(row["probability"]), words(row["verdict"])), keys)
                     for row in replica["months"])
    return Section(
        "replica", "When is a replica worth its price?", said,
        ("replica_balance", "replica_setups", "replica_map", "replica_sensitivity", "replica_by_month"),
        (_even(plan, sources, keys), *_beside(replica, keys),
         Table("replica_months", "Month by month", (Column("Month"), Column("Pays in"), Column("Verdict", 1)),
               by_month, is_sheet_only=True)),
        tuple(f"{_sentence(note)}." for named, note in notes.items() if named not in replica["break_even"]))


def topic_keys(plan: Plan, sources: Sources) -> dict[str, Keys]:
    """What stands behind each sentence beside the verdict."""
    replica = plan["replica"]
    node = sources.node(replica["setups"][0]["node_type"]) if replica["setups"] else ()
    binding = replica["after_failover"]["binding"] if replica["after_failover"] else ""
    return {
        "turn": (*sources.prices(), *sources.inputs("failures", "money", "users")),
        "setups": (*sources.prices(), *sources.inputs("failures", "money", "users"),
                   *sources.assumed(*_ASSUMED)),
        "after_failover": (*node, *sources.need(binding)), "reads": (*node, *sources.need("cpu")),
        "shards": sources.inputs("application"),
        "learned": (*(key for one in replica["drills"] for key in sources.run(one["run"])),
                    *sources.inputs("failures"))}


def _even(plan: Plan, sources: Sources, keys: Keys) -> Table:
    replica, notes = plan["replica"], plan["replica"]["break_even_notes"]
    learned = {one["number"]: one["now"] for one in replica["learned"]}
    rows = []
    for named, value in replica["break_even"].items():
        called, table, key = _BREAK_EVEN.get(named, (named.replace("_", " "), "", ""))
        today = learned.get(f"{table}.{key}", plan["demand"].get(table, {}).get(key))
        rows.append(Row((words(called), _breaks_even(named, value), given(today), words(notes.get(named))),
                        sources.inputs(table) or keys))
    return Table("break_even", "At the medians it breaks even at any one of",
                 (Column("Quantity", 2), Column("Breaks even at"), Column("Today", 1), Column("Note", 2)),
                 tuple(rows))


def _beside(replica: Plan, keys: Keys) -> tuple[Table, ...]:
    """The set-ups, and what turns the verdict; nothing of a draft."""
    if not replica["setups"]:
        return ()
    ways = tuple(Row((
        words(one["name"]), money(one["usd_per_month"]), _expected(one["downtime_minutes"]),
        number(one["promised_minutes"]), _expected(one["lost_sessions"]), _expected(one["lost_writes"]),
        money(one["outage_usd"]["expected"]), money(one["total_usd"]["expected"]),
        share(one["probability_cheapest"], 0)), keys) for one in replica["setups"])
    turns = tuple(Row((
        words(number_name(one["number"])), words(amount_of(one["number"], one["low_value"])),
        share(one["probability_at_low"], 0), words(amount_of(one["number"], one["high_value"])),
        share(one["probability_at_high"], 0), words("yes" if one["flips"] else "no")), keys)
        for one in replica["sensitivity"])
    return (
        Table("setups", "Five ways to run these nodes: a month of the median world, dollars expected", (
            Column("Way", 3), Column("Nodes, USD"), Column("Minutes away (5–95 %)"),
            Column("AWS’ agreement allows", is_sheet_only=True), Column("Sessions lost"),
            Column("Writes lost"), Column("Outages, USD", is_sheet_only=True), Column("With outages, USD"),
            Column("Cheapest in", is_sheet_only=True)), ways),
        Table("swings", "What turns the verdict: one number held, all others drawn", (
            Column("Number", 3), Column("Low", 1), Column("Pays in"), Column("High", 1), Column("Pays in"),
            Column("Turns it")), turns, is_sheet_only=True))


def _expected(values: Mapping[str, float]) -> Cell:
    """The median, and where nine of ten worlds lie."""
    low, mid, high = values["low"], values["mid"], values["high"]
    # A cell's text is its number, rounded.
    text = f"{rounded(mid)} ({rounded(low)} – {rounded(high)})".replace("< 0.01", "0.00")
    return Cell(text, mid, _EXPECTED, bounds=(low, high))


def _breaks_even(named: str, value: float | None) -> Cell:
    if value is None:
        return Cell("never")
    return money(value) if named.startswith("usd") else number(value, significant=2)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
