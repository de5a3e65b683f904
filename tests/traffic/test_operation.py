from __future__ import annotations

import pytest

from amply_capacity.traffic.operation import OK, Compute, Operation, Pipeline, play


def _every_kind_of_step() -> Operation:
    first = yield ("GET", "a")
    second = yield Pipeline((("GET", "b"), ("GET", "c")))
    third = yield Compute(0.5)
    return f"{first} {second} {third}"


def _cleaning_up(closed: list[bool]) -> Operation:
    try:
        yield ("GET", "a")
    finally:
        closed.append(True)
    return OK


def test_each_step_gets_the_reply_of_its_kind() -> None:
    outcome, steps = play(_every_kind_of_step(), lambda command: str(command[1]).upper())
    assert outcome == "A ['B', 'C'] None"
    assert steps == (("GET", "a"), Pipeline((("GET", "b"), ("GET", "c"))), Compute(0.5))


@pytest.mark.parametrize("fault", [KeyError("a"), StopIteration("not an outcome")])
def test_a_failing_answer_reaches_the_caller_and_closes_the_operation(fault: Exception) -> None:
    closed: list[bool] = []

    def answer(_command: object) -> None:
        raise fault

    with pytest.raises(type(fault)):
        play(_cleaning_up(closed), answer)
    assert closed == [True]
