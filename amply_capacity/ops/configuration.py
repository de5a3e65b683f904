"""A configuration as found, wherever: resources under the names of AWS' API, code, tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from amply_capacity.ops.redis_code import Code
from amply_capacity.ops.setting import NOTHING, Setting, Unresolved

__all__ = ["Configuration", "Kind", "Line", "Place", "Resource", "Table", "TableRow"]

Kind: TypeAlias = Literal["cluster", "replication group", "parameter group", "alarm", "security group"]
_CACHES: tuple[Kind, ...] = ("cluster", "replication group")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    line: int | None
    """None in a live cluster."""
    path: str
    """E.g. `amply-redis-prod.SnapshotWindow`, or the name of a function."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; `settings` under the names of the API call that creates it.

    A parameter group's parameters are the entries of `Parameters`, a security group's rules the items of
    `SecurityGroupIngress`.
    """

    kind: Kind
    name: str
    settings: Mapping[str, Setting]
    line: int | None = None
    ids: tuple[str, ...] = ()
    """Other names that references to it use: its logical id, its Terraform address."""

    def get(self, key: str) -> Setting:
        return self.settings.get(key, NOTHING)

    def has(self, key: str) -> bool:
        """Whether it is said at all, with whatever value but null."""
        return self.get(key).value is not None

    def text(self, key: str) -> str | None:
        return self.get(key).text

    def number(self, key: str) -> float | None:
        return self.get(key).number

    def flag(self, key: str) -> bool | None:
        return self.get(key).flag

    def is_off(self, key: str) -> bool:
        """Not said, or said to be false; what only the deployment knows is not off."""
        return not self.has(key) or self.flag(key) is False

    def place(self, key: str | None = None) -> Place:
        """Of a setting, where it is said; else of the resource."""
        if key is None:
            return Place(self.line, self.name)
        setting = self.settings.get(key)
        return Place(self.line if setting is None else setting.line, f"{self.name}.{key}")

    @property
    def is_sketch(self) -> bool:
        """A cluster or group without a node type: what it does not say is open, not AWS' default."""
        return not self.has("CacheNodeType")

    @property
    def replicas(self) -> int | None:
        """Of each shard; None where it is not said and not to be concluded."""
        if self.kind == "cluster":
            return 0
        groups = self.get("NodeGroupConfiguration").items
        each = [one.entries.get("ReplicaCount", NOTHING).number for one in groups]
        if self.has("ReplicasPerNodeGroup"):
            count = self.number("ReplicasPerNodeGroup")
        elif self.has("NumCacheClusters"):
            nodes = self.number("NumCacheClusters")
            count = None if nodes is None else nodes - 1
        elif each:
            count = min((one for one in each if one is not None), default=None)
        else:
            count = None if self.is_sketch else 0.0
        return None if count is None else int(count)

    @property
    def shards(self) -> int | None:
        """None where only the deployment knows."""
        if self.has("NumNodeGroups"):
            count = self.number("NumNodeGroups")
            return None if count is None else int(count)
        return max(len(self.get("NodeGroupConfiguration").items), 1)

    @property
    def engine(self) -> str | None:
        """`redis` or `valkey`; None where it is not said, or is another's: this audit is of these two."""
        name = (self.text("Engine") or "").lower()
        return name if name in {"redis", "valkey"} else None


@dataclass(frozen=True, slots=True)
class TableRow:
    cells: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an audit looks at, and what could not be looked at."""

    origin: str
    """The file, or the live cluster."""
    resources: tuple[Resource, ...] = ()
    code: Code = field(default_factory=Code)
    tables: tuple[Table, ...] = ()
    sentences: tuple[Line, ...] = ()
    """The running text of a document, line by line."""
    lines: tuple[Line, ...] = ()
    """All of the file that is not Python."""
    not_collected: Mapping[Kind, str] = field(default_factory=dict)
    """Kinds of resources that are not known, each with the reason; none of them counts as missing."""
    not_audited: tuple[str, ...] = ()
    """What was seen and left out, each with its place and the reason."""

    @property
    def caches(self) -> tuple[Resource, ...]:
        """Clusters and replication groups; not Memcached's."""
        return tuple(one for one in self.resources if one.kind in _CACHES
                     and (one.text("Engine") or "").lower() != "memcached")

    @property
    def alarms(self) -> tuple[Resource, ...]:
        """On ElastiCache's metrics: those of another namespace are not ours."""
        return tuple(one for one in self._of("alarm")
                     if one.get("Namespace").is_unresolved
                     or one.text("Namespace") in {None, "AWS/ElastiCache"})

    @property
    def parameter_groups(self) -> tuple[Resource, ...]:
        return self._of("parameter group")

    @property
    def security_groups(self) -> tuple[Resource, ...]:
        return self._of("security group")

    def parameter_group_of(self, cache: Resource) -> Resource | None:
        """The group that the cache names, where it is in here."""
        named = cache.get("CacheParameterGroupName").value
        for group in self.parameter_groups:
            names = {group.name, group.text("CacheParameterGroupName"), *group.ids}
            if isinstance(named, str) and named in names:
                return group
            if isinstance(named, Unresolved) and any(name in named.text for name in group.ids):
                return group
        return self._only_group(cache)

    def _only_group(self, cache: Resource) -> Resource | None:
        """Documents show one group and do not name it: then it is the one that is meant."""
        groups = self.parameter_groups
        named = cache.text("CacheParameterGroupName")
        is_default = named is not None and named.startswith("default.")
        is_nameless = len(groups) == 1 and not groups[0].has("CacheParameterGroupName") and not groups[0].ids
        return groups[0] if is_nameless and cache.has("CacheParameterGroupName") and not is_default else None

    def _of(self, kind: Kind) -> tuple[Resource, ...]:
        return tuple(one for one in self.resources if one.kind == kind)
