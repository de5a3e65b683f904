"""The store of calibrations, and the factor from host to node that follows from it.

JSON Lines under `data/calibrations` (in $AMPLY_STATE_DIR where that is set), a line an observation of a real
node. Lines are only ever added. Each factor is relative to the recording host, so a store is of one host.
Observations count as independent: two that share a run of the host narrow a little too much.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amply_capacity import __version__
from amply_capacity.catalog.nodes import node_type
from amply_capacity.disk import on_disk
from amply_capacity.errors import BadInput
from amply_capacity.files import RUNS_DIR
from amply_capacity.interval import Interval
from amply_capacity.model.node_speed import Observation, cpu_factor

__all__ = ["CALIBRATIONS_DIR", "Calibration", "add_calibration", "check_calibration", "check_unseen",
           "node_cpu_factor", "read_calibrations"]

CALIBRATIONS_DIR = RUNS_DIR.parent / "calibrations"
_FILE = "calibrations.jsonl"


@dataclass(frozen=True, slots=True)
class Calibration:
    """One observation, with what it was made from."""

    node_type: str
    observation: Observation
    inputs: Mapping[str, str]
    """SHA-256 of what the node said and of what the host said."""
    host: str | None
    """The recording host, e.g. `x86_64, 2 cores`; None where nobody says."""
    server: str | None
    """The node's engine and version; None where they are not known."""
    made_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    """ISO 8601, UTC."""
    versions: Mapping[str, str] = field(default_factory=lambda: {"amply_capacity": __version__})

    @property
    def inputs_sha256(self) -> str:
        """Of both inputs together."""
        return hashlib.sha256(json.dumps(dict(self.inputs), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        one = self.observation
        return {"made_at": self.made_at, "node_type": self.node_type, "family": one.family,
                "factor": one.factor, "noise": one.noise, "censored": one.is_censored, "reason": one.reason,
                "figures": dict(one.figures), "notes": list(one.notes), "host": self.host,
                "server": self.server, "inputs": dict(self.inputs), "inputs_sha256": self.inputs_sha256,
                "versions": dict(self.versions)}


def node_cpu_factor(node_type_name: str, observations: Iterable[Observation] = ()) -> Interval:
    """What to multiply a command's CPU on the host by to have it on that node type, 90 %.

    Without observations the prior of the node's family. Raises UnknownName for no node type.

    Example: `node_cpu_factor("cache.t3.micro", [one.observation for one in read_calibrations()])`
    """
    return cpu_factor(node_type(node_type_name).family, observations)


def read_calibrations(directory: Path | None = None) -> tuple[Calibration, ...]:
    """Every calibration of the store, oldest first; none where there is no store.

    Raises BadInput that names each line that cannot be read, up to ten.
    """
    found: list[Calibration] = []
    faults: list[str] = []
    for path in sorted((directory or CALIBRATIONS_DIR).glob("*.jsonl")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{path}: {str(error)[:120]}")
            continue
        for number, line in enumerate(lines, 1):
            try:
                found.append(_calibration(json.loads(line)))
            except (BadInput, ValueError, KeyError, TypeError, AttributeError) as error:
                why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:120]
                faults.append(f"{path.name}, line {number}: {why}")
    if faults:
        raise BadInput("the stored calibrations cannot be read", got="; ".join(faults[:10]),
                       do=f"restore {directory or CALIBRATIONS_DIR}, or move it away to begin anew")
    return tuple(sorted(found, key=lambda one: one.made_at))


def add_calibration(new: Calibration, stored: Iterable[Calibration], directory: Path | None = None) -> Path:
    """Append it to the store; the file. Raises BadInput as `check_calibration` does, and DiskFull."""
    check_calibration(new, stored)
    path = (directory or CALIBRATIONS_DIR) / _FILE
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(new.as_json(), ensure_ascii=False) + "\n")
    return path


def check_unseen(node_sha256: str, stored: Iterable[Calibration]) -> None:
    """Raise BadInput where what the node said was counted before."""
    for old in stored:
        if old.inputs.get("node") == node_sha256:
            raise BadInput("this observation was counted before, and twice it would narrow too much",
                           got=f"stored at {old.made_at} for {old.node_type}", do="give another one")


def check_calibration(new: Calibration, stored: Iterable[Calibration]) -> None:
    """Raise BadInput where the node's input was counted before, or the others are of another host."""
    stored = tuple(stored)
    check_unseen(new.inputs["node"], stored)
    for old in stored:
        if None not in (old.host, new.host) and old.host != new.host:
            raise BadInput("the stored calibrations are relative to another host, so they do not mix",
                           got=f"{old.host} there, {new.host} here",
                           do=f"move {CALIBRATIONS_DIR} away to begin anew, or calibrate on that host")


def _calibration(content: dict[str, Any]) -> Calibration:
    """Raises ValueError, KeyError, TypeError or UnknownName for what is none."""
    factor, noise, censored = content["factor"], content["noise"], content["censored"]
    for name, value in (("factor", factor), ("noise", noise)):
        if not (isinstance(value, int | float) and math.isfinite(value) and value > 0.0):
            raise ValueError(f"its {name} is {value!r}, not a positive number")
    if not isinstance(censored, bool):
        raise ValueError(f"its censored is {censored!r}, not true or false")
    family = node_type(content["node_type"]).family
    if family != content["family"]:
        raise ValueError(f"{content['node_type']} is of family {family}, not {content['family']}")
    return Calibration(
        content["node_type"],
        Observation(family, float(factor), float(noise), censored, str(content["reason"]),
                    dict(content["figures"]), tuple(content["notes"])),
        dict(content["inputs"]), content["host"], content["server"], str(content["made_at"]),
        dict(content["versions"]))
