"""Failed writes, as errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from amply_capacity.errors import BadInput, DiskFull

__all__ = ["on_disk", "replacing"]


@contextlib.contextmanager
def on_disk(place: Path, *, do: str = "free space, then start again") -> Iterator[None]:
    """Within: a full disk raises DiskFull with `do`, a place that cannot be written to raises BadInput."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull("the disk is full", got=f"no space left for {place}", do=do) from error
        raise BadInput("a file cannot be written", got=f"{error.filename or place}: {error.strerror}",
                       do="choose a folder that you may write to") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of `path` in one step; after a failure `path` is as it was."""
    partial = path.with_name(f"{path.name}.tmp")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
