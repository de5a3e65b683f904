"""The README's commands exist as it writes them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from amply_capacity.cli import app
from amply_capacity.files import ROOT

README = (ROOT / "README.md").read_text()


def code_lines() -> Iterator[str]:
    """The lines of the README's code: indented by four, between fences, or in backticks; no comments."""
    fenced = False
    for line in README.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
    for words in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL)):
        yield " ".join(words.split())


def commands(program: str) -> list[list[str]]:
    """The calls of a program there, as words; a lone name in running text is none."""
    calls = [shlex.split(line, comments=True) for line in dict.fromkeys(code_lines())
             if line.startswith(f"{program} ")]
    return [call[1:] for call in calls if call]


@pytest.mark.parametrize("words", commands("amply-capacity"), ids=" ".join)
def test_a_command_of_the_readme_parses(words: list[str]) -> None:
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command, info_name="amply-capacity")
    rest = words
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(context, list(rest))
        assert command is not None
        context = click.Context(command, parent=context, info_name=command.name)
    try:
        command.make_context(command.name, list(rest), parent=context.parent)
    except click.MissingParameter:
        assert len(rest) == 0, "a command that is only named may go without its arguments"


def test_the_readme_shows_the_daily_commands() -> None:
    named = {" ".join(words[:2]) for words in commands("amply-capacity")}
    assert named >= {"cluster up", "cluster down", "runs list", "plan --run", "report --run", "cost --region"}
    assert commands("locust")


def test_the_locust_lines_of_the_readme_are_accepted_by_locust_with_our_options() -> None:
    calls = commands("locust")
    scenarios = {words[words.index("-f") + 1] for words in calls}
    for scenario in scenarios:
        assert (ROOT / scenario).is_file(), scenario
    # In a process of its own: Locust patches the one that it is imported into.
    script = ("import json, sys, locust\n"
              "from locust.argument_parser import get_parser\n"
              "from amply_capacity.load.options import add_options, read_options\n"
              "locust.events.init_command_line_parser.add_listener(add_options)\n"
              "for words in json.loads(sys.argv[1]):\n"
              "    read_options(get_parser(default_config_files=[]).parse_args(words))\n")
    parsed = [words for words in calls if "--help" not in words]
    done = subprocess.run([sys.executable, "-c", script, json.dumps(parsed)], capture_output=True, text=True,
                          timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_files_and_pictures_that_the_readme_links_to_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = Path(ROOT / "Makefile").read_text()
    named = {words[0] for words in commands("make")}
    assert {"demo", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
