"""The pages that the rules rest on, with the dates at which they said so."""

from __future__ import annotations

from amply_capacity.ops.finding import Source

__all__ = ["ALARM_PACK", "AT_REST", "AUTH", "BACKUPS", "CELERY_CLUSTER", "CELERY_TLS", "CLUSTER_SPEC",
           "CREATE_CLUSTER", "CREATE_GROUP", "DECORATORS", "DYNAMIC_REFERENCES", "ENGINES", "EVICTION",
           "INCR", "METRICS", "MULTI_AZ", "NODES", "PARAMETERS", "PUT_ALARM", "REDIS_PY", "RESERVED_MEMORY",
           "SUPPORT", "TTL", "VPC", "WHAT_TO_MONITOR", "WINDOWS_OVERLAP"]

_GUIDE = "https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/"
_API = "https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/"
_REDIS = "https://redis.io/docs/latest/"
_BOTOCORE = "botocore 1.44.5 of 2026-11-17"


def _guide(title: str, page: str, as_of: str = "2026") -> Source:
    return Source(f"AWS, ElastiCache User Guide, “{title}”", f"{_GUIDE}{page}", as_of)


AT_REST = _guide("At-Rest Encryption in ElastiCache", "at-rest-encryption.html")
AUTH = _guide("Authenticating with the Valkey and Redis OSS AUTH command", "auth.html")
BACKUPS = _guide("Snapshot and restore", "backups.html")
METRICS = _guide("Metrics for Valkey and Redis OSS", "CacheMetrics.Redis.html")
MULTI_AZ = _guide("Minimizing downtime in ElastiCache by using Multi-AZ", "AutoFailover.html")
NODES = _guide("Supported node types", "CacheNodes.SupportedTypes.html")
PARAMETERS = _guide("Engine specific parameters", "ParameterGroups.Engine.html")
RESERVED_MEMORY = _guide("Managing reserved memory", "redis-memory-management.html")
SUPPORT = _guide("ElastiCache versions for Redis OSS Extended Support", "extended-support-versions.html")
VPC = _guide("Amazon VPCs and ElastiCache security", "VPCs.html")
WHAT_TO_MONITOR = _guide("Which Metrics Should I Monitor?", "CacheMetrics.WhichShouldIMonitor.html")

CREATE_CLUSTER = Source("AWS, ElastiCache API Reference, CreateCacheCluster",
                        f"{_API}API_CreateCacheCluster.html", _BOTOCORE)
CREATE_GROUP = Source("AWS, ElastiCache API Reference, CreateReplicationGroup",
                      f"{_API}API_CreateReplicationGroup.html", _BOTOCORE)
PUT_ALARM = Source("AWS, CloudWatch API Reference, PutMetricAlarm",
                   "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
                   _BOTOCORE)
ALARM_PACK = Source("AWS, agent toolkit, amazon-elasticache/references/monitoring/alarm-packs.md",
                    "https://github.com/aws/agent-toolkit-for-aws", "2026-08-20")
ENGINES = Source("AWS, agent toolkit, amazon-elasticache/references/setup/engine-selection.md",
                 "https://github.com/aws/agent-toolkit-for-aws", "2026-08-20")
DYNAMIC_REFERENCES = Source(
    "AWS, CloudFormation User Guide, “Get a secret from Secrets Manager”",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html",
    "undated")
WINDOWS_OVERLAP = Source("the API's refusal, “The snapshot window and maintenance window must not overlap”",
                         "https://github.com/hashicorp/terraform/issues/17247", "2018-01-30")

CLUSTER_SPEC = Source("Redis cluster specification, “Hash tags”", f"{_REDIS}reference/cluster-spec/",
                      "undated")
EVICTION = Source("Redis, “Key eviction”", f"{_REDIS}develop/reference/eviction/", "undated")
INCR = Source("Redis, INCR, “Pattern: Rate limiter 2”", f"{_REDIS}commands/incr/", "undated")
TTL = Source("Redis, TTL and SETEX: −2 for no key, −1 for no TTL, and a TTL below 1 is refused",
             f"{_REDIS}commands/ttl/", "undated")
REDIS_PY = Source("redis-py 8.1.0, redis/asyncio/connection.py", "https://github.com/redis/redis-py", "2026")
CELERY_TLS = Source("Celery 5.7.0, celery/backends/redis.py: “A rediss:// URL must have parameter "
                    "ssl_cert_reqs”",
                    "https://github.com/celery/celery", "2026")
CELERY_CLUSTER = Source("Celery, issue 2852: no result backend for Redis Cluster, up to 5.7.0",
                        "https://github.com/celery/celery/issues/2852", "2026-05-25")
DECORATORS = Source("The Python Language Reference, “Function definitions”",
                    "https://docs.python.org/3/reference/compound_stmts.html#function-definitions", "3.11")
