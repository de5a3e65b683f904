"""The tree of errors is the one that is drawn, and each says what, got and do."""

from __future__ import annotations

import re

import pytest

from amply_capacity import errors
from amply_capacity.errors import AmplyError, UnknownName


def drawn_parents() -> dict[str, str]:
    """Class to parent, from the tree in the module's docstring: four characters of drawing to a level."""
    parents, path = {}, ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+) {2,}\S", line)
        if found:
            depth = len(found[1]) // 4
            parents[found[2]] = path[depth]
            path[depth + 1:] = [found[2]]
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {name: one.__base__.__name__ for name, one in vars(errors).items()
            if isinstance(one, type) and issubclass(one, AmplyError)}
    assert drawn_parents() == real
    assert set(errors.__all__) == set(real)


def test_an_error_reads_as_what_got_and_do() -> None:
    error = AmplyError("the port is taken", got="127.0.0.1:6379 is in use", do="choose another --port")
    assert str(error) == "the port is taken. Got: 127.0.0.1:6379 is in use. Do: choose another --port."
    assert (error.what, error.got, error.do) == (
        "the port is taken", "127.0.0.1:6379 is in use", "choose another --port")
    assert str(AmplyError("it failed.", do="try again.")) == "it failed. Do: try again."


def test_every_error_is_bad_input_to_the_shell() -> None:
    assert {getattr(errors, name).exit_code for name in errors.__all__} == {2}


@pytest.mark.parametrize(("name", "nearest"), [
    ("us-eest-1", "us-east-1"), ("EU-WEST-1", "eu-west-1"), ("uswest2", "us-west-2")])
def test_an_unknown_name_is_offered_the_nearest_first(name: str, nearest: str) -> None:
    error = UnknownName("region", name, ["us-east-1", "us-west-2", "eu-west-1", "ap-south-1"])
    assert error.do is not None
    assert error.do.startswith(f"use one of {nearest}")
    assert repr(name) in str(error)


def test_a_name_like_none_is_offered_the_first_few_and_where_all_are() -> None:
    error = UnknownName("node type", "qqq", [f"cache.{number}" for number in range(9)], see="`list`")
    first_six = ", ".join(f"cache.{number}" for number in range(6))
    assert error.do == f"use one of {first_six} (`list` lists all 9)"
