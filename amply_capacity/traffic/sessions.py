"""Use case 1, session storage: the spec's six functions, command by command.

A session is `session:{session_id}` (JSON, 7 days); `user_sessions:{user_id}` is the set of a user's session
ids. The set has no TTL: a session that expires leaves its member behind until `list_active` or
`log_out_everywhere` meets it.

The specification's one DEL over all of a user's sessions fails on Redis Cluster, where its keys lie in
several slots (CROSSSLOT). What else is here names one key a command, and works on a cluster as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, TypeAlias

from .moments import utc_text
from .operation import HIT, MISS, OK, Operation, Pipeline

__all__ = [
    "MULTI_KEY_FORMS",
    "SESSION_PREFIX",
    "SESSION_TTL_SECONDS",
    "USER_SESSIONS_PREFIX",
    "MultiKey",
    "create",
    "list_active",
    "log_out",
    "log_out_everywhere",
    "payload",
    "touch",
    "validate",
    "with_last_activity",
]

SESSION_PREFIX = "session:"
USER_SESSIONS_PREFIX = "user_sessions:"
SESSION_TTL_SECONDS = 86_400 * 7

MultiKey: TypeAlias = Literal["spec", "per-key", "hash-tag"]
"""How a user's sessions are deleted together.

    spec       one DEL over all of them, as the specification does: CROSSSLOT on Redis Cluster
    per-key    a DEL a session, all in one pipeline
    hash-tag   the specification's commands on other names: `session:ses_{usr_…}…` and
               `user_sessions:{usr_…}` share the user's slot (Redis Cluster specification, hash tags)

A hash tag of a 12-character user id makes each session's key and each index entry 14 bytes longer and the
index's key 2. With their string's header and end (sds.h: 4 bytes) a key then takes 54 bytes instead of 40, an
entry 46 instead of 32; jemalloc rounds each of the two up to 16 more: 32 bytes a session.
"""
MULTI_KEY_FORMS: tuple[MultiKey, ...] = ("spec", "per-key", "hash-tag")

_LAST_ACTIVITY = '"last_activity": "'


def payload(
    user_id: str,
    security_stamp: str,
    client: Mapping[str, str],
    ip_binding: str,
    created_s: float,
    active_s: float | None = None,
) -> str:
    """The JSON of a session, fields in the spec's order (about 470 to 560 bytes).

    Created and last active at those moments of Unix time; active when created unless given.
    `client` has ip_address, ip_country, user_agent and fingerprint.
    """
    created = utc_text(created_s)
    return json.dumps(
        {
            "user_id": user_id,
            "security_stamp": security_stamp,
            "ip_binding": ip_binding,
            "created_at": created,
            "last_activity": created if active_s is None else utc_text(active_s),
            "expires_at": utc_text(created_s + SESSION_TTL_SECONDS),
            "client": client,
        }
    )


def with_last_activity(data: str, now: str) -> str:
    """Session JSON with a new `last_activity`: what loading, setting and dumping gives, byte for byte.

    `now` is naive UTC in ISO 8601.
    """
    at = data.find(_LAST_ACTIVITY)
    if at < 0:
        return json.dumps({**json.loads(data), "last_activity": now})
    # Splicing costs a tenth of a JSON round trip. A value cannot hold the mark: its quotes would be escaped.
    start = at + len(_LAST_ACTIVITY)
    return data[:start] + now + data[data.index('"', start):]


def create(session_id: str, user_id: str, data: str) -> Operation:
    """Store a new session of JSON `data` and add it to its user's index (the spec's create_session)."""
    yield ("SETEX", SESSION_PREFIX + session_id, SESSION_TTL_SECONDS, data)
    yield ("SADD", USER_SESSIONS_PREFIX + user_id, session_id)
    return OK


def validate(session_id: str) -> Operation:
    """Read a session, as every request does (get_session): hit or miss."""
    return HIT if (yield ("GET", SESSION_PREFIX + session_id)) else MISS


def touch(session_id: str, now: str) -> Operation:
    """Rewrite a session with a new last_activity (update_session_activity): hit, or miss if it is gone.

    The TTL read is the TTL written, so a session lives 7 days from its creation however active it is. As in
    the spec, a session that expires between GET and TTL is written with a TTL of -2, which Redis answers with
    an error.
    """
    key = SESSION_PREFIX + session_id
    data = yield ("GET", key)
    if not data:
        return MISS
    ttl_seconds = yield ("TTL", key)
    yield ("SETEX", key, ttl_seconds, with_last_activity(data, now))
    return HIT


def log_out(session_id: str, user_id: str) -> Operation:
    """Delete one session and its index entry (delete_session)."""
    yield ("DEL", SESSION_PREFIX + session_id)
    yield ("SREM", USER_SESSIONS_PREFIX + user_id, session_id)
    return OK


def list_active(user_id: str) -> Operation:
    """Read every session of a user, in the index's reply order, removing entries whose session is gone.

    The spec's get_user_sessions: one GET a member in sequence, and an SREM after each that found nothing.
    """
    index = USER_SESSIONS_PREFIX + user_id
    for session_id in (yield ("SMEMBERS", index)):
        if not (yield ("GET", SESSION_PREFIX + session_id)):
            yield ("SREM", index, session_id)
    return OK


def log_out_everywhere(user_id: str, multi_key: MultiKey = "spec") -> Operation:
    """Delete a user's sessions, then the index if it is not empty (delete_all_user_sessions).

    In one DEL for all sessions, or in a pipeline with a DEL each. The index goes last in either: where a
    deletion fails, it still lists what is left.
    """
    index = USER_SESSIONS_PREFIX + user_id
    session_ids = yield ("SMEMBERS", index)
    if session_ids:
        keys = [SESSION_PREFIX + session_id for session_id in session_ids]
        yield Pipeline(tuple(("DEL", key) for key in keys)) if multi_key == "per-key" else ("DEL", *keys)
        yield ("DEL", index)
    return OK
