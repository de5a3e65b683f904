"""The documentation builds without a warning, its generated pages are as they would be written now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_reference import DOCS, PAGES

from amply_capacity.files import EXAMPLE_RUN, ROOT
from amply_capacity.model.digest import digest
from amply_capacity.run.reader import read_run


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_it_describes(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "make docs writes it anew"


def test_the_documentation_builds_without_a_warning_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir",
                           str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True, timeout=240,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(list(DOCS.rglob("*.md")))
    for page in pages:
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert loaded == [], page.name


def test_the_hit_rates_that_the_documentation_quotes_are_those_of_the_example() -> None:
    run = read_run(EXAMPLE_RUN)
    first, last = run.measured_seconds
    told = run.server.loc[run.server["second"].between(first, last), "CacheHitRate"].median()
    text = (DOCS / "explanation" / "hit-rate.md").read_text()
    hit_rate = digest(run).hit_rate
    assert hit_rate is not None
    assert f"{100.0 * hit_rate:.1f} % of the cached reads hit" in text
    assert f"INFO's rate is {told:.1f} % in the median second" in text


def test_the_columns_that_the_documentation_explains_are_those_of_the_ledger() -> None:
    done = subprocess.run([sys.executable, "-m", "amply_capacity.cli", "ledger"], capture_output=True,
                          text=True, timeout=120, check=True)
    printed = re.split(r" {2,}", done.stdout.splitlines()[0].strip())
    text = (DOCS / "how-to" / "read-the-ledger.md").read_text()
    assert re.findall(r"^\| (.+?) \| .* \|$", text, flags=re.MULTILINE) == ["column", *printed]
