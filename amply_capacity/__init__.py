"""Size, upgrade and pay for Amazon ElastiCache Redis on measured evidence."""

__version__ = "0.1.0"
