"""What may be chosen at all: constraints of the organisation and of the application, which no run lifts."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictStr

from amply_capacity.plan.quantity import Percent

__all__ = ["MOST_REPLICAS", "MOST_SHARDS", "Allowed", "Application"]

_STRICT: ConfigDict = {"extra": "forbid"}

MOST_SHARDS, MOST_REPLICAS = 6, 3
"""Searched where the demand does not say. ElastiCache allows 5 replicas a shard and 90 nodes a cluster."""

Engine = Literal["redis", "valkey"]
Kind = Literal["nodes", "serverless"]
Term = Literal["on_demand", "1yr_no", "1yr_partial", "1yr_all", "3yr_no", "3yr_partial", "3yr_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """`[allowed]`: `node_types` are globs such as `cache.t4g.*`.

    Engines and terms that are left out are today's: changing one is a project or a contract of its own, and
    is shown beside the plan as a strategy.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    node_types: list[StrictStr] = field(default_factory=lambda: ["cache.*"])
    engines: list[Engine] | None = None
    terms: list[Term] | None = None
    kinds: list[Kind] = field(default_factory=lambda: ["nodes", "serverless"])
    shards: Annotated[int, Field(strict=True, ge=1, le=90)] = MOST_SHARDS
    replicas: Annotated[int, Field(strict=True, ge=0, le=5)] = MOST_REPLICAS

    def allows(self, node_type: str) -> bool:
        return any(fnmatchcase(node_type, pattern) for pattern in self.node_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`[application]`: what its code can live with."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    cluster_mode: StrictBool = False
    """Whether it may run on several shards or serverless. As the specification's code stands it may not: to
    log out everywhere is one DEL of many keys (CROSSSLOT), and Celery's result backend knows no cluster."""
    hot_percent: Percent | None = None
    """Of the values' bytes what is read or written regularly: the rest may lie on the SSD of a node with data
    tiering (r6gd). None: not known, so that only its memory counts."""
