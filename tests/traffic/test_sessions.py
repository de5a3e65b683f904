from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.traffic import sessions
from amply_capacity.traffic.moments import utc_text
from amply_capacity.traffic.operation import HIT, MISS, OK, Command, Pipeline, play

from .conftest import NOW, NOW_S

CLIENT = {"ip_address": "84.146.7.9", "ip_country": "DE", "user_agent": "Firefox", "fingerprint": "f" * 32}
DATA = sessions.payload("usr_00000001", "5" * 32, CLIENT, "country", NOW_S)


def replies(*in_order: Any) -> Any:
    """An answer that gives these replies one after the other, and no more."""
    left = list(in_order)

    def answer(_command: Command) -> Any:
        return left.pop(0)

    return answer


def test_a_payload_has_the_fields_of_the_spec_in_its_order() -> None:
    loaded = json.loads(DATA)
    assert list(loaded) == [
        "user_id", "security_stamp", "ip_binding", "created_at", "last_activity", "expires_at", "client"
    ]
    assert list(loaded["client"]) == ["ip_address", "ip_country", "user_agent", "fingerprint"]
    assert loaded["created_at"] == loaded["last_activity"] == "2026-11-23T09:30:15.123456"
    assert loaded["expires_at"] == "2026-11-30T09:30:15.123456"


def test_create_stores_the_session_for_seven_days_then_indexes_it() -> None:
    outcome, steps = play(sessions.create("ses_1", "usr_1", DATA), replies("OK", 1))
    assert outcome == OK
    assert steps == (("SETEX", "session:ses_1", 604_800, DATA), ("SADD", "user_sessions:usr_1", "ses_1"))


@pytest.mark.parametrize(("reply", "outcome"), [(DATA, HIT), (None, MISS)])
def test_validate_is_one_get(reply: str | None, outcome: str) -> None:
    assert play(sessions.validate("ses_1"), replies(reply)) == (outcome, (("GET", "session:ses_1"),))


def test_touch_writes_back_the_ttl_it_read_with_a_new_last_activity() -> None:
    later_s = NOW_S + 3 * 3600.0
    outcome, steps = play(sessions.touch("ses_1", utc_text(later_s)), replies(DATA, 593_999, "OK"))
    assert outcome == HIT
    written = sessions.payload("usr_00000001", "5" * 32, CLIENT, "country", NOW_S, later_s)
    assert steps == (
        ("GET", "session:ses_1"),
        ("TTL", "session:ses_1"),
        ("SETEX", "session:ses_1", 593_999, written),
    )


def test_touch_of_a_session_that_is_gone_ends_after_the_get() -> None:
    outcome, steps = play(sessions.touch("ses_1", NOW.isoformat()), replies(None))
    assert (outcome, steps) == (MISS, (("GET", "session:ses_1"),))


def test_log_out_deletes_the_session_and_its_index_entry() -> None:
    outcome, steps = play(sessions.log_out("ses_1", "usr_1"), replies(1, 1))
    assert outcome == OK
    assert steps == (("DEL", "session:ses_1"), ("SREM", "user_sessions:usr_1", "ses_1"))


def test_list_active_reads_in_reply_order_and_removes_each_stale_entry_where_it_meets_it() -> None:
    answer = replies(["ses_b", "ses_x", "ses_a"], DATA, None, 1, DATA)
    outcome, steps = play(sessions.list_active("usr_1"), answer)
    assert outcome == OK
    assert steps == (
        ("SMEMBERS", "user_sessions:usr_1"),
        ("GET", "session:ses_b"),
        ("GET", "session:ses_x"),
        ("SREM", "user_sessions:usr_1", "ses_x"),
        ("GET", "session:ses_a"),
    )


def test_log_out_everywhere_deletes_all_sessions_at_once_then_the_index() -> None:
    outcome, steps = play(sessions.log_out_everywhere("usr_1"), replies(["ses_b", "ses_a"], 2, 1))
    assert outcome == OK
    assert steps == (
        ("SMEMBERS", "user_sessions:usr_1"),
        ("DEL", "session:ses_b", "session:ses_a"),
        ("DEL", "user_sessions:usr_1"),
    )


def test_a_deletion_per_key_is_one_pipeline_and_the_index_goes_last() -> None:
    answer = replies(["ses_b", "ses_a"], 1, 1, 1)
    outcome, steps = play(sessions.log_out_everywhere("usr_1", "per-key"), answer)
    assert outcome == OK
    assert steps == (
        ("SMEMBERS", "user_sessions:usr_1"),
        Pipeline((("DEL", "session:ses_b"), ("DEL", "session:ses_a"))),
        ("DEL", "user_sessions:usr_1"),
    )


@pytest.mark.parametrize("form", ["spec", "hash-tag"])
def test_the_spec_and_the_hash_tag_form_send_the_same_commands(form: sessions.MultiKey) -> None:
    _, steps = play(sessions.log_out_everywhere("usr_1", form), replies(["ses_b", "ses_a"], 2, 1))
    assert steps == play(sessions.log_out_everywhere("usr_1"), replies(["ses_b", "ses_a"], 2, 1))[1]


@pytest.mark.parametrize("operation", [sessions.list_active, sessions.log_out_everywhere])
def test_an_empty_index_ends_the_operation(operation: Any) -> None:
    assert play(operation("usr_1"), replies([])) == (OK, (("SMEMBERS", "user_sessions:usr_1"),))


@given(
    user_agent=st.text(),
    binding=st.sampled_from(['"last_activity": "', "country"]),
    created_s=st.floats(0.0, NOW_S),
    later=st.datetimes(max_value=NOW),
)
def test_a_new_last_activity_is_what_a_json_round_trip_would_write(
    user_agent: str, binding: str, created_s: float, later: datetime
) -> None:
    client = {**CLIENT, "user_agent": user_agent}
    data = sessions.payload("usr_1", '"last_activity": "', client, binding, created_s)
    expected = json.loads(data)
    expected["last_activity"] = later.isoformat()
    assert sessions.with_last_activity(data, later.isoformat()) == json.dumps(expected)


def test_a_session_without_last_activity_gains_one() -> None:
    assert json.loads(sessions.with_last_activity('{"user_id": "usr_1"}', NOW.isoformat())) == {
        "user_id": "usr_1",
        "last_activity": NOW.isoformat(),
    }
