"""The tables of a run directory, column by column (DESIGN section 4); printed into docs/run-directory.md."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAILED_OUTCOMES", "IMPORTED", "PRODUCTION", "SCHEMA_VERSION", "TABLES", "VERDICTS", "Column",
           "describe"]

SCHEMA_VERSION = 1
FAILED_OUTCOMES = ("error", "timeout", "disconnected", "unreachable")
VERDICTS = {
    "complete": "recorded from start to end, and the generator kept up in most seconds",
    "partial": "the recording ended early, or a worker was lost: what is there is whole, but short",
    "generator-bound": "the generator, not the server, was the bottleneck in most seconds: latency and rates "
                       "are the generator's",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type and what it means."""

    name: str
    type: str
    meaning: str


_NUMBER = "float64"

_SERVER_METRICS = (
    ("CPUUtilization",
     "percent of all vCPUs of the emulated node type, server process only; local clusters only"),
    ("EngineCPUUtilization",
     "percent of one core, main thread (whole process where the server has no such count)"),
    ("FreeableMemory", "bytes: the emulated node type's memory less the server's RSS; local clusters only"),
    ("BytesUsedForCache", "bytes: used_memory"),
    ("DatabaseMemoryUsagePercentage", "percent: used_memory / maxmemory; absent without a maxmemory"),
    ("DatabaseMemoryUsageCountedForEvictPercentage",
     "percent: (used_memory - mem_not_counted_for_evict) / maxmemory"),
    ("Evictions", "keys evicted in this second"),
    ("Reclaimed", "keys expired in this second"),
    ("CurrConnections", "connected clients, replicas left out"),
    ("NewConnections", "connections received in this second"),
    ("CurrItems", "keys in all databases"),
    ("CurrVolatileItems", "keys with a TTL"),
    ("CacheHits", "INFO keyspace_hits in this second (TTL and SMEMBERS count too)"),
    ("CacheMisses", "INFO keyspace_misses in this second"),
    ("CacheHitRate", "percent: CacheHits / (CacheHits + CacheMisses); absent in a second without look-ups"),
    ("NetworkBytesIn", "bytes of requests in this second, as the server counts RESP"),
    ("NetworkBytesOut", "bytes of replies in this second"),
    ("ReplicationBytes", "bytes of the replication stream in this second; absent without a replica"),
)

