"""A value of a configuration as a file has it: its text, its line, or what only the deployment knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["NOTHING", "Fault", "Setting", "Unresolved", "Value"]

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file, and where; lines count from 1."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reference, a condition or a secret: its value is not in the file."""

    text: str
    """As it is written, e.g. `Ref Cache` or `${aws_sns_topic.alarms.arn}`."""


Value: TypeAlias = "str | Unresolved | tuple[Setting, ...] | Mapping[str, Setting] | None"


@dataclass(frozen=True, slots=True)
class Setting:
    """A scalar is its text as it is written (`7.0`, `yes`); None is YAML's and JSON's null."""

    value: Value
    line: int | None = None
    """Of its key, or of itself where it has none."""

    @property
    def is_unresolved(self) -> bool:
        return isinstance(self.value, Unresolved)

    @property
    def text(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> float | None:
        """None for what is no finite number, too."""
        try:
            number = float(self.text or "")
        except ValueError:
            return None
        return number if abs(number) < float("inf") else None

    @property
    def flag(self) -> bool | None:
        word = (self.text or "").lower()
        return True if word in _TRUE else False if word in _FALSE else None

    @property
    def items(self) -> tuple[Setting, ...]:
        """Of a list; a single value is a list of one."""
        if isinstance(self.value, tuple):
            return self.value
        return () if self.value is None else (self,)

    @property
    def entries(self) -> Mapping[str, Setting]:
        """Of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else _NO_ENTRIES


_NO_ENTRIES: Mapping[str, Setting] = {}
NOTHING = Setting(None)
"""Stands for a setting that is not there."""
