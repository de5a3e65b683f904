"""The notebooks: no logic, no outputs in the repository, and every cell runs on a real recording."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cheaper import cheap_kernels, cheapen
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary

from amply_capacity.catalog.prices import price
from amply_capacity.errors import AmplyError, BadInput, BadRun
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.interval import Interval
from amply_capacity.model.ledger import Ledger
from amply_capacity.plan.demand import load_demand
from amply_capacity.report import notebook_files
from amply_capacity.report import notebooks as module
from amply_capacity.report.look import Picture
from amply_capacity.report.notebook_files import execute, notebooks, open_lab
from amply_capacity.report.notebooks import Text, open_ledger, open_session
from amply_capacity.run.reader import read_run

# With the plan's tests: xdist starts the largest groups first, and these take long.
pytestmark = pytest.mark.xdist_group("plan")

DEMAND = DATA_DIR / "demand.example.toml"
NAMES = ["00_start_here", "01_run_review", "02_node_sizing", "03_replica_decision",
         "04_cost_projection", "05_prediction_check"]
MOST_LINES = 10
DRAWING = re.compile(
    r"^(\w*figures?\.\w+\(|session\.draw\((figures\.|session\.(?!silent_throttling|throughput_notes|opening|beside)))")
"""A cell that is one call of a figure."""


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration's test makes them with all worlds."""
    cheapen(monkeypatch)


