"""The house: a floor uses only floors below it (README, Architecture)."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from amply_capacity.files import ROOT

PACKAGE = ROOT / "amply_capacity"

# From the ground up. What stands beside the rooms (files, progress, …) is ground: everybody may use it.
FLOORS = (
    {"traffic"},
    {"errors", "interval", "files", "disk", "progress", "workers"},
    {"run", "catalog"},
    {"aws"},
    {"model", "target"},
    {"plan", "load"},
    {"report", "ops", "drill"},
    {"demo"},
    {"commands"},
    {"cli"},
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The modules of ours that a module imports, anywhere in it, relative to the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("amply_capacity."):
            found.add(node.module.removeprefix("amply_capacity."))
        elif isinstance(node, ast.Import):
            found |= {name.name.removeprefix("amply_capacity.") for name in node.names
                      if name.name.startswith("amply_capacity.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_uses_only_its_own_and_lower_floors(path: Path) -> None:
    room = room_of(path)
    upwards = {module for module in imported(path)
               if module.split(".")[0] != room and HEIGHT[module.split(".")[0]] >= HEIGHT[room]}
    if room in FLOORS[1]:  # the ground may stand on itself
        upwards = {module for module in upwards if module not in FLOORS[1]}
    assert not upwards


def test_the_traffic_imports_nothing_of_ours() -> None:
    assert not {module for path in (PACKAGE / "traffic").glob("*.py") for module in imported(path)
                if not module.startswith("traffic")}


def test_no_module_imports_itself_in_a_circle() -> None:
    arrows = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): imported(path) for path in modules()}
    TopologicalSorter(arrows).prepare()  # a CycleError names the circle
