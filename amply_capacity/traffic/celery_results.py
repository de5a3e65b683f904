"""Use case 4, Celery's result backend: the commands of celery's own RedisBackend with `result_expires` 3600.

Source: celery 5.7.0, `celery/backends/base.py` (BaseKeyValueStoreBackend._store_result, _get_result_meta,
_forget) and `celery/backends/redis.py` (RedisBackend._set). `AsyncResult.get()` adds to the GET a SUBSCRIBE
to the key's channel before it and an UNSUBSCRIBE after it, on a connection of its own; those are not driven.

On Redis Cluster the transaction of SETEX and PUBLISH holds on the server that serves the key's slot: a
channel has no slot. Elsewhere Redis answers MOVED, and Celery's backend, which speaks to the one server that
it is given and follows no redirection, cannot store the result; ours goes where the driver routes it.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from .moments import utc_text
from .operation import HIT, MISS, OK, Operation, Pipeline

__all__ = [
    "RESULT_EXPIRES_SECONDS",
    "TASK_KEY_PREFIX",
    "forget",
    "get",
    "meta",
    "return_value",
    "store_result",
]

TASK_KEY_PREFIX = "celery-task-meta-"
RESULT_EXPIRES_SECONDS = 3600


def meta(task_id: str, value: Any, done_s: float) -> str:
    """The JSON of a task that was done at `done_s` (Unix time), without children, in celery's order."""
    return json.dumps(
        {
            "status": "SUCCESS",
            "result": value,
            "traceback": None,
            "children": [],
            "date_done": utc_text(done_s) + "+00:00",
            "task_id": task_id,
        }
    )


def store_result(
    task_id: str, value: Any, done_s: float, expires: int = RESULT_EXPIRES_SECONDS
) -> Operation:
    """Store what a task returned and publish it to whoever waits, in one transaction.

    Celery reads the key first, and leaves a result that already says SUCCESS as it is.
    """
    key = TASK_KEY_PREFIX + task_id
    present = yield ("GET", key)
    if present and json.loads(present)["status"] == "SUCCESS":
        return OK
    data = meta(task_id, value, done_s)
    yield Pipeline((("MULTI",), ("SETEX", key, expires, data), ("PUBLISH", key, data), ("EXEC",)))
    return OK


def get(task_id: str) -> Operation:
    """Look up a task's result once (`AsyncResult.state` or `.result`): hit, or miss if it is not finished."""
    return HIT if (yield ("GET", TASK_KEY_PREFIX + task_id)) else MISS


def forget(task_id: str) -> Operation:
    """Drop a task's result (`AsyncResult.forget`)."""
    yield ("DEL", TASK_KEY_PREFIX + task_id)
    return OK


def return_value(random: Random) -> Any:
    """What one of Amply's tasks returns: nothing, a short summary, or the whereabouts of a file it wrote.

    An assumption (the spec names no task): 40 % nothing, 40 % a summary of 60 to 70 bytes, 20 % a file of
    about 200.
    """
    kind = random.random()
    if kind < 0.4:
        return None
    if kind < 0.8:
        sent = random.randint(1, 5_000)
        return {"sent": sent, "failed": sent // 97, "duration_ms": random.randint(40, 9_000)}
    export = f"{random.getrandbits(64):016x}"
    return {
        "export_id": f"exp_{export}",
        "bucket": "amply-prod-exports",
        "object": f"organisations/{random.getrandbits(32):08x}/{export}.csv",
        "rows": random.randint(10, 200_000),
        "bytes": random.randint(4_000, 80_000_000),
    }
