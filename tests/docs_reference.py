"""The pages of the documentation that are written from what they describe; run it to write them anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from amply_capacity.cli import app
from amply_capacity.files import DATA_DIR, ROOT

DOCS = ROOT / "docs"
_WIDTH = 100
_COMMANDS = """# Command line

Every command, as its own `--help` says it. All but `meeting` take `--json`, which prints exactly one JSON
object on stdout; progress goes to stderr. Exit codes: 0 ok, 1 the answer is no or a check failed, 2 bad
input, explained in one paragraph.
"""
_DEMAND = """# Demand file

What the plan sizes for. Copy `data/demand.example.toml`, change the numbers, and give it with `--demand`.
The tables below are that file: its keys, Amply's values, and what stands beside them.

Any quantity may be a plain number or `{ low = 4, mid = 8, high = 12, confidence = 0.9 }`: `mid` is the
median, and the truth lies between `low` and `high` with that confidence, 0.9 if it is left out. Settings
(replicas, terms, the horizon) are plain numbers. A key that is unknown, and a demand that contradicts
itself, is refused with its dotted path; all faults are said at once.
"""
_HEADING = re.compile(r"(?:# )?(\[\[?[a-z0-9_.]+\]\]?)\s*(?:#.*)?")
_KEY = re.compile(r"(# )?([a-z][a-z0-9_]*) = (.+)")


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, by its words, in the order of the alphabet."""
    below: Mapping[str, Any] | None = getattr(command, "commands", None)
    if below is None:
        yield " ".join(words), command
        return
    for name, one in sorted(below.items()):
        yield from commands(one, *words, name)


def command_line() -> str:
    """The command line, from its own help."""
    parts = [_COMMANDS]
    for words, command in commands(typer.main.get_command(app)):
        context = command.context_class(command, info_name=f"amply-capacity {words}", terminal_width=_WIDTH,
                                        max_content_width=_WIDTH)
        lines = [line.rstrip() for line in command.get_help(context).splitlines()]
        parts += [f"## {words}", "", "```text", *lines, "```", ""]
    return "\n".join(parts)


def demand() -> str:
    """The demand file, from the comments of the example."""
    parts = [_DEMAND]
    for line in (DATA_DIR / "demand.example.toml").read_text().splitlines():
        if heading := _HEADING.fullmatch(line):
            parts += ["", f"## {heading[1]}", "", "| key | example | what it is |", "|---|---|---|"]
        elif len(parts) > 1 and (found := _KEY.match(line)):
            value, _, words = found[3].partition(" # ")
            said = [*(["may be left out"] if found[1] else []), *filter(None, [words.strip()])]
            parts.append(f"| `{found[2]}` | `{value.strip()}` | {'; '.join(said).replace('|', 'or')} |")
    return "\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/command-line.md": command_line, "reference/demand.md": demand}


def main() -> None:
    """Write the pages."""
    for name, write in PAGES.items():
        Path(DOCS / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
