"""The look of every figure: one palette, one type, claims as titles."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT", "CALM", "INK", "MUTED", "ON_WHITE", "PALETTE", "WARN", "Picture", "canvas", "picture",
    "plain_logarithm",
]

INK, MUTED, RULE = "#1b2733", "#5f6f7f", "#d9e0e6"
# Okabe and Ito's colours that differ in lightness too: they survive colour blindness and a grey print.
ACCENT, CALM, WARN = "#0072b2", "#9ecae9", "#d55e00"
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f7f", "#b8a900", "#3d3d8f")
ON_WHITE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
"""The box of words that would lie on a line or a bar."""

_PROJECTED = 1.15
"""So that a figure fits beside the prompts of an exported page of 1,200 px, which would cut it off."""
_CLAIM_CHARACTERS_PER_INCH, _NOTE_CHARACTERS_PER_INCH = 9.5, 13.5

_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK, "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE, "xtick.color": MUTED, "ytick.color": MUTED, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e9eef2",
    "grid.linewidth": 0.9, "axes.titlepad": 8.0, "text.parse_math": False, "legend.frameon": False,
    "figure.facecolor": "white", "svg.fonttype": "path",
    "svg.hashsalt": "amply-capacity",
    "axes.titley": 1.0,  # where it is anyway: to seek a place for it takes a tenth of the drawing
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished figure: vector, with its claim as text for who cannot see it. Jupyter shows it as it is."""

    svg: str
    """As wide as its place, up to its own size."""
    claim: str

    def __repr__(self) -> str:
        """What is seen where no figure can be, as in a notebook that JupyterLab does not trust."""
        return f"{self.claim} (a figure, which a trusted notebook shows)"

    def _repr_svg_(self) -> str:
        """Of a size of its own, larger for a projector: JupyterLab would blow it up to the whole width."""
        def sized(found: re.Match[str]) -> str:
            return f'width="{_PROJECTED * float(found[1]):g}in" style="max-width:100%;height:auto"'

        return re.sub(r'width="100%" style="max-width:([0-9.]+)in"', sized, self.svg, count=1)


@contextmanager
def canvas(width: float = 9.2, height: float = 3.6) -> Iterator[tuple[Figure, Axes]]:
    """A figure and its axes in the house style; inches. No pyplot: nothing global, nothing to close."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def picture(figure: Figure, claim: str, note: str = "") -> Picture:
    """Title the figure with its claim and a note of unit, run and interval below it, and make it a Picture.

    The same figure gives the same bytes: no date, no random ids.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    width_inches = figure.get_figwidth()
    title = textwrap.fill(claim, int(width_inches * _CLAIM_CHARACTERS_PER_INCH))
    figure.suptitle(title, x=0.008, ha="left", fontsize=12.5, fontweight="bold")
    below = textwrap.fill(note, int((width_inches - 1.2) * _NOTE_CHARACTERS_PER_INCH))
    figure.axes[0].set_title(below, loc="left", fontsize=9, fontweight="normal", color=MUTED)
    buffer = io.StringIO()
    # Figure.savefig would draw twice, once for the layout alone: drawing lays out as well.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    attributes = (f' width="100%" style="max-width:{width_inches:g}in" role="img" '
                  f'aria-label="{_escape(claim)}"')
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', lambda found: found[1] + attributes, svg, count=1)
    return Picture(svg, claim)


def plain_logarithm(axis: Axis, *, is_long: bool = False) -> None:
    """Ticks at 1, 2 and 5 of each decade, of a long axis at 1, as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0,) if is_long else (1.0, 2.0, 5.0)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
