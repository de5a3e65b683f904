"""Notebooks with fewer worlds, draws and plays of the same cells: what figures say is tested elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from amply_capacity.model import latency_curve
from amply_capacity.plan import hit_rate_curve
from amply_capacity.report import document, what_if

WORLDS = 1_000
_NUMBERS = ((latency_curve, "KNEE_DRAWS", 2), (latency_curve, "_DRAWS", 2), (hit_rate_curve, "_SIZES", 3),
            (hit_rate_curve, "_MOST_USES", 50_000))
"""Of modules, by name."""


def cheapen(patch: pytest.MonkeyPatch) -> None:
    """In this process."""
    for module, name, number in _NUMBERS:
        patch.setattr(module, name, number)
    patch.setitem(document.plan_of.__kwdefaults__, "worlds", WORLDS)


def cheap_kernels(directory: Path) -> dict[str, str]:
    """The variables of kernels that are started so, with their settings below a new directory."""
    startup = directory / "profile_default" / "startup"
    startup.mkdir(parents=True)
    lines = [f"import {module.__name__}\n{module.__name__}.{name} = {number}"
             for module, name, number in (*_NUMBERS, (what_if, "WORLDS", WORLDS))]
    lines += [f"import {document.__name__}",
              f"{document.__name__}.plan_of.__kwdefaults__['worlds'] = {WORLDS}", "del amply_capacity"]
    (startup / "cheaper.py").write_text("\n".join(lines) + "\n")
    return {"IPYTHONDIR": str(directory)}
