"""The words that JSON schemas are written with here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["INTERVAL", "MONTH", "NUMBER", "SHARE", "TEXT", "TEXTS", "USD", "WHOLE", "array", "mapping",
           "maybe", "said", "thing"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
USD: Schema = {"type": "number", "description": "US dollars"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
MONTH: Schema = {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}


def thing(fields: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object of these fields and no others; all but the optional ones have to be there."""
    return {"type": "object", "properties": dict(fields), "additionalProperties": False,
            "required": [name for name in fields if name not in optional]}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def mapping(values: Schema, keys: Schema | None = None) -> Schema:
    """An object whose keys are names."""
    return {"type": "object", "additionalProperties": values} | ({"propertyNames": keys} if keys else {})


def maybe(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def said(schema: Schema, description: str) -> Schema:
    """With its meaning."""
    return {**schema, "description": description}


INTERVAL: Schema = said(
    thing({"low": NUMBER, "mid": NUMBER, "high": NUMBER, "confidence": SHARE}, optional=("confidence",)),
    "mid is the median; the truth lies between low and high with that confidence, 0.9 where none is said")
