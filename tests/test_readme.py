"""The README's commands exist as it writes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_words import parse, parse_locust

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
    lines = [re.sub(r"\[(--[^\]]+)\]", r"\1", line) for line in dict.fromkeys(code_lines())]
    calls = [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]
    return [call[1:] for call in calls if call]


@pytest.mark.parametrize("words", commands("amply-capacity"), ids=" ".join)
def test_a_command_of_the_readme_parses(words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize("words", ["plan --no-such-option", "cluster fly", "runs show", "fly"])
def test_a_command_that_is_wrong_would_not_parse(words: str) -> None:
    if words == "runs show":
        parse(words.split())  # only named
        words += " one two"
    with pytest.raises(Exception, match=r"o such|no command|unexpected"):
        parse(words.split())


def test_the_readme_shows_the_daily_commands() -> None:
    named = {" ".join(words[:2]) for words in commands("amply-capacity")}
    assert named >= {"cluster up", "cluster down", "runs list", "plan --run", "report --run", "cost --region"}
    assert commands("locust")


def test_the_locust_lines_of_the_readme_are_accepted_by_locust_with_our_options() -> None:
    calls = commands("locust")
    scenarios = {words[words.index("-f") + 1] for words in calls}
    for scenario in scenarios:
        assert (ROOT / scenario).is_file(), scenario
    assert parse_locust([words for words in calls if "--help" not in words]) == ""
    assert "--no-such" in parse_locust([["-f", "loadtests/mixed.py", "--no-such"]])


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
