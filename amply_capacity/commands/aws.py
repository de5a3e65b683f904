"""`amply-capacity aws`: what the toolkit has to be allowed on AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amply_capacity.commands.answer import print_text

__all__ = ["aws_app"]

aws_app = typer.Typer(help="What the toolkit does on AWS, and what it may.", no_args_is_help=True)


@aws_app.callback()
def _group() -> None:
    """A group, though it has one command so far."""


@aws_app.command("policy")
def aws_policy(
    secret: Annotated[str | None, typer.Option(
        help="ARN of the AUTH token in Secrets Manager; those named amply/… without.")] = None,
    connect: Annotated[list[str] | None, typer.Option(
        help="For IAM authentication: ARN of the cache, and again of its user.")] = None,
    drill: Annotated[list[str] | None, typer.Option(
        help="For drills: ARN of a replication group that may be failed over; may be given again.")] = None,
    out: Annotated[Path | None, typer.Option(help="A file; stdout without.")] = None,
) -> None:
    """Print the IAM policy: exactly the calls that are made, and a denial of all else. It is JSON.

    Example: amply-capacity aws policy --out policy.json
    """
    from amply_capacity.aws.policy import policy, policy_text
    from amply_capacity.disk import on_disk, replacing

    text = policy_text(policy(secret, connect or (), drill or ()))
    if out is None:
        print_text(text, end="")
        return
    with on_disk(out), replacing(out) as partial:
        partial.write_text(text)
    print_text(str(out))
