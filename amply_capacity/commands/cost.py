"""`amply-capacity cost`: what nodes or a serverless cache cost a month, line by line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amply_capacity.commands.answer import Json, print_answer, warn_of_old_prices
from amply_capacity.errors import BadInput

if TYPE_CHECKING:
    from datetime import date

    from amply_capacity.plan.extras import Extras
    from amply_capacity.plan.reservations import Reservation

__all__ = ["cost"]


def cost(
    region: Annotated[str, typer.Option(help="AWS region, e.g. us-east-1.")],
    engine: Annotated[str, typer.Option(help="redis or valkey.")] = "redis",
    node_type: Annotated[str | None, typer.Option(help="Node type, e.g. cache.t3.micro.")] = None,
    shards: Annotated[int, typer.Option(help="Shards.")] = 1,
    replicas: Annotated[int, typer.Option(help="Replicas of each shard.")] = 0,
    term: Annotated[str, typer.Option(
        help="on_demand; reserved, so much paid upfront: 1yr_no, 1yr_partial, 1yr_all, 3yr_…")] = "on_demand",
    reservation: Annotated[str | None, typer.Option(
        metavar="TYPE,COUNT,TERM",
        help="Reserved nodes that are there already, of any size of the family: cache.r7g.large,2,1yr_no; "
             "a fourth word names another engine. Their upfront fee is paid: a cash flow has renewals only."
        )] = None,
    engine_version: Annotated[str | None, typer.Option(
        help="E.g. 5.0.6: an old one has a surcharge, Extended Support.")] = None,
    durability: Annotated[str | None, typer.Option(
        help="sync or async: Valkey's writes through a log in several zones.")] = None,
    serverless: Annotated[bool, typer.Option(
        "--serverless", help="A serverless cache, with --gb and --ecpus-per-second.")] = False,
    gb: Annotated[float | None, typer.Option(help="Data held by a serverless cache.")] = None,
    ecpus_per_second: Annotated[float | None, typer.Option(
        help="ElastiCache Processing Units: one for each command, or kilobyte of it.")] = None,
    snapshots_retained_days: Annotated[int | None, typer.Option(
        help="Daily snapshots are kept so long, 0 to 35.")] = None,
    backup_gb: Annotated[float | None, typer.Option(help="Size of one snapshot.")] = None,
    cross_az_gb: Annotated[float | None, typer.Option(
        help="A month's traffic between the application and nodes in other zones.")] = None,
    month: Annotated[str | None, typer.Option(
        metavar="YYYY-MM", help="The month billed, and the first of a cash flow; this one without.")] = None,
    cash_flow_months: Annotated[int | None, typer.Option(
        help="Beside the bill what falls due in each of so many months.")] = None,
    json_: Json = False,
) -> None:
    """What nodes or a serverless cache cost a month, line by line, each with its source.

    An upfront fee is spread over its term; --cash-flow-months shows when it is paid, and leaves out that of a
    --reservation, which has been. What no source prices is
    named as absent, never counted as 0.

    Example: amply-capacity cost --region us-east-1 --engine redis --node-type cache.t3.micro --replicas 1
    """
    from amply_capacity.plan.extras import Extras

    faults: list[BadInput] = []
    billed = _month(month, faults)
    flow = None if cash_flow_months is None else (billed, cash_flow_months)
    extras = Extras(snapshots_retained_days, backup_gb, cross_az_gb, engine_version, billed, durability)
    if cash_flow_months is not None:
        from amply_capacity.plan.cash_flow import months_faults

        faults += months_faults(cash_flow_months)
    if serverless:
        given = {"--node-type": node_type is not None, "--shards": shards != 1, "--replicas": replicas != 0,
                 "--term": term != "on_demand", "--reservation": reservation is not None}
        faults += [BadInput(f"{option} with --serverless", got="both",
                            do="leave it out: a serverless cache has no nodes")
                   for option, is_given in given.items() if is_given]
        answer = _serverless(region, engine, gb, ecpus_per_second, extras, flow, faults)
    else:
        faults += [BadInput(f"{option} without --serverless", got="nodes",
                            do="leave it out, or add --serverless")
                   for option, value in (("--gb", gb), ("--ecpus-per-second", ecpus_per_second))
                   if value is not None]
        answer = _nodes(region, engine, node_type, shards, replicas, term,
                        _reservation(reservation, engine, faults), extras, flow, faults)
    if engine_version is not None:
        answer["month"] = f"{billed:%Y-%m}"
    print_answer(json_, answer, _text(answer))
    warn_of_old_prices(answer)


def _nodes(region: str, engine: str, node_type: str | None, shards: int, replicas: int, term: str,
           reservation: Reservation | None, extras: Extras, flow: tuple[date, int] | None,
           faults: list[BadInput]) -> dict[str, Any]:
    from amply_capacity.catalog.faults import refuse
    from amply_capacity.catalog.prices import name_faults
    from amply_capacity.plan.cash_flow import nodes_cash_flow
    from amply_capacity.plan.cost import nodes_bill, nodes_faults
    from amply_capacity.plan.extras import node_faults

    if node_type is None:
        unsaid = BadInput("what is to be billed is not said", got="neither --node-type nor --serverless",
                          do="give a node type, or --serverless with --gb and --ecpus-per-second")
        refuse([unsaid, *faults, *name_faults(region, engine), *node_faults(extras, engine, None, replicas)])
    assert node_type is not None
    asked = (region, engine, node_type, shards, replicas, term)
    refuse([*faults, *nodes_faults(*asked, extras, reservation)])
    answer = nodes_bill(*asked, extras, reservation).as_json()
    if flow is not None:
        answer["cash_flow"] = nodes_cash_flow(*asked, *flow, extras, reservation).as_json()
    return answer


def _serverless(region: str, engine: str, gb: float | None, ecpus_per_second: float | None, extras: Extras,
                flow: tuple[date, int] | None, faults: list[BadInput]) -> dict[str, Any]:
    from amply_capacity.catalog.faults import refuse
    from amply_capacity.plan.cash_flow import serverless_cash_flow
    from amply_capacity.plan.serverless_bill import serverless_bill, serverless_faults

    missing = [option for option, value in (("--gb", gb), ("--ecpus-per-second", ecpus_per_second))
               if value is None]
    if missing:
        unsaid = BadInput("the use of the serverless cache is not said", got=f"no {', no '.join(missing)}",
                          do="give both, as averages over the month")
        faults = [unsaid, *faults]
    held, taken = gb if gb is not None else 0.0, ecpus_per_second if ecpus_per_second is not None else 0.0
    refuse([*faults, *serverless_faults(region, engine, held, taken, extras)])
    bill = serverless_bill(region, engine, held, taken, extras)
    answer = bill.as_json()
    if flow is not None:
        answer["cash_flow"] = serverless_cash_flow(bill, *flow).as_json()
    return answer


def _text(answer: dict[str, Any]) -> str:
    from amply_capacity.report.bill_text import bill_text, cash_flow_text

    text = bill_text(answer)
    return f"{text}\n\n{cash_flow_text(answer['cash_flow'])}" if "cash_flow" in answer else text


def _month(text: str | None, faults: list[BadInput]) -> date:
    from datetime import date

    today = date.today().replace(day=1)
    if text is None:
        return today
    found = re.fullmatch(r"(20[2-9]\d)-(0[1-9]|1[0-2])", text)
    if found is None:
        faults.append(BadInput("--month is no month", got=repr(text),
                               do="give it as YYYY-MM, from 2020 to 2099"))
        return today
    return date(int(found[1]), int(found[2]), 1)


def _reservation(text: str | None, engine: str, faults: list[BadInput]) -> Reservation | None:
    from amply_capacity.plan.reservations import Reservation

    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) not in (3, 4) or not words[1].isdecimal():
        faults.append(BadInput("--reservation cannot be read", got=repr(text),
                               do="give the node type, how many and the term: cache.r7g.large,2,1yr_no"))
        return None
    return Reservation(words[3] if len(words) == 4 else engine, words[0], int(words[1]), words[2])
