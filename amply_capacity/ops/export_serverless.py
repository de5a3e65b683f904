"""A chosen serverless cache as CloudFormation, as Terraform JSON, its alarms alone, and the steps to it.

A serverless cache is encrypted always and has no AUTH token: users of a group log in with a name (RBAC). The
application is one user; of a Redis group the user `default`, which every group has to have, is turned off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amply_capacity.errors import BadInput
from amply_capacity.ops.alarm import Alarm
from amply_capacity.ops.alarm_derived import serverless_alarms
from amply_capacity.ops.export_alarms import (
    Dimensions,
    PlacedAlarm,
    alarm_resource,
    cluster_parameter,
    template,
    topic_parameter,
)
from amply_capacity.ops.export_blueprint import CLUSTER_ID, DESCRIPTION, TAGS
from amply_capacity.ops.export_cloudformation import (
    TOKEN,
    dashboard,
    listed_tags,
    network_parameters,
    secret,
)
from amply_capacity.ops.export_dashboard import dashboard_body
from amply_capacity.ops.export_plan import SERVERLESS, PlanFile
from amply_capacity.ops.export_terraform import TOKEN as TERRAFORM_TOKEN
from amply_capacity.ops.export_terraform import (
    TOKEN_SOURCE,
    TOKEN_VERSION,
    alarm_arguments,
    preamble,
    secret_resources,
    variables,
)

__all__ = ["USER_NAME", "ServerlessBlueprint", "serverless_alarms_template", "serverless_blueprint_of",
           "serverless_cloudformation", "serverless_terraform"]

USER_NAME = "amply"
_VERSIONS = {"redis": "7", "valkey": "8"}
_ALL, _OFF = "on ~* &* +@all", "off ~* -@all"
_VERSION_IS = "Major version of the engine"
_PASSWORD_IS = f"Where the password of the user {USER_NAME} lies, under token"
_NO_MEMBER = ""
_MOST_CHARACTERS = 32
"""Of the name: a user's id, which goes on from it, has 40 at most."""


@dataclass(frozen=True, slots=True)
class ServerlessBlueprint:
    """What is to be built; backups are made at a time of the day, UTC."""

    region: str
    engine: str
    alarms: tuple[Alarm, ...]
    provenance: Mapping[str, str]
    cluster_id: str = CLUSTER_ID
    snapshot_time: str = "04:00"
    snapshot_days: int = 7

    @property
    def major_version(self) -> str:
        return _VERSIONS[self.engine]

    @property
    def words(self) -> str:
        return f"serverless {self.engine}, {self.region}"

    @property
    def placed(self) -> tuple[PlacedAlarm, ...]:
        """One cache, and no members."""
        return tuple(PlacedAlarm(alarm, (_NO_MEMBER,), "") for alarm in self.alarms)


def serverless_blueprint_of(plan: PlanFile) -> ServerlessBlueprint:
    """Raises BadInput for a plan that chose nodes."""
    if plan.kind != SERVERLESS:
        raise BadInput("this plan chose nodes", got=plan.kind, do="export it as nodes")
    return ServerlessBlueprint(plan.region, plan.engine, serverless_alarms(plan), {
        "kind": SERVERLESS, "engine": plan.engine, "term": plan.term,
        "usdPerMonth": f"{plan.usd_per_month:.2f}"})


def _dimensions(cache: Any) -> Dimensions:
    return {"clusterId": cache}


def serverless_cloudformation(made: ServerlessBlueprint) -> dict[str, Any]:
    """The template."""
    users = {"AppUser": _user(made, "app", USER_NAME, AccessString=_ALL, Passwords=[TOKEN])}
    if made.engine == "redis":
        users["DefaultUser"] = _user(made, "default", "default", AccessString=_OFF, NoPasswordRequired=True)
    resources: dict[str, Any] = {
        "AuthSecret": secret(TAGS), **users,
        "UserGroup": {"Type": "AWS::ElastiCache::UserGroup", "Properties": {
            "UserGroupId": {"Ref": "ClusterId"}, "Engine": made.engine,
            "UserIds": [{"Ref": name} for name in users], "Tags": listed_tags(TAGS)}},
        "Cache": _cache(made),
        **{f"Alarm{one.key}": alarm_resource(one, {_NO_MEMBER: _dimensions({"Ref": "Cache"})})
           for one in made.placed},
        "Dashboard": dashboard([_dimensions("${Cache}")], made.alarms),
    }
    parameters = {
        "ClusterId": cluster_parameter(made.cluster_id, "Name of the cache", _MOST_CHARACTERS),
        "EngineVersion": {"Type": "String", "Default": made.major_version, "Description": _VERSION_IS},
        **network_parameters(in_zones=True), "AlarmTopicArn": topic_parameter(),
    }
    return template(f"ElastiCache cache: {made.words}", made.provenance, parameters, resources, {
        "AuthSecretArn": {"Description": _PASSWORD_IS, "Value": {"Ref": "AuthSecret"}},
        "Endpoint": {"Description": "For clients of Redis Cluster",
                     "Value": {"Fn::GetAtt": ["Cache", "Endpoint.Address"]}},
    })


