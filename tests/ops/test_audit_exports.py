"""What the toolkit exports passes its own audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from plan_json import plan_of

from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.export_blueprint import Blueprint, blueprint_of
from amply_capacity.ops.export_cloudformation import cloudformation
from amply_capacity.ops.export_terraform import terraform

LARGE = "cache.m7g.large"
SHAPES: dict[str, dict[str, Any]] = {
    "a replica": {"chosen.node_type": LARGE}, "one node": {"chosen.replicas": 0, "chosen.node_type": LARGE},
    "shards": {"chosen.shards": 3, "chosen.node_type": LARGE},
    "shards without replicas": {"chosen.shards": 2, "chosen.replicas": 0, "chosen.node_type": LARGE},
    "burstable": {"chosen.node_type": "cache.t4g.medium"},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "export"), [("made.json", cloudformation), ("made.tf.json", terraform)])
def test_an_export_has_no_finding_but_the_price_of_redis(
        tmp_path: Path, shape: str, name: str, export: Callable[[Blueprint], dict[str, Any]]) -> None:
    made = tmp_path / name
    made.write_text(json.dumps(export(blueprint_of(plan_of(tmp_path, SHAPES[shape]))), indent=1))
    audit = audit_of(read_configuration(made), circumstances_of(today=date(2026, 11, 28)))
    assert [finding.rule for finding in audit.findings] == ["valkey-costs-less"]
