"""The chosen cluster as Terraform JSON: the same resources as in CloudFormation.

The AUTH token is made by Secrets Manager as an ephemeral value, and goes into the secret and the group by
write-only arguments, so that it is in no state and no plan file. Release 6.62 of the AWS provider has
`auth_token_wo`, 6.50 has not yet (terraform-provider-aws, pull request 49268).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from amply_capacity.ops.alarm import NAMESPACE
from amply_capacity.ops.export_alarms import (
    Dimensions,
    PlacedAlarm,
    description,
    number,
    of_node,
    parts_of,
    placed,
    statistic_of,
)
from amply_capacity.ops.export_blueprint import PORT, TAGS, Blueprint
from amply_capacity.ops.export_dashboard import dashboard_body

__all__ = ["PROVIDER_VERSION", "TERRAFORM_VERSION", "TOKEN", "TOKEN_SOURCE", "TOKEN_VERSION",
           "alarm_arguments", "preamble", "secret_resources", "terraform", "variables"]

PROVIDER_VERSION, TERRAFORM_VERSION = "~> 6.62", ">= 1.11.0"
TOKEN = "${ephemeral.aws_secretsmanager_random_password.auth.random_password}"
TOKEN_VERSION = "${var.auth_token_version}"
TOKEN_SOURCE: dict[str, Any] = {"aws_secretsmanager_random_password": {
    "auth": {"password_length": 64, "exclude_punctuation": True}}}
_GROUP_ID = "${aws_elasticache_replication_group.redis.id}"
_NAME = "redis"


def terraform(made: Blueprint) -> dict[str, Any]:
    """The configuration, to be written as `main.tf.json`."""
    return {
        **preamble(made.words, made.provenance, made.region, TAGS),
        "variable": {
            **variables(made.cluster_id, made.engine_version,
                        f"Version of {made.engine}, of the family {made.family}"),
            "snapshot_name": {
                "type": "string", "default": None,
                "description": "Backup to begin with, or null; another one makes another group"},
        },
        "ephemeral": TOKEN_SOURCE,
        "resource": {
            **secret_resources(),
            "aws_elasticache_parameter_group": {_NAME: {
                "name": "${var.cluster_id}", "family": made.family,
                "description": "Settings of ${var.cluster_id}",
                "parameter": [{"name": name, "value": value} for name, value in made.parameters.items()]}},
            "aws_elasticache_subnet_group": {_NAME: {
                "name": "${var.cluster_id}", "description": "Subnets of ${var.cluster_id}",
                "subnet_ids": "${var.subnet_ids}"}},
            "aws_elasticache_replication_group": {_NAME: _group(made)},
            "aws_cloudwatch_metric_alarm": _alarms(made),
            "aws_cloudwatch_dashboard": {_NAME: {
                "dashboard_name": "${var.cluster_id}", "dashboard_body": _dashboard(made)}},
        },
        "output": _outputs(made),
    }


def _alarms(made: Blueprint) -> dict[str, Any]:
    dimensions = {member: of_node(f"{_GROUP_ID}-{member}") for member in made.members}
    return {one.name.replace("-", "_"): alarm_arguments(one, dimensions) for one in placed(made)}


def _dashboard(made: Blueprint) -> str:
    body = dashboard_body([of_node(f"{_GROUP_ID}-{member}") for member in made.members], made.region,
                          made.alarms)
    return json.dumps(body, separators=(",", ":"))


def preamble(what: str, provenance: Mapping[str, str], region: str,
             tags: Mapping[str, str]) -> dict[str, Any]:
    """Versions and provider, with the plan that it was made from."""
    return {
        "//": f"{what}; made by amply-capacity export from {json.dumps(dict(provenance))}",
        "terraform": {
            "required_version": TERRAFORM_VERSION,
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}},
        },
        "provider": {"aws": {"region": region, "default_tags": {"tags": dict(sorted(tags.items()))}}},
    }


def secret_resources() -> dict[str, Any]:
    """The secret that holds the token."""
    return {
        "aws_secretsmanager_secret": {"auth": {
            "name_prefix": "${var.cluster_id}-auth-",
            "description": "AUTH token of the ElastiCache cache ${var.cluster_id}"}},
        "aws_secretsmanager_secret_version": {"auth": {
            "secret_id": "${aws_secretsmanager_secret.auth.id}",
            "secret_string_wo": "${jsonencode({token = ephemeral.aws_secretsmanager_random_password.auth"
                                ".random_password})}",
            "secret_string_wo_version": TOKEN_VERSION}},
    }


def variables(cluster_id: str, version: str, version_is: str) -> dict[str, Any]:
    """What whoever deploys it may set, or has to."""
    return {
        "cluster_id": {"type": "string", "default": cluster_id,
                       "description": "Id of the cache; it shows in public certificate logs"},
        "engine_version": {"type": "string", "default": version, "description": version_is},
        "subnet_ids": {"type": "list(string)", "description": "Private subnets"},
        "security_group_ids": {"type": "list(string)",
                               "description": f"Security groups that let the application in on port {PORT}"},
        "alarm_topic_arn": {"type": "string", "description": "ARN of the SNS topic that alarms are sent to"},
        "auth_token_version": {"type": "number", "default": 1,
                               "description": "Raise it to replace the AUTH token, here and in the secret"},
    }


def _group(made: Blueprint) -> dict[str, Any]:
    group: dict[str, Any] = {
        "replication_group_id": "${var.cluster_id}",
        "description": made.description,
        "engine": made.engine,
        "engine_version": "${var.engine_version}",
        "node_type": made.node.name,
        "num_node_groups": made.shards,
        "replicas_per_node_group": made.replicas,
        "automatic_failover_enabled": made.has_failover or made.is_sharded,
        "multi_az_enabled": made.has_failover,
        "at_rest_encryption_enabled": True,
        "transit_encryption_enabled": True,
        "auth_token_wo": TOKEN,
        "auth_token_wo_version": TOKEN_VERSION,
        "port": PORT,
        "parameter_group_name": "${aws_elasticache_parameter_group.redis.name}",
        "subnet_group_name": "${aws_elasticache_subnet_group.redis.name}",
        "security_group_ids": "${var.security_group_ids}",
        "snapshot_name": "${var.snapshot_name}",
        "snapshot_retention_limit": made.snapshot_days,
        "snapshot_window": made.snapshot_window,
        "maintenance_window": made.maintenance_window,
        "final_snapshot_identifier": "${var.cluster_id}-final",
        # What restarts nodes waits for the maintenance window.
        "apply_immediately": False,
        "lifecycle": {"prevent_destroy": True},
    }
    if made.node.has_data_tiering:
        group["data_tiering_enabled"] = True
    return group


def alarm_arguments(one: PlacedAlarm, dimensions: Mapping[str, Dimensions]) -> dict[str, Any]:
    """Of an `aws_cloudwatch_metric_alarm` where cluster_id and alarm_topic_arn are variables."""
    alarm = one.alarm
    return {
        "alarm_name": f"${{var.cluster_id}}-{one.name}",
        "alarm_description": _literal(description(alarm)),
        **_watched(one, dimensions),
        "evaluation_periods": alarm.evaluation_periods,
        "datapoints_to_alarm": alarm.datapoints_to_alarm,
        "threshold": number(alarm.threshold),
        "comparison_operator": alarm.comparison,
        "treat_missing_data": alarm.missing,
        "alarm_actions": ["${var.alarm_topic_arn}"],
        "ok_actions": ["${var.alarm_topic_arn}"],
    }


def _watched(one: PlacedAlarm, dimensions: Mapping[str, Dimensions]) -> dict[str, Any]:
    alarm = one.alarm
    parts, expression = parts_of(one)
    if expression is None:
        (metric, member), = parts.values()
        return {"namespace": NAMESPACE, "metric_name": metric, "dimensions": dict(dimensions[member]),
                "statistic": alarm.statistic, "period": alarm.period_s}
    queries: list[dict[str, Any]] = [
        {"id": "e1", "label": alarm.what, "expression": expression, "return_data": True}]
    queries += [{"id": query_id, "return_data": False, "metric": [{
        "namespace": NAMESPACE, "metric_name": metric, "dimensions": dict(dimensions[member]),
        "period": alarm.period_s, "stat": statistic_of(alarm, metric)}]}
        for query_id, (metric, member) in parts.items()]
    return {"metric_query": queries}


def _literal(text: str) -> str:
    """With what Terraform would take for a template of its own written twice."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _outputs(made: Blueprint) -> dict[str, Any]:
    group = "aws_elasticache_replication_group.redis"
    found: dict[str, Any] = {"auth_secret_arn": {"value": "${aws_secretsmanager_secret.auth.arn}",
                                                 "description": "Where the AUTH token lies, under token"}}
    if made.is_sharded:
        found["configuration_endpoint"] = {"value": f"${{{group}.configuration_endpoint_address}}",
                                           "description": "For clients of Redis Cluster"}
        return found
    found["primary_endpoint"] = {"value": f"${{{group}.primary_endpoint_address}}",
                                 "description": "For writes, and reads that must be the newest"}
    if made.replicas:
        found["reader_endpoint"] = {"value": f"${{{group}.reader_endpoint_address}}",
                                    "description": "For reads that may be older"}
    return found
