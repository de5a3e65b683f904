"""`demand.toml`: what Amply needs, what it costs when it fails, and how sure anybody is of either.

The tables of the file are the dataclasses below, key by key; `data/demand.example.toml` explains each in the
file's own words. Any quantity may be a number or `{low=, mid=, high=, confidence=0.9}` and becomes an
Interval; settings (replicas, horizon, percentages that somebody chose once) are plain numbers. pydantic reads
and checks them here, at the edge; what leaves this module are frozen dataclasses.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from pydantic import ConfigDict, Field, StrictBool, StrictStr, TypeAdapter, ValidationError

from amply_capacity.errors import BadDemand
from amply_capacity.interval import Interval
from amply_capacity.model.failure_priors import PRIORS
from amply_capacity.plan.allowed import Allowed, Application
from amply_capacity.plan.campaigns import Campaign
from amply_capacity.plan.contradictions import correlation_faults, session_faults, term_faults
from amply_capacity.plan.faults import catalog_faults, faults_of
from amply_capacity.plan.quantity import (
    INTERVAL_KEYS,
    Amount,
    AtLeastOne,
    FreePercent,
    GrowthPercent,
    Percent,
    Positive,
    Share,
)
from amply_capacity.plan.worlds import Correlated

__all__ = [
    "Activity",
    "Cluster",
    "Connections",
    "Demand",
    "Failures",
    "History",
    "Horizon",
    "Money",
    "Organisations",
    "ResponseTimes",
    "Slo",
    "Users",
    "load_demand",
]

_STRICT: ConfigDict = {"extra": "forbid"}

# Defaults of what a file may leave out. The pool's size is that of lib/redis.py in elasticache-redis.md.
_POOL_SIZE = Interval.exact(20.0)
_EQUAL_DAYS = Interval.exact(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`[cluster]`: what runs today."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    region: StrictStr
    engine: StrictStr
    node_type: StrictStr
    replicas: Annotated[int, Field(strict=True, ge=0, le=5)] = 0
    term: StrictStr = "on_demand"
    reserved_memory_percent: Annotated[float, Field(strict=True, ge=0, le=95)] = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """`[users]`: registered people today, their growth, and what each leaves in Redis."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    registered: Amount
    growth_percent_per_month: GrowthPercent
    sessions_per_user: Amount
    stale_index_members_per_user: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisations:
    """`[organisations]`: how many there are, by their users, and the API keys of each."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    users_per_organisation: Positive
    api_keys_per_organisation: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """`[activity]`: operations of one registered user, means over the week; the busiest minutes over that
    mean, and a weekend day over a weekday."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    requests_per_user_hour: Amount
    peak_to_mean: AtLeastOne
    touches_per_request: Amount
    rate_checks_per_request: Amount
    cached_reads_per_request: Amount
    logins_per_user_day: Amount
    log_outs_per_user_day: Amount
    log_outs_everywhere_per_user_day: Amount
    active_lists_per_user_day: Amount
    tasks_per_user_hour: Amount
    result_reads_per_task: Amount
    weekend_to_weekday: Amount = _EQUAL_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """`[connections]`: application tasks x worker processes in each x connections in the pool of each."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    tasks: Amount
    workers_per_task: Amount
    pool_size: Amount = _POOL_SIZE
    grow_with_users: StrictBool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTimes:
    """`[slo.p99_ms]`: the promised 99th percentile of each use case's operations."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    sessions: Positive
    rate_limit: Positive
    cache: Positive
    celery_results: Positive

    @property
    def tightest_ms(self) -> float:
        return min(self.sessions.mid, self.rate_limit.mid, self.cache.mid, self.celery_results.mid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """`[slo]`: what the application is promised."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    p99_ms: ResponseTimes
    hit_rate_percent: Percent
    evictions_per_minute: Amount
    free_memory_percent: FreePercent


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """`[money]`: what failing costs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    usd_per_downtime_minute: Amount
    usd_per_lost_session: Amount
    usd_per_breached_slo_minute: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """`[failures] history`: failures of nodes that you have counted, and in how many node-years."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    count: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    node_years: Annotated[float, Field(strict=True, gt=0, le=1e6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """`[failures]`: how often a node fails and how long Redis is away.

    The defaults are priors, wide ones, each with its source in `model.failure_priors`: say what your own
    history shows. `history` makes a posterior of `per_node_year`, drills of what transfers from them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    per_node_year: Amount = PRIORS["per_node_year"].value
    history: History | None = None
    minutes_single: Amount = PRIORS["minutes_single"].value
    minutes_restore: Amount = PRIORS["minutes_restore"].value
    """With a snapshot, which somebody restores."""
    minutes_replica: Amount = PRIORS["minutes_replica"].value
    """Until clients are back."""
    reconnect_seconds: Amount | None = None
    """What clients take of that, from when the replica serves; None: what the prior has in it for them."""
    replication_lag_seconds: Amount = PRIORS["replication_lag_seconds"].value
    refill_seconds: Amount | None = None
    """Until a cache that was emptied is warm; None: as its TTL and its reads say (`model.refill`)."""
    zone_share: Share = PRIORS["zone_share"].value
    maintenance_per_year: Amount = PRIORS["maintenance_per_year"].value
    maintenance_seconds: Amount = PRIORS["maintenance_seconds"].value


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """`[plan]`: how far ahead, how long until it is made again, how long it takes to change a cluster that
    has become too small, and in which share of the worlds a node type has to be enough to be said to fit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    horizon_months: Annotated[int, Field(strict=True, ge=1, le=120)] = 36
    review_months: Annotated[int, Field(strict=True, ge=1, le=12)] = 3
    reaction_days: Annotated[float, Field(strict=True, ge=0, le=365)] = 3.0
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1.0)] = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The whole file, checked."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    cluster: Cluster
    users: Users
    organisations: Organisations
    activity: Activity
    connections: Connections
    slo: Slo
    money: Money
    failures: Failures = Failures()
    plan: Horizon = Horizon()
    allowed: Allowed = field(default_factory=Allowed)
    application: Application = field(default_factory=Application)
    campaign: list[Campaign] = field(default_factory=list)
    correlated: list[Correlated] = field(default_factory=list)

    @property
    def engines(self) -> tuple[str, ...]:
        """That may be chosen, today's first."""
        return _first(self.cluster.engine, self.allowed.engines)

    @property
    def terms(self) -> tuple[str, ...]:
        """That may be chosen, today's first."""
        return _first(self.cluster.term, self.allowed.terms)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every quantity by its dotted path, e.g. `users.registered`, as the worlds know it."""
        tables = {table.name: getattr(self, table.name) for table in fields(self)}
        return tuple(f"{table}.{number.name}" for table, content in tables.items() if is_dataclass(content)
                     for number in fields(content) if isinstance(getattr(content, number.name), Interval))

    def as_json(self) -> dict[str, Any]:
        """The tables as in the file: a known quantity as a number, an uncertain one as its table."""
        return {table: _plain(content) for table, content in asdict(self).items()}


def _contradictions(demand: Demand) -> Iterator[str]:
    yield from session_faults(demand.users.sessions_per_user, demand.activity.logins_per_user_day)
    yield from term_faults(demand.allowed.terms or (), demand.plan.horizon_months)
    yield from correlation_faults(demand.correlated, demand.numbers)


def _first(today: str, allowed: Sequence[str] | None) -> tuple[str, ...]:
    return (today,) if allowed is None else tuple(sorted(allowed, key=lambda name: name != today))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == set(INTERVAL_KEYS):
        return value["mid"] if value["low"] == value["high"] else value
    return {key: _plain(content) for key, content in value.items() if content is not None}


def load_demand(path: Path) -> Demand:
    """Reads and checks a demand file.

    Raises BadDemand for a file that cannot be read, is no TOML, or holds faults, listing them all at once.
    """
    tables = _read(path)
    faults: list[StrictStr] = []
    demand: Demand | None = None
    try:
        demand = _adapter().validate_python(tables)
    except ValidationError as error:
        faults += faults_of(cast(list[Mapping[str, Any]], error.errors()), Demand)
    faults += catalog_faults(tables.get("cluster"))
    if demand is not None:
        faults += _contradictions(demand)
    if demand is None or faults:
        raise BadDemand(f"the demand file {path} has {len(faults)} fault{'s' * (len(faults) != 1)}",
                        got="; ".join(faults), do="correct them; data/demand.example.toml shows every key")
    return demand


@functools.cache
def _adapter() -> TypeAdapter[Demand]:
    """Made once: that takes longer than reading a hundred demands."""
    return TypeAdapter(Demand)


def _read(path: Path) -> dict[str, Any]:
    example = "name a demand file; data/demand.example.toml is one to copy"
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise BadDemand("there is no such demand file", got=str(path), do=example) from None
    except IsADirectoryError:
        raise BadDemand("the demand file is a directory", got=str(path), do=example) from None
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise BadDemand("the demand file cannot be read", got=got, do=example) from None
    except UnicodeDecodeError as error:
        got = f"{path}, byte {error.start}"
        raise BadDemand("the demand file is not UTF-8 text", got=got, do=example) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        what = f"the demand file {path} is no TOML"
        raise BadDemand(what, got=str(error), do="correct that line") from None
