"""The spec's own functions, run as they stand in the document, send what our operations send.

Only this is put right: replies are decoded, the cache key is formatted, `cached`, which the document declares
`async`, is a plain decorator, and the document's INCR is not spelled INCRBY, as redis-py does.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from amply_capacity.traffic import cache, rate_limit, sessions
from amply_capacity.traffic.operation import Command, Compute, Operation, play

from .conftest import NOW, NOW_S

SPEC = Path(__file__).resolve().parents[3] / "shared" / "spec" / "elasticache-redis.md"
FUNCTIONS = {
    "create_session", "get_session", "update_session_activity", "delete_session", "get_user_sessions",
    "delete_all_user_sessions", "check_rate_limit", "cached",
}
CLIENT = {"ip_address": "84.146.7.9", "ip_country": "DE", "user_agent": "Firefox", "fingerprint": "f" * 32}
DATA = sessions.payload("usr_1", "5" * 32, CLIENT, "country", NOW_S)

pytestmark = [
    pytest.mark.skipif(not SPEC.exists(), reason=f"{SPEC.name} is not beside the checkout"),
    # The spec calls a method of redis-py that redis-py wants replaced by SET … EX; it still sends SETEX.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

Answer = Callable[[Command], Any]


class FixedClock:
    """Stands for the spec's `datetime`: both sides write the same time."""

    @staticmethod
    def utcnow() -> datetime:
        return NOW


class Recorder(redis.asyncio.Redis):
    """redis-py's own translation of calls into commands, noted and answered instead of sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(decode_responses=True)
        self.answer, self.sent = answer, list[Command]()

    async def execute_command(self, *args: Any, **_options: Any) -> Any:
        if args[0] == "INCRBY" and args[2] == 1:
            args = ("INCR", args[1])
        self.sent.append(args)
        return self.answer(args)


def spec_functions(recorder: Recorder) -> dict[str, Any]:
    namespace: dict[str, Any] = {
        "json": json, "datetime": FixedClock, "timedelta": timedelta, "redis_client": recorder,
        "generate_id": lambda prefix: f"{prefix}_new",
    }
    kept: list[ast.stmt] = []
    for block in re.findall(r"```python\n(.*?)```", SPEC.read_text("utf-8"), flags=re.DOTALL):
        for node in ast.parse(block).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.name in FUNCTIONS:
                if node.name == "cached":
                    fields = {name: getattr(node, name) for name in node._fields}
                    kept.append(ast.copy_location(ast.FunctionDef(**fields), node))
                else:
                    kept.append(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (
                node.targets[0].id.endswith(("_PREFIX", "_TTL"))
            ):
                kept.append(node)
    exec(compile(ast.Module(kept, []), str(SPEC), "exec"), namespace)
    assert set(namespace) >= FUNCTIONS
    return namespace


@pytest.fixture
def recorder(answer: Answer) -> Iterator[Recorder]:
    recording = Recorder(answer)
    yield recording
    asyncio.run(recording.aclose())


def ours(operation: Operation, answer: Answer) -> list[Command]:
    return [step for step in play(operation, answer)[1] if not isinstance(step, Compute)]  # type: ignore[misc]


def a_user_with_two_sessions(answer: Answer, stale: bool) -> None:
    for session_id in ("ses_a", "ses_b"):
        play(sessions.create(session_id, "usr_1", DATA), answer)
    if stale:
        answer(("SADD", "user_sessions:usr_1", "ses_aa"))
    answer(("EXPIRE", "session:ses_a", 1_234))


async def spec_cached(functions: dict[str, Any]) -> Any:
    async def compute_stats(org_id: str) -> dict[str, Any]:
        return cache.organisation_statistics(org_id)

    cached = functions["cached"]("org:stats:{org_id}".format(org_id="org_1"), ttl=300)
    return await cached(compute_stats)("org_1")


CASES: dict[str, tuple[Callable[[dict[str, Any]], Any], Callable[[], Operation]]] = {
    "create": (
        lambda spec: spec["create_session"]("usr_1", "5" * 32, CLIENT),
        lambda: sessions.create("ses_new", "usr_1", DATA),
    ),
    "validate": (lambda spec: spec["get_session"]("ses_a"), lambda: sessions.validate("ses_a")),
    "touch": (
        lambda spec: spec["update_session_activity"]("ses_a"),
        lambda: sessions.touch("ses_a", NOW.isoformat()),
    ),
    "log_out": (
        lambda spec: spec["delete_session"]("ses_a", "usr_1"),
        lambda: sessions.log_out("ses_a", "usr_1"),
    ),
    "list_active": (
        lambda spec: spec["get_user_sessions"]("usr_1"),
        lambda: sessions.list_active("usr_1"),
    ),
    "log_out_everywhere": (
        lambda spec: spec["delete_all_user_sessions"]("usr_1"),
        lambda: sessions.log_out_everywhere("usr_1"),
    ),
    "check": (lambda spec: spec["check_rate_limit"]("api:key_1", 300), lambda: rate_limit.check("key_1")),
    "cached_read": (spec_cached, lambda: cache.cached_read("org_1", cache.organisation_statistics)),
}


@pytest.mark.parametrize("state", ["empty", "two sessions", "two sessions and a stale entry"])
@pytest.mark.parametrize("name", CASES)
def test_an_operation_sends_what_the_specs_function_sends_twice_in_a_row(
    name: str, state: str, recorder: Recorder, answer: Answer
) -> None:
    theirs, operation = CASES[name]
    functions = spec_functions(recorder)
    sent: list[Command] = []
    for play_once in (lambda: asyncio.run(theirs(functions)), lambda: sent.extend(ours(operation(), answer))):
        answer(("FLUSHALL",))
        if state != "empty":
            a_user_with_two_sessions(answer, stale="stale" in state)
        play_once()
        play_once()
    assert sent == recorder.sent
    assert len(sent) >= 2


def test_the_decorator_as_written_shares_one_key_among_all_organisations(recorder: Recorder) -> None:
    async def compute_stats(org_id: str) -> str:
        return org_id

    read = spec_functions(recorder)["cached"]("org:stats:{org_id}", ttl=300)(compute_stats)
    assert asyncio.run(read("org_1")) == "org_1"
    assert asyncio.run(read("org_2")) == "org_1"
    assert {command[1] for command in recorder.sent} == {"cache:org:stats:{org_id}"}
