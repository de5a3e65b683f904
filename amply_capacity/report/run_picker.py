"""Which run a notebook is about, to be picked from a list while the meeting watches."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from amply_capacity.errors import AmplyError
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.report.run_list import run_label, run_row
from amply_capacity.report.what_if import STATIC_VARIABLE
from amply_capacity.run.reader import Run

__all__ = ["RunPicker"]

_STATIC = "<p>In JupyterLab another run can be picked here.</p>"


class RunPicker:
    """A list of runs; Jupyter shows it as it is, and an export a sentence in its place.

    `choose` is told the directory of the run that was picked, and what to call when all is drawn again. Where
    it raises AmplyError, that is said, and nothing has changed.
    """

    def __init__(self, runs: list[Run], chosen: Run,
                 choose: Callable[[str, Callable[[], object]], object]) -> None:
        self._choose = choose
        self._directory = _place(chosen)
        if self._directory not in map(_place, runs):
            runs = [*runs, chosen]
        self.options = [(run_label(run_row(run)) + _ours(run), _place(run)) for run in runs]
        self._box: Any = None
        self._said: Any = None

    def pick(self, directory: str) -> str:
        """Another run was picked; what is said of that."""
        def drawn() -> None:
            self._say(f"Drawn from {label}.")

        label = next(words for words, place in self.options if place == directory)
        self._say(f"Drawing from {label} …")
        try:
            self._choose(directory, drawn)
        except AmplyError as error:
            return self._say(f"Nothing has changed: {error}")
        return self._words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        static = {"text/html": _STATIC, "text/plain": "Pick a run"}
        if os.environ.get(STATIC_VARIABLE):
            return static
        if self._box is None:
            from amply_capacity.report.controls import run_list

            self._box, self._said = run_list(self.options, self._directory, self.pick)
        return {**dict(self._box._repr_mimebundle_()), **static}

    def _say(self, words: str) -> str:
        self._words = words
        if self._said is not None:
            self._said.value = words
        return words


def _place(run: Run) -> str:
    return str(run.directory.resolve())


def _ours(run: Run) -> str:
    return " (the example that ships)" if run.directory.resolve() == EXAMPLE_RUN else ""
