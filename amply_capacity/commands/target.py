"""`amply-capacity target`: may a server be loaded, and who says so."""

from __future__ import annotations

from typing import Annotated

import typer

from amply_capacity.commands.answer import Json, print_answer
from amply_capacity.errors import BadInput

__all__ = ["target_app"]

target_app = typer.Typer(help="May a server be loaded? Mark one that may.", no_args_is_help=True)

TargetName = Annotated[str, typer.Argument(help="redis://host:6379, or a cluster's name.")]


@target_app.command("check")
def target_check(url: TargetName, json_: Json = False) -> None:
    """May this server be loaded? Exit 1, the reason and the way out where not.

    Example: amply-capacity target check redis://test.internal:6379
    """
    from amply_capacity.errors import Refused
    from amply_capacity.target import guard

    try:
        guard.admit(guard.resolve(url)).close()
    except Refused as refusal:
        print_answer(json_, {"allowed": False, "reason": refusal.got, "do": refusal.do}, str(refusal))
        raise typer.Exit(1) from None
    print_answer(json_, {"allowed": True}, f"{url} may be loaded")


@target_app.command("mark")
def target_mark(
    url: TargetName,
    owner: Annotated[str, typer.Option(help="Who answers for it, e.g. an address.")],
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD; 7 days from now without.")] = None,
    allow_shared_keys: Annotated[bool, typer.Option(
        "--allow-shared-keys", help="Keys of others may be there; only ours are ever removed.")] = False,
    allow_replicas: Annotated[bool, typer.Option(
        "--allow-replicas", help="It may be the primary of a replication group, or of shards.")] = False,
    allow_eviction: Annotated[bool, typer.Option(
        "--allow-eviction", help="The load may push keys of others out of memory.")] = False,
    allow_drills: Annotated[bool, typer.Option(
        "--allow-drills", help="It may be failed over on purpose; what it holds may be lost.")] = False,
    json_: Json = False,
) -> None:
    """Mark an empty server (on a Redis Cluster each primary) as a test target, with a key without TTL.

    Example: amply-capacity target mark redis://test.internal:6379 --owner you@example.com
    """
    from datetime import date, timedelta

    from amply_capacity.target import guard

    try:
        last_day = date.fromisoformat(until) if until else date.today() + timedelta(days=7)
    except ValueError:
        raise BadInput("--until is no date", got=repr(until), do="give it as YYYY-MM-DD") from None
    content = guard.mark(url, owner, last_day, today=date.today(), allow_shared_keys=allow_shared_keys,
                         allow_replicas=allow_replicas, allow_eviction=allow_eviction,
                         allow_drills=allow_drills)
    several = f" ({content['servers']} primaries)" if content["servers"] > 1 else ""
    print_answer(json_, content,
                 f"{content['url']} is a test target of {owner} until {content['until']}{several}")


@target_app.command("unmark")
def target_unmark(url: TargetName, json_: Json = False) -> None:
    """Remove the mark, and what a run of ours that was killed left there.

    Example: amply-capacity target unmark redis://test.internal:6379
    """
    from amply_capacity.target import guard

    removed = guard.unmark(url)
    print_answer(json_, {"removed": removed}, "the mark is removed" if removed else "there was no mark")
