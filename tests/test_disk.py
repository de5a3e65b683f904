from __future__ import annotations

import errno
from pathlib import Path

import pytest

from amply_capacity.disk import on_disk, replacing
from amply_capacity.errors import BadInput, DiskFull


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_a_full_disk(number: int, tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFull, match=rf"no space left for {tmp_path}.*Do: dig"),
        on_disk(tmp_path, do="dig"),
    ):
        raise OSError(number, "full")


def test_a_place_that_cannot_be_written_is_the_users_to_choose(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Not a directory"), on_disk(tmp_path):
        (tmp_path / "file" / "below").mkdir()


def _replace(path: Path, text: str, *, fails: bool) -> None:
    with replacing(path) as partial:
        partial.write_text(text)
        if fails:
            raise RuntimeError("mine")


def test_a_failed_replacement_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="mine"):
        _replace(path, "half", fails=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    _replace(path, "new", fails=False)
    assert path.read_text() == "new"
