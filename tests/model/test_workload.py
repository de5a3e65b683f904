from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amply_capacity.errors import BadRun
from amply_capacity.model.allocator import BUNDLED
from amply_capacity.model.emulator import GET, SET
from amply_capacity.model.layout import Layout
from amply_capacity.model.workload import Workload, workload_of
from amply_capacity.run.imports import import_monitor, import_trace
from amply_capacity.run.reader import read_run


def workload(tmp_path: Path, *commands: str) -> Workload:
    """Of a capture, a command every ten seconds but after a `+`, which comes at once."""
    lines, now_s = [], 1000.0
    for command in commands:
        now_s += 0.1 if command.startswith("+") else 10.0
        lines.append(f"{now_s:.6f} [0 127.0.0.1:1] {command.removeprefix('+')}\n")
    path = tmp_path / "monitor.txt"
    path.write_text("".join(lines))
    import_monitor(path, tmp_path / "run", lambda _: None)
    return workload_of(read_run(tmp_path / "run"), Layout(BUNDLED))


def test_a_cache_is_known_in_a_capture_though_most_of_what_it_holds_was_written_before(
        tmp_path: Path) -> None:
    reads = [f'"GET" "cache:{number}"' for number in range(20)]
    missed = ('"GET" "cache:x"', '+"SETEX" "cache:x" "300" "abcdefgh"')
    made = workload(tmp_path, *reads, *missed, '"GET" "cache:x"')
    assert made.ops == ("get", "setex")
    assert made.commands.ops.tolist() == [GET] * 22, "the fill is part of its read"
    assert np.all(made.commands.sizes > 0), "each of them would be filled"
    assert np.all(made.commands.ttls == 300 * 100)
    assert [text for text in made.assumptions if "cache:*" in text and "of unknown size" in text]


@pytest.mark.parametrize("between", ['+"TTL" "session:1"', ""])
def test_a_session_that_is_touched_is_no_cache(tmp_path: Path, between: str) -> None:
    touch = [one for one in ('"GET" "session:1"', between, '+"SETEX" "session:1" "60" "abc"') if one]
    made = workload(tmp_path, *touch * 4)
    assert made.commands.ops.tolist() == [GET, SET] * 4
    assert np.all(made.commands.sizes[::2] == 0), "its reads are not filled"


def test_a_trace_of_a_year_is_refused_before_its_times_overflow(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("time_s,op,key,key_bytes,value_bytes,ttl_s\n0,get,a:1,,10,60\n"
                                        f"{400 * 86_400},get,a:1,,10,60\n")
    import_trace(tmp_path / "trace.csv", tmp_path / "run", lambda _: None)
    with pytest.raises(BadRun, match="400 days"):
        workload_of(read_run(tmp_path / "run"), Layout(BUNDLED))