RAW_INFO = (
    ("info_used_memory", "bytes"), ("info_used_memory_rss", "bytes"), ("info_used_memory_peak", "bytes"),
    ("info_used_memory_startup", "bytes"), ("info_used_memory_overhead", "bytes"),
    ("info_used_memory_dataset", "bytes"), ("info_maxmemory", "bytes"), ("info_mem_clients_normal", "bytes"),
    ("info_mem_not_counted_for_evict", "bytes"), ("info_mem_fragmentation_ratio", "RSS / used_memory"),
    ("info_total_commands_processed", "since server start"), ("info_instantaneous_ops_per_sec", "per second"),
    ("info_used_cpu_sys", "seconds, whole process"), ("info_used_cpu_user", "seconds, whole process"),
    ("info_used_cpu_sys_main_thread", "seconds"), ("info_used_cpu_user_main_thread", "seconds"),
    ("info_blocked_clients", "clients"), ("info_rejected_connections", "since server start"),
    ("info_expired_stale_perc", "percent, the server's estimate of expired keys not yet reclaimed"),
    ("info_connected_slaves", "replicas"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "requests": (
        Column("second", "int64", "Unix second in which the reply arrived"),
        Column("use_case", "string", "sessions, rate_limit, cache or celery_results"),
        Column("operation", "string", "validate, touch, check, cached_read, …"),
        Column("command", "string",
               "Redis command (a pipeline's joined by +); empty for an operation's own time"),
        Column("outcome", "string",
               "ok, hit, miss, allowed, limited, error, timeout, disconnected or unreachable"),
        Column("clock", "string",
               "service: sent to answered; response: intended to answered; lateness: intended to sent. "
               "Commands have the service clock only. Compute waits are left out"),
        Column("bucket_us", "int64",
               "upper bound of the histogram's bucket, µs; 1 µs wide below 32 µs, 6.3 % above"),
        Column("count", "int64", "times in the bucket"),
    ),
    "server": (
        Column("second", "int64",
               "Unix second of the sample; counts are since the sample before, per second"),
        Column("node", "string", "host:port"),
        Column("role", "string", "master or slave, as INFO calls a primary and a replica"),
        *(Column(name, _NUMBER, meaning) for name, meaning in _SERVER_METRICS),
        *(Column(name, _NUMBER, f"INFO {name.removeprefix('info_')}, {unit}") for name, unit in RAW_INFO),
    ),
    "commands": (
        Column("node", "string", "host:port"),
        Column("command", "string", "as commandstats names it"),
        Column("calls", "int64", "calls in the measured phase"),
        Column("usec", "int64",
               "µs inside the command in the measured phase: a fraction of the CPU that it costs the server"),
        Column("rejected_calls", "int64", "refused before execution, measured phase"),
        Column("failed_calls", "int64", "failed in execution, measured phase"),
        Column("p50_us", _NUMBER, "latencystats p50, µs; absent where the server keeps none"),
        Column("p99_us", _NUMBER, "latencystats p99, µs"),
        Column("p999_us", _NUMBER, "latencystats p99.9, µs"),
    ),
    "accesses": (
        Column("time_s", _NUMBER, "Unix time of the reply; of an import the time that its file says"),
        Column("op", "string", "get, set, setex, incr, del, expire, sadd, srem or smembers"),
        Column("key_hash", "uint64",
               "CRC-32 of the key in the upper half (it decides the sample), BLAKE2b below"),
        Column("key_class", "string",
               "the key up to its first colon, or before a task's id; empty where that is no name"),
        Column("key_bytes", "int64", "length of the key"),
        Column("value_bytes", "int64",
               "bytes read or written; for a set its members; absent where there is none, and in an import "
               "where its file does not tell"),
        Column("ttl_s", _NUMBER,
               "TTL set by the command, infinite for none; absent where it sets none. Of an imported get: "
               "that with which a miss would be filled"),
        Column("sampling_rate", _NUMBER,
               "R: share of keys whose accesses are kept, the lowest in force in the run"),
    ),
    "events": (
        Column("time_s", _NUMBER, "Unix time"),
        Column("kind", "string", "phase, error, generator, host, finding, knee, drill or failover"),
        Column("name", "string",
               "what began or happened. Of a generator process: load (its own CPU, its wait for one, what "
               "the hypervisor took and its lag in a second), bottleneck (it, not the server, held the load "
               "back in that second), worker lost, worker back, worker joined, clock skew. Of a host: server "
               "starved (other processes kept a local server from its CPU for more than 2 % of that second). "
               "Of a knee search: began (its objectives), step (a rate, its measured seconds and verdict), "
               "ended (the knee, as in run.json)"),
        Column("detail", "string", "JSON object of its figures"),
    ),
}

IMPORTED = (
    Column("kind", "string", "trace or monitor: what `amply-capacity import` read"),
    Column("file", "string", "its name"),
    Column("accesses", "integer", "rows of accesses.parquet"),
    Column("keys", "integer", "different keys among them"),
    Column("seconds", "number", "from the first access to the last"),
    Column("ops", "object", "accesses by op"),
    Column("classes", "object", "accesses by class of keys; from the 101st class on under the empty name"),
    Column("skipped", "object", "commands of MONITOR that make no access, by name"),
    Column("assumptions", "list of strings", "what the file left open, and how it was taken"),
)
"""What `run.json` of an imported run holds under `imported`; the types are JSON's."""

PRODUCTION = (
    Column("kind", "string", "cloudwatch"),
    Column("file", "string", "where it was read"),
    Column("assumptions", "list of strings", "what was taken for granted, as whose clock ends the period"),
    Column("synthesised", "boolean", "whether the values were made up, as those of the example are"),
    Column("cache", "string", "replication group or cluster"),
    Column("region", "string", "of AWS"),
    Column("from", "string", "ISO 8601, UTC"),
    Column("to", "string", "the same, exclusive"),
    Column("period_s", "integer", "seconds that a value stands for"),
    Column("nodes", "list of objects", "node, role and zone when it was described, rows"),
    Column("metrics", "list of objects",
           "by node: metric, statistic, whether per second, points, missing, low, mean, high and when"),
    Column("gaps", "list of objects", "stretches without any value of a node, the first 20"),
    Column("gap_count", "integer", "how many there are"),
    Column("not_collected", "object", "what could not be read, each with the reason"),
    Column("clock_skew_s", "number",
           "how far the importing machine was ahead of AWS' clock; null where AWS did not say"),
)
"""The same of a run of production's metrics."""


def describe() -> str:
    """The run directory's documentation, Markdown."""
    parts = [
        "# Run directory\n",
        f"Schema version {SCHEMA_VERSION}. `run.json` holds the scenario, seeds, target (never a secret),",
        "server, generator, versions and the SHA-256 of each file. Each table is a Parquet file that pandas",
        "reads alone. An absent figure is null: it was not measured. It is never 0.\n",
        "In `run.json`, `generator_bound_seconds` lists the Unix seconds in which the generator was the",
        "bottleneck (the models leave them out), `lost_workers` the workers that stopped reporting.\n",
        "Verdicts: " + "; ".join(f"`{name}`: {meaning}" for name, meaning in VERDICTS.items()) + ".\n",
    ]
    for table, columns in TABLES.items():
        parts += [f"## {table}.parquet\n", "| column | type | meaning |", "|---|---|---|"]
        parts += [f"| `{column.name}` | {column.type} | {column.meaning} |" for column in columns]
        parts.append("")
    parts += [
        "## imported, in run.json\n",
        "A run made by `amply-capacity import` holds accesses alone, all of them, of keys known by their",
        "hash; its other tables are empty. Of MONITOR a command of several keys, or members of a set, makes",
        "an access for each; SISMEMBER, SMISMEMBER and SCARD stand as smembers, DECR and INCRBY as incr,",
        "SETNX, MSET and GETSET as set.\n",
        "| name | type | meaning |", "|---|---|---|"]
    parts += [f"| `{entry.name}` | {entry.type} | {entry.meaning} |" for entry in IMPORTED]
    parts += [
        "\n## imported, of production\n",
        "A run made by `amply-capacity import cloudwatch` holds `server.parquet` alone, and gaps as events.",
        "A row is a period of one node, known by its cache cluster's id; `second` is when the period begins,",
        "and counts are per second. A state is the period's average. Beside the columns above there is one",
        "for each other metric that ElastiCache publishes, under CloudWatch's name, and of periods longer",
        "than a minute the extreme that limits a node (`CPUUtilization.Maximum`, `FreeableMemory.Minimum`).",
        "Host metrics are the host's here: NetworkBytesIn counts packets with their headers. In `run.json`,",
        "`elasticache` holds the configuration as it was described, reserved nodes and engine versions.\n",
        "| name | type | meaning |", "|---|---|---|"]
    parts += [f"| `{entry.name}` | {entry.type} | {entry.meaning} |" for entry in PRODUCTION]
    return "\n".join([*parts, ""])
