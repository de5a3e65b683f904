from __future__ import annotations

import pytest

from amply_capacity.load.knee_words import knee_words

_FOUND = {"low": 950.0, "mid": 1000.0, "high": 1050.0, "confidence": 0.9, "use_case": "sessions",
          "load_seconds": 61, "reason": "the interval is narrow enough"}


@pytest.mark.parametrize(("changed", "words"), [
    ({}, "1,000 operations/s (950–1,050 at 90 % confidence; sessions gives out first), after 61 s"),
    ({"mid": None, "high": None}, "above 950 operations/s, after"),
    ({"mid": None, "low": None}, "below 1,050 operations/s, after"),
    ({"low": None, "mid": None, "high": None}, "not found, after 61 s"),
])
def test_what_was_not_bounded_is_not_claimed(changed: dict[str, float | None], words: str) -> None:
    assert knee_words({**_FOUND, **changed}).startswith(words)
