"""YAML and JSON texts as settings that know their lines; all that is wrong with one, at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from amply_capacity.ops.setting import Fault, Setting

__all__ = ["read_json", "read_yaml"]

_MOST_VALUES = 200_000
_TAG, _MERGE = "tag:yaml.org,2002:", "tag:yaml.org,2002:merge"
_SHORT_FORMS = {"!Ref": "Ref", "!Condition": "Condition"}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_JSON_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
                          r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<other>\\.)", re.DOTALL)
# JSON may have these where YAML ends a line, or takes no character at all.
_JSON_BLANKS = {ord(character): " " for character in "\t\x85\u2028\u2029\ufeff\x7f"}


def read_yaml(text: str, faults: list[Fault], first_line: int = 1) -> list[Setting]:
    """One setting for each document of the text, empty ones left out.

    Nothing is constructed but texts, lists and mappings. CloudFormation's short forms become the long ones:
    `!GetAtt a.b` is `{Fn::GetAtt: a.b}`. Faults are added: a syntax error (the first of the text), keys that
    stand twice in a mapping, and keys that are no text.
    """
    try:
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
        reader = _Reader(faults, first_line)
        found = [reader.setting(node) for node in nodes if node is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.append(Fault(first_line + (mark.line if mark else 0), f"no YAML: {error.problem}"))
        return []
    except yaml.YAMLError as error:  # of the reader: a character that no YAML may have
        reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
        faults.append(Fault(first_line, f"no YAML: {reason}"))
        return []
    except (_TooMuch, RecursionError):
        faults.append(Fault(first_line, f"no configuration: more than {_MOST_VALUES:,} values, or nested "
                                        "too deep"))
        return []
    return [one for one in found if one.value is not None]


def read_json(text: str, faults: list[Fault]) -> list[Setting]:
    """The text's one value; faults as of `read_yaml`, of which JSON is all but a subset."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        faults.append(Fault(error.lineno, f"no JSON: {error.msg}, column {error.colno}"))
        return []
    except RecursionError:
        faults.append(Fault(1, "no configuration: nested too deep"))
        return []
    return read_yaml(_JSON_ESCAPE.sub(_character, text).translate(_JSON_BLANKS), faults)


def _character(escape: re.Match[str]) -> str:
    """JSON writes what lies beyond 16 bits as two halves, which YAML does not know."""
    if escape["other"]:
        return escape[0]
    return "\ufffd" if escape["half"] else str(json.loads(f'"{escape[0]}"'))


class _TooMuch(Exception):
    """Aliases of aliases can stand for more values than memory holds."""


class _Reader:
    def __init__(self, faults: list[Fault], first_line: int) -> None:
        self._faults, self._first_line, self._left = faults, first_line, _MOST_VALUES

    def setting(self, node: yaml.Node, line: int | None = None) -> Setting:
        self._left -= 1
        if self._left < 0:
            raise _TooMuch
        line = self._line(node) if line is None else line
        value: Any
        if isinstance(node, yaml.ScalarNode):
            is_null = node.tag == f"{_TAG}null"
            value = None if is_null else str(node.value)
        elif isinstance(node, yaml.SequenceNode):
            value = tuple(self.setting(item) for item in node.value)
        else:
            value = self._entries(node)
        if node.tag.startswith("!") and node.tag != "!":
            name = _SHORT_FORMS.get(node.tag, f"Fn::{node.tag[1:]}")
            return Setting({name: Setting(value, line)}, line)
        return Setting(value, line)

    def _entries(self, node: yaml.Node) -> Mapping[str, Setting]:
        found: dict[str, Setting] = {}
        merged: dict[str, Setting] = {}
        for key, value in node.value:
            line = self._line(key)
            if not isinstance(key, yaml.ScalarNode):
                self._faults.append(Fault(line, "a key has to be a text, not a list or a mapping"))
                continue
            if key.tag == _MERGE:
                for one in self.setting(value).items:
                    merged = {**one.entries, **merged}
                continue
            name = str(key.value)
            if name in found:
                self._faults.append(Fault(line, f"{name} stands twice, first on line {found[name].line}"))
            found[name] = self.setting(value, line)
        return {**merged, **found}

    def _line(self, node: yaml.Node) -> int:
        return self._first_line + int(node.start_mark.line)
