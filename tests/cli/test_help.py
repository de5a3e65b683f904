"""Help: every command has one, with an example, and the first page is cheap."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

from amply_capacity.cli import app

HEAVY = ("pandas", "numpy", "matplotlib", "boto3", "pyarrow", "redis", "locust", "gevent", "pydantic",
         "jinja2", "IPython", "nbformat")


def commands() -> list[tuple[str, ...]]:
    """Every command of the command line, as its words."""
    found = []

    def walk(command: object, words: tuple[str, ...]) -> None:
        below = getattr(command, "commands", None)
        if below is None:
            found.append(words)
            return
        for name, one in below.items():
            walk(one, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def test_all_verbs_of_the_first_release_are_there() -> None:
    assert {" ".join(words) for words in commands()} >= {
        "cluster up", "cluster down", "cluster status", "target check", "target mark", "target unmark",
        "runs list", "runs show", "runs recover", "plan", "cost", "prices show", "report", "demo", "meeting",
        "predict memory"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_help_of_a_command_shows_how_it_is_called(amply: Callable, words: tuple[str, ...]) -> None:
    answer = amply(*words, "--help")
    assert answer.code == 0
    assert f"Example: amply-capacity {' '.join(words)}" in " ".join(answer.out.split())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_all_commands_but_those_that_the_readme_names_answer_in_json(
        amply: Callable, words: tuple[str, ...]) -> None:
    assert ("--json" in amply(*words, "--help").out) == (words not in {("meeting",), ("aws", "policy")})


@pytest.mark.parametrize("group", ["cluster", "target", "runs", "prices", "predict", "import"])
def test_the_help_of_a_group_lists_its_commands(amply: Callable, group: str) -> None:
    answer = amply(group, "--help")
    assert answer.code == 0
    for words in commands():
        if words[0] == group:
            assert f"\n  {words[1]}" in answer.out


def test_the_first_help_page_imports_nothing_heavy() -> None:
    script = ("import sys; sys.argv = ['amply-capacity', '--help']\n"
              "from amply_capacity.cli import main\n"
              "try: main()\n"
              "except SystemExit: pass\n"
              f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])")
    # A measured process would bring coverage's own imports.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
                          check=True, env=environment)
    assert "Usage: amply-capacity" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_an_unknown_option_is_refused_with_exit_2(amply: Callable) -> None:
    answer = amply("cost", "--regionn", "x")
    assert answer.code == 2
    assert answer.out == ""
    assert "--regionn" in answer.err
