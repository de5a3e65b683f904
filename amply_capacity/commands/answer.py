"""How every command answers: text for people, or exactly one JSON object."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = ["Json", "print_answer"]

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]


def print_answer(as_json: bool, content: dict[str, Any], text: str) -> None:
    """Print the content as JSON, or the text, on stdout."""
    print(json.dumps(content, indent=1, ensure_ascii=False) if as_json else text)
