"""The IAM policy of the toolkit: the calls that it makes, and nothing else, not even what others allow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CALLS", "CONNECT", "DECRYPT", "DRILL", "SECRETS", "policy", "policy_text", "statement_line"]

CALLS: Mapping[str, tuple[str, ...]] = {
    "cloudwatch": ("DescribeAlarms", "GetMetricData", "ListMetrics"),
    "elasticache": ("DescribeCacheClusters", "DescribeCacheEngineVersions", "DescribeCacheParameters",
                    "DescribeEvents", "DescribeReplicationGroups", "DescribeReservedCacheNodes"),
    "ec2": ("DescribeSecurityGroups",),
    "pricing": ("GetProducts",),
    "secretsmanager": ("GetSecretValue",),
}
"""Each call that only reads, by the service's prefix in IAM; a test holds the code against it."""
DRILL = "elasticache:TestFailover"
"""The one call that does something: a failover drill, on a group that its owner has marked for it."""
CONNECT = "elasticache:Connect"
"""No call: what a signed token as a Redis password has to be allowed."""
SECRETS = "secretsmanager:GetSecretValue"
DECRYPT = "kms:Decrypt"
"""No call: Secrets Manager decrypts the token in the caller's name.

Source: AWS Secrets Manager User Guide, "Secret encryption and decryption"."""
_VIA, _SECRETS_MANAGER = "kms:ViaService", "secretsmanager.*.amazonaws.com"
_ANY_SECRET = "arn:aws:secretsmanager:*:*:secret:amply/*"
_RESOURCE_OF_READS = "*"


def policy(secret: str | None = None, connect: Sequence[str] = (),
           drill: Sequence[str] = ()) -> dict[str, Any]:
    """The policy document.

    `secret` is the ARN of the AUTH token, without it those whose name begins with `amply/`; `connect` are the
    ARNs of a cache and of its user, for IAM authentication; `drill` those of the groups that may be failed
    over. Nothing else is allowed, and all else is denied, whatever other policies say; so is decrypting for
    any service but Secrets Manager.
    """
    reads = [action for action in _actions() if action != SECRETS]
    statements = [
        {"Sid": "ReadWhatRuns", "Effect": "Allow", "Action": reads, "Resource": _RESOURCE_OF_READS},
        {"Sid": "ReadTheToken", "Effect": "Allow", "Action": [SECRETS], "Resource": secret or _ANY_SECRET},
        {"Sid": "DecryptTheToken", "Effect": "Allow", "Action": [DECRYPT], "Resource": "*",
         "Condition": {"StringLike": {_VIA: _SECRETS_MANAGER}}},
    ]
    allowed = [*_actions(), DECRYPT]
    for name, action, resources in (("ConnectToTheCache", CONNECT, connect), ("HoldADrill", DRILL, drill)):
        if resources:
            statements.append({"Sid": name, "Effect": "Allow", "Action": [action],
                               "Resource": sorted(resources)})
            allowed.append(action)
    statements += [
        {"Sid": "DecryptNothingElse", "Effect": "Deny", "Action": [DECRYPT], "Resource": "*",
         "Condition": {"StringNotLike": {_VIA: _SECRETS_MANAGER}}},
        {"Sid": "NothingElse", "Effect": "Deny", "NotAction": sorted(allowed), "Resource": "*"},
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def policy_text(document: Mapping[str, Any]) -> str:
    """As a file."""
    return json.dumps(document, indent=2) + "\n"


def statement_line(action: str) -> str:
    """The line of a policy that allows one action.

    Example: `{"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"}`.
    """
    line: dict[str, Any] = {"Effect": "Allow", "Action": action,
                            "Resource": _ANY_SECRET if action == SECRETS else _RESOURCE_OF_READS}
    if action == DECRYPT:
        line["Condition"] = {"StringLike": {_VIA: _SECRETS_MANAGER}}
    return json.dumps(line)


def _actions() -> list[str]:
    return sorted(f"{service}:{call}" for service, calls in CALLS.items() for call in calls)
