"""The application's moments against the standard library's."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from amply_capacity.traffic.moments import utc_text


@given(st.integers(0, 4_000_000_000_000_000))
@example(1_764_000_000_000_000)
@example(1_764_000_000_999_999)
@example(1_764_000_000_000_001)
def test_a_moment_is_written_as_utcnow_writes_it(unix_us: int) -> None:
    """To the microsecond, which a float of Unix time still tells apart; a whole second has no fraction."""
    seconds, us = divmod(unix_us, 1_000_000)
    expected = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=us)
    assert utc_text(unix_us / 1e6) == expected.isoformat()
