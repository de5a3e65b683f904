"""What cfn-lint says of a template, mere advice as well; its rules, which take a second, are read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from cfnlint.config import ConfigMixIn
from cfnlint.decode.decode import decode_str
from cfnlint.runner import Runner, run_template_by_data

__all__ = ["lint"]


@cache
def _runner() -> Runner:
    return Runner(ConfigMixIn(include_checks=["I"], regions=["us-east-1"]))


def lint(template: Mapping[str, Any]) -> list[str]:
    """Errors, warnings and advice, each in a line."""
    content, faults = decode_str(json.dumps(template))
    runner = _runner()
    return [str(match) for match in faults or run_template_by_data(content, runner.config, runner.rules)]
