"""A table of clusters: planned as each alone would be, its faults all told."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from locust_process import PATIENCE_SECONDS, wait_until

from amply_capacity.errors import BadInput
from amply_capacity.files import EXAMPLE_RUN, ROOT
from amply_capacity.plan.fleet import plan_fleet, read_fleet
from amply_capacity.plan.recorded import plan_of_runs
from amply_capacity.report.fleet import fleet_text
from amply_capacity.run.reader import read_run

DEMAND = ROOT / "data" / "demand.example.toml"


def write(folder: Path, *rows: str, header: str = "cluster,demand,run") -> Path:
    file = folder / "fleet.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def test_each_is_planned_as_it_would_be_alone(tmp_path: Path) -> None:
    big = tmp_path / "big.toml"
    big.write_text(DEMAND.read_text().replace("registered = 25_000", "registered = 400_000"))
    table = write(tmp_path, f"small,{DEMAND},{EXAMPLE_RUN}", f"big,big.toml,{EXAMPLE_RUN};{EXAMPLE_RUN}")
    done: list[int] = []
    answer = plan_fleet(read_fleet(table), 200, 1, lambda: done.append(1))
    assert len(done) == 2
    alone = plan_of_runs([read_run(EXAMPLE_RUN)], DEMAND, worlds=200, is_draft=True).as_json()
    small, large = answer["clusters"]
    assert small["chosen"] == json.loads(json.dumps(alone["chosen"]))
    assert large["chosen"]["usd_per_month"] > small["chosen"]["usd_per_month"]
    assert answer["usd_per_month"] == pytest.approx(
        small["chosen"]["usd_per_month"] + large["chosen"]["usd_per_month"])
    assert "2 clusters: " in fleet_text(answer)


def test_one_that_cannot_be_planned_is_told_and_the_rest_are_there(tmp_path: Path) -> None:
    table = write(tmp_path, f"good,{DEMAND},{EXAMPLE_RUN}", f"bad,nowhere.toml,{EXAMPLE_RUN}")
    answer = plan_fleet(read_fleet(table), 100, 1)
    assert (answer["planned"], answer["failed"]) == (1, 1)
    assert "there is no such demand file" in answer["clusters"][1]["error"]
    assert "1 could not be planned\n  bad: " in fleet_text(answer)


def test_all_faults_of_a_table_are_told_at_once(tmp_path: Path) -> None:
    table = write(tmp_path, "a,b", "x,d.toml,run", "x,d.toml,run", "y,,run")
    with pytest.raises(BadInput) as caught:
        read_fleet(table)
    assert "has 3 faults" in str(caught.value)
    for words in ("line 2: 3 filled cells", "line 4: x stands in the table twice", "line 5: 3 filled cells"):
        assert words in str(caught.value)


@pytest.mark.parametrize("header", ["cluster,run,demand", ""])
def test_another_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(BadInput, match="header cluster,demand,run"):
        read_fleet(write(tmp_path, header=header))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_fleet(tmp_path / "none.csv")


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_many_plans_broken_off_leave_no_process(tmp_path: Path, ending: signal.Signals, code: int) -> None:
    table = write(tmp_path, *(f"cluster-{number},{DEMAND},{EXAMPLE_RUN}" for number in range(2_000)))
    log = tmp_path / "log"
    with log.open("w") as words:
        planning = subprocess.Popen(
            [sys.executable, "-m", "amply_capacity.cli", "plan", "--fleet", str(table), "--worlds", "200"],
            stdout=subprocess.DEVNULL, stderr=words, start_new_session=True)
    try:
        wait_until(lambda: re.search(r"planning +[1-9]", log.read_text()), "the first plan")
        planning.send_signal(ending)
        assert planning.wait(PATIENCE_SECONDS) == code
        wait_until(lambda: not processes_of(planning.pid), "the end of its processes")
    finally:
        planning.kill()
    assert "Traceback" not in log.read_text()


def processes_of(group: int) -> list[int]:
    """Those that belong to that process group still."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found
