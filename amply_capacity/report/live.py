"""Outputs that are drawn again when another run is chosen.

They are Jupyter's display handles, no widgets: what was drawn last is what a saved or exported notebook
shows.
"""

from __future__ import annotations

import asyncio
import html
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Html", "Live", "Output", "as_text"]


@dataclass(frozen=True, slots=True)
class Html:
    """HTML that Jupyter shows as such. Texts in it go through `as_text`."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def as_text(words: object) -> str:
    """Words as HTML that shows them as they are: JupyterLab would set what is between two $ as a formula."""
    return html.escape(str(words)).replace("$", "<span>$</span>")


class Output:
    """A place in the notebook whose content can be replaced, from a callback too."""

    def __init__(self, shown: object) -> None:
        from IPython.display import display

        self._handle: Any = display(shown, display_id=True)  # None where nobody is there to see it

    def show(self, shown: object) -> None:
        if self._handle is not None:
            self._handle.update(shown)


class Live:
    """All outputs of a notebook that follow from one thing, in the order of their cells.

    `given` says how to get each thing by its name: a function that draws is handed what its parameters ask
    for. `failed` says in place of a figure why it cannot be drawn, for the `expected` errors.
    """

    def __init__(self, given: Mapping[str, Callable[[], object]], failed: Callable[[Any], object],
                 expected: tuple[type[Exception], ...]) -> None:
        self._given, self._failed, self._expected = given, failed, expected
        self._followers: dict[str, Callable[[], object]] = {}
        self._drawing: asyncio.Task[None] | None = None

    def draw(self, what: Callable[..., object], **options: object) -> None:
        """Show it in this cell, now and whenever things change; what was expected to fail is said instead."""
        output = Output(self._made(what, options))
        self.follow(f"{getattr(what, '__qualname__', what)} {options}",
                    lambda: output.show(self._made(what, options)))

    def follow(self, name: str, again: Callable[[], object]) -> None:
        """Call `again` too when things change. A cell that is run again takes the place of its older self."""
        self._followers[name] = again

    def redraw(self, then: Callable[[], object]) -> None:
        """Draw all outputs again, one after the other; in a kernel so that it answers others meanwhile."""
        drawing = self._redraw(then)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel
            asyncio.run(drawing)
            return
        if self._drawing is not None:
            self._drawing.cancel()
        self._drawing = loop.create_task(drawing)

    async def _redraw(self, then: Callable[[], object]) -> None:
        for again in list(self._followers.values()):
            again()
            await asyncio.sleep(0.0)
        then()

    def _made(self, what: Callable[..., object], options: Mapping[str, object]) -> object:
        asked = inspect.signature(what).parameters
        try:
            return what(**{name: get() for name, get in self._given.items() if name in asked}, **options)
        except self._expected as error:
            return self._failed(error)
