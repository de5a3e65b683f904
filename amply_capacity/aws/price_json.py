"""An element of AWS' price list as JSON: its parts, which may be missing, its amounts and its date."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["decoded", "dollars", "iso_date", "mapping", "offers"]

_MOST_USD = Decimal(10**9)


def decoded(element: object) -> Mapping[str, Any]:
    """The element, a JSON string or an object; empty where it is neither."""
    if isinstance(element, str):
        try:
            element = json.loads(element)
        except ValueError:
            return {}
    return element if isinstance(element, dict) else {}


def mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """That part of it; empty where it is missing, or of another kind."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def offers(terms: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each offer with its kind, `OnDemand` or `Reserved`."""
    for kind, found in terms.items():
        for code in found if isinstance(found, dict) else ():
            yield kind, mapping(found, code)


def dollars(text: object) -> Decimal | None:
    """None where it is no amount."""
    try:
        usd = Decimal(str(text))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and 0 <= usd < _MOST_USD else None


def iso_date(text: object) -> str:
    """`2025-06-24` of `2025-06-24T13:06:39Z`; empty where there is no date."""
    try:
        return date.fromisoformat(str(text)[:10]).isoformat()
    except ValueError:
        return ""