@pytest.fixture(scope="session")
def example_run(recorded_run: Path) -> Path:
    """The recording that ships, else the tests' own."""
    return EXAMPLE_RUN if (EXAMPLE_RUN / "run.json").exists() else recorded_run


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of these code cells."""
    new = nbformat.v4
    nbformat.write(new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells]), path)
    return path


def test_the_notebooks_are_there_in_order() -> None:
    assert [path.stem for path in notebooks()] == NAMES


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_counts(path: Path) -> None:
    nbformat.validate(nbformat.read(path, as_version=4))
    cells = code_cells(path)
    assert cells
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_cell_only_loads_calls_and_shows(path: Path) -> None:
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If,
             ast.Try, ast.With, ast.IfExp, ast.comprehension)
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= MOST_LINES
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, logic)]


def test_every_notebook_runs_top_to_bottom_on_the_example_and_shows_its_figures(
        example_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cheap_kernels(tmp_path / "ipython").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    sources = {path: path.read_bytes() for path in notebooks()}
    executed = execute(notebooks(), tmp_path / "out", example_run, DEMAND)
    assert executed == [tmp_path / "out" / path.name for path in notebooks()]
    assert {path: path.read_bytes() for path in notebooks()} == sources, "the sources are never written to"
    trusted = NotebookNotary()
    assert all(trusted.check_signature(nbformat.read(path, as_version=4)) for path in executed), (
        "else JupyterLab shows no figure")
    for path in executed:
        drawn = 0
        for cell in code_cells(path):
            assert cell.execution_count is not None
            assert cell.outputs, f"{path.name}: nothing is shown by {cell.source!r}"
            assert not [out for out in cell.outputs if out.output_type in {"error", "stream"}], cell.source
            if DRAWING.match(cell.source):
                (output,) = cell.outputs
                ET.fromstring(output.data["image/svg+xml"])
                assert "<svg" not in output.data["text/plain"], "what is seen where no figure can be"
                drawn += 1
        assert drawn >= 1 or path.stem == NAMES[0], f"{path.name} has no figure"
    start, review, sizing, *_, check = executed
    name = read_run(example_run).name
    assert name in shown(start, "start.opening()")["text/html"], "it worked on the run it was given"
    assert "01_run_review.ipynb" in shown(start, "start.questions()")["text/html"]
    assert name in shown(review, "session.run_summary")["text/html"]
    notes = shown(sizing, "session.throughput_notes")["text/markdown"]
    assert re.search(r"Read with care:\*\* \d+ times the fastest rate that was run", notes)
    silent = shown(sizing, "session.silent_throttling")["text/markdown"]
    assert silent.startswith("A cache.t3.micro is throttled from")
    assert "intervals held the truth" in shown(check, "open_ledger()")["text/html"]
    asked = shown(sizing, "session.what_if()")["text/html"]
    assert "twice the users" in asked, "nobody is there to move a slider: the table stands instead"


def test_a_saved_notebook_is_exported_with_the_last_answer_in_place_of_its_widgets(
        example_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cheap_kernels(tmp_path / "ipython").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AMPLY_RUN", str(example_run))
    path = write_notebook(tmp_path / "live.ipynb", "from amply_capacity.report import figures\n"
                          "from amply_capacity.report.notebooks import open_session\n"
                          "session = open_session()\nasked = session.what_if()\nasked",
                          "session.pick_run()", "session.draw(figures.throughput)",
                          "shown = asked.move(users=77_000.0)")
    notebook = nbformat.read(path, as_version=4)
    # As JupyterLab saves it: without the state of its widgets.
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "77,000 users" in page
    assert "25,000 users" not in page
    assert "In JupyterLab there are sliders here." in page
    assert "In JupyterLab another run can be picked here." in page
    assert re.search(r"jp-RenderedSVG[^<>]*>\s*<(img|svg)", page)
    assert "application/vnd.jupyter.widget-view+json" not in page


def shown(path: Path, call: str) -> Any:
    """What the one cell with this call showed, by MIME type."""
    (cell,) = [cell for cell in code_cells(path) if call in cell.source]
    return cell.outputs[0].data


def test_a_notebook_that_fails_is_named_with_its_own_error_and_leaves_nothing(
        example_run: Path, tmp_path: Path) -> None:
    failing = write_notebook(tmp_path / "99_failing.ipynb", "1 + 1", "raise KeyError('no such figure')")
    with pytest.raises(AmplyError, match=r"99_failing\.ipynb failed.*KeyError.*no such figure"):
        execute([failing], tmp_path / "out", example_run, DEMAND)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_kernel_that_dies_is_named_too(example_run: Path, tmp_path: Path) -> None:
    dying = write_notebook(tmp_path / "98_dying.ipynb", "import os; os._exit(3)")
    with pytest.raises(AmplyError, match=r"98_dying\.ipynb was not executed"):
        execute([dying], tmp_path / "out", example_run, DEMAND)


@pytest.mark.parametrize("failures", [2, 3])
def test_a_kernel_that_does_not_start_is_started_again_and_in_the_end_named(
        example_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    start, left = NotebookClient.async_start_new_kernel_client, iter(range(failures))

    async def sometimes(client: NotebookClient) -> Any:
        found = await start(client)
        if next(left, None) is not None:
            await client._async_cleanup_kernel()
            raise RuntimeError("Kernel died before replying to kernel_info")
        return found

    monkeypatch.setattr(NotebookClient, "async_start_new_kernel_client", sometimes)
    slow = write_notebook(tmp_path / "96_slow.ipynb", "1 + 1")
    if failures < 3:
        (executed,) = execute([slow], tmp_path / "out", example_run, DEMAND)
        assert code_cells(executed)[0].outputs
    else:
        with pytest.raises(AmplyError, match=r"96_slow\.ipynb was not executed.*Kernel died before"):
            execute([slow], tmp_path / "out", example_run, DEMAND)


def test_a_file_that_is_no_notebook_and_a_place_that_is_no_folder_are_bad_input(
        example_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "97_text.ipynb"
    file.write_text("no notebook")
    with pytest.raises(BadInput, match=r"97_text\.ipynb is no notebook"):
        execute([file], tmp_path / "out", example_run, DEMAND)
    with pytest.raises(BadInput, match="cannot be written"):
        execute([file], file, example_run, DEMAND)


def test_a_session_opens_the_run_that_the_environment_names(
        example_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLY_RUN", str(example_run))
    session = open_session()
    recorded = read_run(example_run)
    assert session.run.name == recorded.name
    assert session.demand == DEMAND
    assert [run["run_id"] for run in session.plan["evidence"]] == [recorded.name]
    assert session.plan["chosen"]["node_type"] in session._repr_markdown_()
    assert f"the run is {recorded.verdict}" in session.run_summary()._repr_markdown_()
    assert {*session.plan["evidence"][0]["warnings"]} <= {*session.opening().cautions}


def test_a_session_takes_the_run_and_demand_given_before_those_of_the_environment(
        example_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMPLY_RUN", "no-such-run")
    with pytest.raises(BadRun, match="no-such-run"):
        open_session()
    demand = tmp_path / "mine.toml"
    demand.write_text(DEMAND.read_text().replace("horizon_months = 36", "horizon_months = 6"))
    assert len(open_session(example_run, demand).plan["months"]) == 6


def test_a_session_predicts_once_for_the_cheapest_of_each_class_and_size_and_todays(
        capfd: pytest.CaptureFixture[str]) -> None:
    session = open_session(EXAMPLE_RUN, DEMAND)
    names = [node["node_type"] for node in session.throughput["nodes"]]
    assert session.throughput is session.throughput
    assert "cache.t3.micro" in names
    assert len({name for name in names if name.endswith(".micro")}) == 2, "today's, and the cheapest"
    assert not [name for name in names if "2xlarge" in name]
    assert len(names) <= 12
    usd = [price("us-east-1", "redis", name).effective_hourly_usd for name in names]
    assert usd == sorted(usd)
    for picture in (session.load_curve(), session.command_cost(), session.binding()):
        assert isinstance(picture, Picture)
    assert "CPU credits" not in session.binding().claim
    notes = session.throughput["notes"]
    assert session.throughput_notes() == Text("\n\n".join(f"> **Read with care:** {one}" for one in notes))
    notes.clear()
    assert session.throughput_notes() == Text("Nothing weakens this answer.")
    assert capfd.readouterr() == ("", ""), "a cell shows its result alone"


def test_todays_node_type_is_asked_for_whatever_else_is_allowed(tmp_path: Path) -> None:
    demand = tmp_path / "mine.toml"
    demand.write_text(DEMAND.read_text().replace('["cache.*"]', '["cache.m7g.*"]'))
    assert module._of_a_meeting(load_demand(demand)) == (
        "cache.t3.micro", "cache.m7g.large", "cache.m7g.xlarge")


def test_a_session_whose_run_cannot_answer_says_so_where_the_figures_were(tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(EXAMPLE_RUN, copied)
    manifest = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(manifest | {"arrivals": "closed", "rate_per_second": None}))
    session = open_session(copied, DEMAND)
    for shown_instead in (session.load_curve(), session.command_cost(), session.binding(),
                          session.silent_throttling(), session.throughput_notes()):
        assert isinstance(shown_instead, Text)
        assert shown_instead.markdown.startswith("> **Not drawn:** ")
        assert "closed loop" in shown_instead.markdown
    assert isinstance(session.credit_week(), Picture), "the mean needs no response time"
    requests = session.run.requests
    requests[requests["use_case"] == "cache"].to_parquet(copied / "requests.parquet", index=False)
    session.run = read_run(copied)
    without_operations = session.credit_week()
    assert isinstance(without_operations, Text)
    assert "Not drawn" in without_operations.markdown


def test_the_week_of_credits_is_the_last_months_unless_another_is_asked_for() -> None:
    session = open_session(EXAMPLE_RUN, DEMAND)
    last, same, today = session.credit_week(), session.credit_week(month=36), session.credit_week(month=0)
    assert last == same
    assert isinstance(last, Picture)
    assert isinstance(today, Picture)

    def cores(picture: Picture) -> float:
        return float(picture.claim.split()[1])

    assert cores(today) < cores(last)


def test_the_record_is_of_the_toolkits_ledger_and_ones_own(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "LEDGER_DIR", tmp_path / "toolkit")
    monkeypatch.setattr(module, "OWN_LEDGER_DIR", tmp_path / "own")
    assert "Nothing has been measured" in open_ledger()._repr_markdown_()
    for name in ("toolkit", "own"):
        ledger = Ledger(tmp_path / name / "mine.jsonl")
        ledger.measure(ledger.predict("hit rate", name, "points", Interval(0.5, 0.6, 0.7), 1), 0.6)
    assert "2 of 2 intervals held" in open_ledger()._repr_markdown_()


def test_the_meeting_opens_jupyterlab_on_the_notebooks_with_the_run_chosen(
        example_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    fake = tmp_path / "python"
    fake.write_text(f"""#!/bin/sh
printf '{{"run": "%s", "words": "%s", "config": "%s"}}' "$AMPLY_RUN" "$*" "$JUPYTER_CONFIG_PATH" > {seen}
exit 3
""")
    fake.chmod(0o755)
    monkeypatch.delenv("AMPLY_RUN", raising=False)
    monkeypatch.setattr(notebook_files.sys, "executable", str(fake))
    assert open_lab(str(example_run)) == 3
    told = json.loads(seen.read_text())
    assert told["run"] == os.fspath(example_run.resolve())
    assert told["words"].startswith("-m jupyterlab --notebook-dir=")
    assert told["words"].endswith("00_start_here.ipynb")
    assert told["config"].startswith(os.fspath(Path(notebook_files.__file__).parent / "jupyter"))
