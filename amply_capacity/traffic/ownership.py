"""Which keys are ours: those whose identifiers bear the mark that no real one can (`identifiers`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from .cache import CACHE_PREFIX
from .celery_results import TASK_KEY_PREFIX
from .identifiers import MARK, TASK_ID_START
from .rate_limit import RATE_LIMIT_PREFIX
from .sessions import SESSION_PREFIX, USER_SESSIONS_PREFIX

__all__ = ["OWN_KEYS", "is_own"]

_NUMBER = f"_{MARK}[0-9a-f]{{7}}"
_SECRET = f"{MARK * 2}[0-9a-f]{{22}}"
_USER_TAG = rf"\{{usr{_NUMBER}\}}"
_TASK_ID = f"{TASK_ID_START}-[0-9a-f]{{4}}-8[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"

OWN_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "sessions": rf"{SESSION_PREFIX}ses_(?:{_USER_TAG})?{_SECRET}",
        "user_sessions": rf"{USER_SESSIONS_PREFIX}(?:usr{_NUMBER}|{_USER_TAG})",
        "counters": rf"{RATE_LIMIT_PREFIX}api:key_{_SECRET}",
        "cached": rf"{CACHE_PREFIX}org:stats:org{_NUMBER}",
        "results": f"{TASK_KEY_PREFIX}{_TASK_ID}",
    }
)
"""The regular pattern of our keys, whole, by the class's name in the pre-fill."""

_OWN = re.compile("|".join(OWN_KEYS.values()))


def is_own(key: str) -> bool:
    """Whether the traffic made this key; False for every key of a real application.

    Example: `is_own("session:ses_~~0123456789abcdef012345")` is True, `is_own("session:ses_1")` False.
    """
    return _OWN.fullmatch(key) is not None
