"""Which region is meant, and in which other one a cache is that is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from amply_capacity.aws.session import aws_session, explained, regions_of
from amply_capacity.errors import AmplyError, BadInput, UnknownName

__all__ = ["chosen_region", "named_elsewhere", "regions_that_have"]

_AT_ONCE = 8
_PATIENCE_S = 5
_ACTION = "elasticache:DescribeCacheClusters"
_CALLS = (("describe_replication_groups", "ReplicationGroupId", "ReplicationGroups"),
          ("describe_cache_clusters", "CacheClusterId", "CacheClusters"))


def chosen_region(named: str | None) -> str:
    """The one named, else that of the environment or the profile. Raises UnknownName and BadInput."""
    with explained("elasticache:*"):
        region = named or aws_session().region_name
    if not region:
        raise BadInput("no AWS region is given",
                       got="none on the command line, in AWS_DEFAULT_REGION or in the profile",
                       do="give --region, e.g. --region eu-west-1")
    known = regions_of("elasticache")
    if region not in known and not region.startswith("cn-"):
        raise UnknownName("region", region, known)
    return region


def regions_that_have(name: str, but: str) -> list[str]:
    """The other regions with a cache of that name; those that may not be asked are passed over."""
    from botocore.config import Config

    others = [region for region in regions_of("elasticache") if region != but and _alike(region, but)]
    quick = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=_PATIENCE_S,
                   read_timeout=_PATIENCE_S)
    with explained(_ACTION):
        session = aws_session()  # one for all: it reads the service's model once
        clients = [session.client("elasticache", region_name=region, config=quick) for region in others]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        has = list(pool.map(lambda client: _has(client, name), clients))
    return [region for region, there in zip(others, has, strict=True) if there]


def _alike(region: str, other: str) -> bool:
    """Of one partition, whose credentials are the same."""
    return ("-gov-" in region) == ("-gov-" in other)


def _has(elasticache: Any, name: str) -> bool:
    return any(_answers(elasticache, *call, name) for call in _CALLS)


def _answers(elasticache: Any, call: str, option: str, key: str, name: str) -> bool:
    try:
        with explained(_ACTION):
            return bool(getattr(elasticache, call)(**{option: name}).get(key))
    except AmplyError:
        return False  # not there; or the region is not enabled for the account, or may not be asked


def named_elsewhere(name: str, region: str, known: Sequence[str]) -> BadInput:
    """Why a cache is not found in the region, and where it is."""
    elsewhere = regions_that_have(name, region)
    if elsewhere:
        return BadInput(f"{name} is not in {region}", got=f"it is in {', '.join(elsewhere)}",
                        do=f"give --region {elsewhere[0]}")
    if not known:
        return BadInput(f"there is no cache in {region}",
                        got=f"asked for {name}, which no other region has either",
                        do="check the name, the --region and the AWS account (AWS_PROFILE)")
    return UnknownName(f"cache in {region}, and in no other region", name, known)
