"""How long an import and review of many production clusters takes, and how much memory.

50 clusters, 40 metrics and their extremes, 14 days of 5-minute points, from a local endpoint in a process of
its own (`bench.aws_server`): no network is in the time, but all of HTTP and JSON is.
`python -m bench.production` prints it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.apart import Taken, apart
from bench.aws_server import METRICS

__all__ = ["table"]

_CLUSTERS, _DAYS = 50, 14
_ALLOWED_S, _ALLOWED_MB = 60.0, 1_000.0
_LONGEST_S = 600.0


def table() -> str:
    """Seconds, CPU and the largest resident set of one import of all of it."""
    with tempfile.TemporaryDirectory() as scratch:
        server = subprocess.Popen([sys.executable, "-m", "bench.aws_server", str(_CLUSTERS)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            taken = _import(url, Path(scratch))
        finally:
            server.communicate(timeout=30.0)
    runs = json.loads(taken.output)["runs"]
    rows = sum(node["rows"] for run in runs for node in run["nodes"])
    findings = sum(len(run["review"]["findings"]) for run in runs)
    return "\n".join([
        f"import and review of {len(runs)} clusters, {len(METRICS)} metrics, {_DAYS} days of 5-minute points",
        f"{rows:,} rows, {findings} findings",
        f"{'seconds':<12} {taken.seconds:>8.1f}   ({_ALLOWED_S:.0f} allowed)",
        f"{'of CPU':<12} {taken.cpu_seconds:>8.1f}",
        f"{'resident':<12} {taken.resident_mb:>5,.0f} MB   ({_ALLOWED_MB:,.0f} allowed)",
    ])


def _import(url: str, state: Path) -> Taken:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "127.0.0.1",
        "AWS_EC2_METADATA_DISABLED": "true", "AMPLY_STATE_DIR": str(state)}
    return apart("-m", "amply_capacity.cli", "import", "cloudwatch", "--all", "--days", str(_DAYS),
                 "--region", "us-east-1", "--json", longest_seconds=_LONGEST_S, env=environment)


if __name__ == "__main__":
    print(table())
