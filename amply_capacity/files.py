"""Where this checkout keeps its things; $AMPLY_STATE_DIR moves what is written (runs, clusters) elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CLUSTERS_DIR", "DATA_DIR", "EXAMPLE_RUN", "LEDGER_DIR", "NOTEBOOKS_DIR", "OWN_LEDGER_DIR",
           "REPORTS_DIR", "ROOT", "RUNS_DIR"]

ROOT = Path(__file__).resolve().parents[1]
DATA_DIR = ROOT / "data"
_STATE_DIR = Path(os.environ.get("AMPLY_STATE_DIR") or DATA_DIR).resolve()
RUNS_DIR = _STATE_DIR / "runs"
CLUSTERS_DIR = _STATE_DIR / "clusters"
EXAMPLE_RUN = DATA_DIR / "examples" / "mixed"
LEDGER_DIR = DATA_DIR / "ledger"
OWN_LEDGER_DIR = _STATE_DIR / "ledger"
NOTEBOOKS_DIR = ROOT / "notebooks"
REPORTS_DIR = ROOT / "reports"