def _user(made: ServerlessBlueprint, suffix: str, name: str, **access: Any) -> dict[str, Any]:
    return {"Type": "AWS::ElastiCache::User", "Properties": {
        "UserId": {"Fn::Sub": f"${{ClusterId}}-{suffix}"}, "UserName": name, "Engine": made.engine, **access,
        "Tags": listed_tags(TAGS)}}


def _cache(made: ServerlessBlueprint) -> dict[str, Any]:
    return {
        "Type": "AWS::ElastiCache::ServerlessCache",
        "DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain",
        "Properties": {
            "ServerlessCacheName": {"Ref": "ClusterId"}, "Description": DESCRIPTION, "Engine": made.engine,
            "MajorEngineVersion": {"Ref": "EngineVersion"}, "SubnetIds": {"Ref": "SubnetIds"},
            "SecurityGroupIds": {"Ref": "SecurityGroupIds"}, "UserGroupId": {"Ref": "UserGroup"},
            "DailySnapshotTime": made.snapshot_time, "SnapshotRetentionLimit": made.snapshot_days,
            "Tags": listed_tags(TAGS),
        },
    }


def serverless_alarms_template(made: ServerlessBlueprint) -> dict[str, Any]:
    """The alarms alone, for a cache that is there already."""
    parameters = {"ClusterId": cluster_parameter(made.cluster_id, "Name of the cache"),
                  "AlarmTopicArn": topic_parameter()}
    return template(f"Alarms of {made.words}", made.provenance, parameters, {
        f"Alarm{one.key}": alarm_resource(one, {_NO_MEMBER: _dimensions({"Ref": "ClusterId"})})
        for one in made.placed})


def serverless_terraform(made: ServerlessBlueprint) -> dict[str, Any]:
    """The configuration, to be written as `main.tf.json`."""
    users: dict[str, Any] = {"app": {
        "user_id": "${var.cluster_id}-app", "user_name": USER_NAME, "engine": made.engine,
        "access_string": _ALL, "passwords_wo": TERRAFORM_TOKEN, "passwords_wo_version": TOKEN_VERSION}}
    if made.engine == "redis":
        users["default"] = {"user_id": "${var.cluster_id}-default", "user_name": "default",
                            "engine": made.engine, "access_string": _OFF, "no_password_required": True}
    cache = "${aws_elasticache_serverless_cache.redis.name}"
    body = dashboard_body([_dimensions(cache)], made.region, made.alarms)
    return {
        **preamble(made.words, made.provenance, made.region, TAGS),
        "variable": variables(made.cluster_id, made.major_version, _VERSION_IS),
        "ephemeral": TOKEN_SOURCE,
        "resource": {
            **secret_resources(),
            "aws_elasticache_user": users,
            "aws_elasticache_user_group": {"redis": {
                "user_group_id": "${var.cluster_id}", "engine": made.engine,
                "user_ids": [f"${{aws_elasticache_user.{name}.user_id}}" for name in users]}},
            "aws_elasticache_serverless_cache": {"redis": {
                "name": "${var.cluster_id}", "description": DESCRIPTION, "engine": made.engine,
                "major_engine_version": "${var.engine_version}", "subnet_ids": "${var.subnet_ids}",
                "security_group_ids": "${var.security_group_ids}",
                "user_group_id": "${aws_elasticache_user_group.redis.user_group_id}",
                "daily_snapshot_time": made.snapshot_time, "snapshot_retention_limit": made.snapshot_days,
                "lifecycle": {"prevent_destroy": True}}},
            "aws_cloudwatch_metric_alarm": {
                one.name.replace("-", "_"): alarm_arguments(one, {_NO_MEMBER: _dimensions(cache)})
                for one in made.placed},
            "aws_cloudwatch_dashboard": {"redis": {
                "dashboard_name": "${var.cluster_id}",
                "dashboard_body": json.dumps(body, separators=(",", ":"))}},
        },
        "output": {
            "auth_secret_arn": {"value": "${aws_secretsmanager_secret.auth.arn}",
                                "description": _PASSWORD_IS},
            "endpoint": {"value": "${aws_elasticache_serverless_cache.redis.endpoint[0].address}",
                         "description": "For clients of Redis Cluster"},
        },
    }
