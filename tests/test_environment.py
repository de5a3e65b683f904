"""Every way to install the toolkit names the same packages."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from amply_capacity.files import ROOT

CONDA_NAMES = {"redis": "redis-py", "flit_core": "flit-core", "typst": "typst-py",
               "playwright": "playwright-python"}
"""Packages that conda-forge names otherwise than PyPI does."""
NOT_FROM_PYPI = {"python": ">=3.11", "redis-server": "", "pip": ""}
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*([<>=!~].*)?$")


def split(requirement: str) -> tuple[str, str]:
    """A requirement's name and its bounds."""
    found = REQUIREMENT.match(requirement)
    assert found, requirement
    return found[1], (found[2] or "").strip()


def pyproject() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def wanted() -> dict[str, str]:
    """Bounds by name: the dependencies and those of the tests."""
    project = pyproject()
    return dict(map(split, project["dependencies"] + project["optional-dependencies"]["test"]))


def locked(text: str) -> dict[str, list[str]]:
    """The logical lines of a requirements file by package name."""
    found: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.strip().startswith("#"):
            name = re.split(r"[=<>!~; \[]", line.strip())[0]
            found.setdefault(normal(name), []).append(line)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_conda_gets_the_packages_of_pyproject_with_the_same_bounds() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    named = []
    for one in environment["dependencies"]:
        named += one["pip"] if isinstance(one, dict) else [one]  # from PyPI: conda-forge has none
    conda = dict(map(split, named))
    assert len(conda) == len(named), "a package is named twice"
    assert conda == {CONDA_NAMES.get(name, name): bounds for name, bounds in wanted().items()} | NOT_FROM_PYPI


def test_conda_and_pyproject_ask_for_the_same_python() -> None:
    assert pyproject()["requires-python"] == NOT_FROM_PYPI["python"]


def test_every_dependency_is_in_the_lock_at_a_version_within_its_bounds() -> None:
    lock = locked((ROOT / "requirements" / "lock.txt").read_text())
    for name, bounds in wanted().items():
        lines = lock.get(normal(name))
        assert lines, f"{name} is not locked"
        least = [int(part) for part in re.findall(r"\d+", bounds)]
        for line in lines:
            version = re.search(r"==([\d.]+)", line)
            assert version, line
            assert [int(part) for part in version[1].split(".") if part] >= least, line


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "requirements").glob("*.txt")))
def test_a_requirements_file_pins_and_hashes_every_package_and_names_no_address(file: str) -> None:
    text = (ROOT / "requirements" / file).read_text()
    packages = locked(text)
    assert packages
    for lines in packages.values():
        for line in lines:
            assert "==" in line, line
            assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), line
    addresses = r"https?:|git\+|file:| @ |--(extra-)?index-url|--find-links|^-[ief] "
    assert not re.search(addresses, text, re.MULTILINE)
