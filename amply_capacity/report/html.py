"""The report as one self-contained HTML page: no script, no network, figures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from amply_capacity.report import figures
from amply_capacity.report.bought import bought, is_serverless, node_name, would_win
from amply_capacity.report.document import Document, month_text
from amply_capacity.report.drawing import Pictures
from amply_capacity.report.layout_replica import topic_keys
from amply_capacity.report.money import usd
from amply_capacity.report.numbers import assumed
from amply_capacity.report.replica_sentences import beside_the_verdict
from amply_capacity.report.replica_words import rounded
from amply_capacity.report.sources import KINDS, Source, sources_of
from amply_capacity.report.ways import WAYS_NOTE

__all__ = ["render_html"]

_TEMPLATES = Path(__file__).with_name("templates")
_ITEMS = {
    "index": "user's session index", "counter": "rate-limit counter", "cached": "cached organisation",
    "result": "Celery result", "connection": "client connection",
}


def render_html(document: Document, pictures: Pictures | None = None) -> str:
    """The page of a report document; `pictures` are its figures, where they are drawn already.

    Every text from outside is escaped by the template engine.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"month": month_text, "usd": usd, "amount": _amount, "constraint": _constraint,
                            "assumed": assumed, "signed": _signed, "breakeven": _break_even, "item": _item,
                            "groupby_kind": _by_kind, "spread": _spread, "bought": bought,
                            "node_name": node_name, "would_win": would_win}
    plan = document.content["plan"]
    drawn, sources = pictures or Pictures(document), sources_of(document.content)
    return environment.get_template("report.html").render(
        doc=document.content, plan=plan, figures=drawn.of_plan, run_figures=drawn.of_runs,
        sources=sources, is_serverless=is_serverless(plan["chosen"]), kinds=KINDS,
        ways_note=WAYS_NOTE,
        css=(_TEMPLATES / "report.css").read_text(),
        beside=beside_the_verdict(plan), beside_keys=topic_keys(plan, sources),
        cheapest_usd=min((one["total_usd"]["expected"] for one in plan["replica"]["setups"]), default=None),
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "unknown"
    if unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    if unit == "bits per second":
        return f"{value / 1e6:,.2f} Mbit/s" if value < 1e8 else f"{value / 1e9:,.1f} Gbit/s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _constraint(name: str) -> str:
    return {"price": "Price"}.get(name) or figures.CONSTRAINTS.get(name, name.replace("_", " "))


def _item(name: str) -> str:
    return _ITEMS.get(name, name)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{usd(abs(value))}"


def _break_even(value: float | None, name: str) -> str:
    if value is None:
        return "never:"
    return usd(value) if name.startswith("usd") else f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _spread(values: Mapping[str, float]) -> str:
    return f"{rounded(values['mid'])} ({rounded(values['low'])} – {rounded(values['high'])})"


def _by_kind(lines: Sequence[Source]) -> list[tuple[str, list[Source]]]:
    """In their order: jinja's own would sort them."""
    return [(kind, list(group)) for kind, group in groupby(lines, key=lambda line: line.kind)]
