"""The IAM policy: each call that the code makes stands in it, no other does, and all else is denied."""

from __future__ import annotations

import ast
import json
import re
from functools import cache

from botocore.loaders import Loader
from botocore.model import ServiceModel

from amply_capacity.aws.policy import (
    CALLS,
    CONNECT,
    DECRYPT,
    DRILL,
    policy,
    policy_text,
    statement_line,
)
from amply_capacity.files import ROOT

SOURCES = sorted((ROOT / "amply_capacity").rglob("*.py"))
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:amply/redis-AbCdEf"
GROUP = "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:amply-test"
DOCUMENT = ROOT / "docs" / "iam-policy.json"


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


@cache
def operations(service: str) -> dict[str, str]:
    """IAM's action by the name that boto3 calls it."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"))
    return {snake(name): f"{service}:{name}" for name in model.operation_names}


def clients_made() -> set[str]:
    """Services that `client("…")` names anywhere in the package."""
    found = set()
    for path in SOURCES:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "client(" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "client" and node.args and (
                    isinstance(node.args[0], ast.Constant)):
                found.add(str(node.args[0].value))
    return found


@cache
def calls_made() -> frozenset[str]:
    """Every call of boto3 that the code names: as a method, or in quotes for a paginator or getattr."""
    known = {name: action for service in {*clients_made(), *CALLS}
             for name, action in operations(service).items()}
    found = set()
    for path in SOURCES:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if known.keys() & set(re.findall(r"\w+", text)) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.add(node.func.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(known[name] for name in found & set(known))


def allowed(document: dict) -> set[str]:
    return {action for one in document["Statement"] if one["Effect"] == "Allow" for action in one["Action"]}


def test_every_call_in_the_code_is_allowed_and_no_other() -> None:
    assert clients_made() <= {"cloudwatch", "elasticache", "pricing", "secretsmanager", "ec2"}
    assert calls_made() == allowed(policy(drill=(GROUP,))) - {DECRYPT}
    assert DRILL not in allowed(policy()), "who holds no drill needs no such right"


def test_all_else_is_denied_whatever_others_allow() -> None:
    for document in (policy(), policy(SECRET), policy(connect=("arn:b", "arn:a")), policy(drill=(GROUP,))):
        (denied,) = [one for one in document["Statement"] if "NotAction" in one]
        assert denied["Effect"] == "Deny"
        assert set(denied["NotAction"]) == allowed(document)
        assert denied["Resource"] == "*"


def test_nothing_that_writes_is_allowed_and_every_action_exists() -> None:
    for action in allowed(policy()) - {DECRYPT}:
        service, name = action.split(":")
        assert name.startswith(("Describe", "Get", "List"))
        assert action in operations(service).values()


def test_the_secret_is_one_and_not_any() -> None:
    def resource(document: dict) -> str:
        return next(one["Resource"] for one in document["Statement"] if one["Sid"] == "ReadTheToken")

    assert resource(policy(SECRET)) == SECRET
    assert resource(policy()) == "arn:aws:secretsmanager:*:*:secret:amply/*"


def test_secrets_manager_may_decrypt_the_token_in_our_name_and_nothing_else_may() -> None:
    of_key = [one for one in policy(SECRET)["Statement"] if one.get("Action") == [DECRYPT]]
    assert [(one["Effect"], one["Condition"]) for one in of_key] == [
        ("Allow", {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}),
        ("Deny", {"StringNotLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}})]
    assert DECRYPT in operations("kms").values()


def test_connecting_by_iam_is_allowed_only_where_it_is_asked_for() -> None:
    assert CONNECT not in allowed(policy())
    document = policy(connect=("arn:user", "arn:cache"))
    assert CONNECT in allowed(document)
    assert next(one["Resource"] for one in document["Statement"] if one["Sid"] == "ConnectToTheCache") == [
        "arn:cache", "arn:user"]


def test_the_line_of_a_statement_is_one_of_the_policy() -> None:
    assert json.loads(statement_line("cloudwatch:GetMetricData"))["Resource"] == "*"
    assert "secret:amply/*" in statement_line("secretsmanager:GetSecretValue")
    line = json.loads(statement_line(DECRYPT))
    (statement,) = [one for one in policy()["Statement"] if one["Sid"] == "DecryptTheToken"]
    assert {**line, "Sid": "DecryptTheToken", "Action": [line["Action"]]} == statement


def test_the_document_that_ships_is_the_one_that_is_printed() -> None:
    """Refresh: amply-capacity aws policy --out docs/iam-policy.json."""
    assert DOCUMENT.read_text() == policy_text(policy())
