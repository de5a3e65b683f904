"""How every command answers: text for people, or exactly one JSON object."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any

import typer

__all__ = ["Json", "print_answer", "print_text", "warn_of_old_prices"]

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]


_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def print_answer(as_json: bool, content: dict[str, Any], text: str) -> None:
    """Print the content as JSON, or the text, on stdout."""
    print_text(json.dumps(content, indent=1, ensure_ascii=False) if as_json else text)


def print_text(text: str, end: str = "\n") -> None:
    """Print on stdout; where its reader, e.g. `head`, has gone, nobody is told and the exit code stays."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:  # here, since Typer makes exit code 1 of it, which is an answer
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is still buffered is written at the end
        os.close(nowhere)


def warn_of_old_prices(content: Any, dates: Iterable[str] = ()) -> None:
    """A line on stderr where a price in the answer is older than 180 days, or bears no date.

    `dates` are those of prices that the answer rests on and does not list.
    """
    from amply_capacity.catalog.price_age import price_age
    from amply_capacity.progress import say

    warning = price_age([*_dates(content), *dates], _today()).warning
    if warning is not None:
        say(warning)


def _dates(content: Any) -> Iterator[str]:
    """Of all prices in it, wherever they are."""
    if isinstance(content, dict):
        if dated := content.get("as_of"):
            yield dated if _ISO.fullmatch(dated) else "undated"
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _dates(each)


def _today() -> date:
    return date.today()
