"""`amply-capacity prices`: what nodes cost, how old that is, and newer prices from AWS' price list."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import AmplyError

if TYPE_CHECKING:
    from amply_capacity.aws.price_refresh import Refresh
    from amply_capacity.catalog.price_changes import Change
    from amply_capacity.catalog.price_table import PriceTable
    from amply_capacity.catalog.rate_changes import RateChanges

__all__ = ["prices_app"]

prices_app = typer.Typer(help="What nodes cost: the shipped prices, or newer ones from AWS.",
                         no_args_is_help=True)

_BIGGEST = 5


@prices_app.command("show")
def prices_show(
    region: Annotated[str | None, typer.Option(help="AWS region; without, the regions are listed.")] = None,
    engine: Annotated[str, typer.Option(help="redis or valkey.")] = "redis",
    json_: Json = False,
) -> None:
    """The node types a region offers, with their on-demand price. Their age is said on stderr.

    Example: amply-capacity prices show --region eu-west-1
    """
    from amply_capacity.catalog import prices
    from amply_capacity.plan.cost import HOURS_PER_MONTH

    if region is None:
        print_answer(json_, {"regions": list(prices.regions())}, "\n".join(prices.regions()))
        _say_age(one.as_of for one in prices.prices())
        return
    offered = prices.offered(region, engine)
    rows = [{"node_type": one.node_type, "usd_per_hour": float(one.effective_hourly_usd),
             "usd_per_month": round(float(one.effective_hourly_usd) * HOURS_PER_MONTH, 4),
             "source": one.source, "as_of": one.as_of} for one in offered]
    text = "\n".join(f"{row['node_type']:<22} {row['usd_per_hour']:>9.4f} USD/h "
                     f"{row['usd_per_month']:>11,.2f} USD/month  as of {row['as_of']}" for row in rows)
    print_answer(json_, {"region": region, "engine": engine, "prices": rows}, text)
    _say_age(one.as_of for one in offered)


@prices_app.command("refresh")
def prices_refresh(
    region: Annotated[list[str] | None, typer.Option(
        "--region", help="AWS region; several may be given; all without.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Keep the new prices without asking.")] = False,
    json_: Json = False,
) -> None:
    """Read prices anew from AWS' price list (pricing:GetProducts), show what changed, and keep them.

    Asks before they are kept; where nobody can be asked, --yes keeps them, and without it the exit code is 1.
    Nodes, Serverless, Extended Support and durability are read; what the list does not speak of stays, as do
    backups, transfer and other rates.

    Example: amply-capacity prices refresh --region eu-west-1 --region us-east-1
    """
    from amply_capacity.catalog import files
    from amply_capacity.catalog.price_table import keep_price_table, read_price_table
    from amply_capacity.progress import say
    from amply_capacity.target.process import terminable

    table = read_price_table(files.CATALOG_DIR)
    found = _read(table, region or [])
    # Said before it is kept; on stderr where stdout is for the one JSON object.
    (say if json_ else print)(_text(found))
    if found.after == found.before:
        _answer(json_, found, "the table holds these prices already", kept=False)
        return
    if not yes and not _agreed(found.prices + found.rates.listed):
        _answer(json_, found, "nothing is kept: the table is as it was", kept=False)
        raise typer.Exit(1)
    with terminable():
        keep_price_table(files.CATALOG_DIR, found.before, found.after)
    _answer(json_, found, f"kept in {files.CATALOG_DIR / 'prices.csv'}", kept=True)


def _read(table: PriceTable, named: list[str]) -> Refresh:
    """What AWS lists; a failure says that the table stands, and how old it is."""
    from amply_capacity.aws.price_list import pricing_client
    from amply_capacity.aws.price_refresh import read_refresh, regions_to_ask
    from amply_capacity.catalog.price_age import price_age
    from amply_capacity.errors import BadInput
    from amply_capacity.progress import progress

    today = _today()
    try:
        regions = regions_to_ask(named)
        with progress("price list, regions", len(regions)) as advance:
            return read_refresh(pricing_client(), table, regions, today, advance)
    except BadInput:
        raise
    except AmplyError as error:
        age = price_age((row.as_of for row in table.rows), today).text
        raise AmplyError(f"the prices are not refreshed: {error.what}", got=error.got,
                         do=f"{error.do}; until then the table stands as it is, {age}") from error


def _agreed(count: int) -> bool:
    """Whether somebody at a terminal says yes. The question is on stderr, for stdout may be a file."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("Nobody can be asked here: --yes keeps the new prices.", file=sys.stderr)
        return False
    print(f"Keep these {count:,} prices? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _answer(json_: bool, found: Refresh, text: str, *, kept: bool) -> None:
    print_answer(json_, found.as_json(kept=kept), text)


def _text(found: Refresh) -> str:
    """What would change: a line for each kind with its count, under it the biggest."""
    published = " and ".join(found.published) or "on a date not said"
    where = found.regions[0] if len(found.regions) == 1 else f"{len(found.regions)} regions"
    lines = [f"{found.prices:,} prices in {where}, published {published}",
             f"{'unchanged':<10} {found.changes.unchanged:>7,}"]
    for kind, changes in found.changes.kinds().items():
        stay = "  not on the list: they stay as they were" if kind == "gone" and changes else ""
        lines.append(f"{kind:<10} {len(changes):>7,}{stay}")
        lines += _biggest(changes)
    lines += _rates_text(found.rates)
    if found.silent:
        lines.append(f"no nodes are listed in {', '.join(found.silent)}")
    if found.left_out:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.left_out.items())
        lines.append(f"left out: {kinds}")
    return "\n".join(lines)


def _rates_text(rates: RateChanges) -> Iterator[str]:
    """A line of the rates beside the nodes' prices, those that changed, and those that could not be read."""
    if rates.listed:
        yield (f"{'rates':<10} {rates.listed:>7,}  of Serverless and add-ons: {len(rates.new):,} new, "
               f"{len(rates.changed):,} changed, {rates.unchanged:,} unchanged")
    for one in rates.changed[:_BIGGEST]:
        name = " ".join(filter(None, (one.item, one.region, one.engine, one.node_type)))
        yield f"  {name}  {one.was:g} → {one.now:g} {one.unit}"
    if len(rates.changed) > _BIGGEST:
        yield f"  … and {len(rates.changed) - _BIGGEST:,} more, which --json lists"
    if rates.unread:
        more = f"; and {len(rates.unread) - _BIGGEST:,} more" if len(rates.unread) > _BIGGEST else ""
        yield f"rates that stay, since they cannot be read: {'; '.join(rates.unread[:_BIGGEST])}{more}"


def _biggest(changes: tuple[Change, ...]) -> Iterator[str]:
    for one in changes[:_BIGGEST]:
        name = f"{one.region:<16} {one.engine:<7} {one.node_type:<20} {one.term:<12}"
        relative = "" if one.relative is None else f"  {one.relative:+.1%}"
        yield f"  {name} {_usd(one.was_usd_per_hour)} → {_usd(one.now_usd_per_hour)} USD/h{relative}"
    if len(changes) > _BIGGEST:
        yield f"  … and {len(changes) - _BIGGEST:,} more, which --json lists"


def _usd(usd: float | None) -> str:
    return f"{'–':>9}" if usd is None else f"{usd:>9.4f}"


def _say_age(dates: Iterator[str]) -> None:
    from amply_capacity.catalog.price_age import price_age
    from amply_capacity.progress import say

    age = price_age(dates, _today())
    say(age.text)
    if age.warning:
        say(age.warning)


def _today() -> date:
    return date.today()
