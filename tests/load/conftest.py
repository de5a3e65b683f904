"""Waiting in gevent's loop, in tests."""

from __future__ import annotations

import gevent
import pytest


@pytest.fixture(autouse=True)
def _clock_of_the_loop() -> None:
    """It stands while no test runs the loop: by an old one, a time-out is over before anybody waits."""
    gevent.get_hub().loop.update_now()
