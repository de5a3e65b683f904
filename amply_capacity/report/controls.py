"""The sliders of a meeting, as ipywidgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["box"]


def box(now: Mapping[str, Any], regions: Sequence[str], engines: Sequence[str], terms: Sequence[str],
        move: Callable[..., object]) -> tuple[Any, Any]:
    """Sliders at what is asked now, which tell `move` by keyword; the box, and where the answer goes."""
    import ipywidgets as widgets

    wide = {"style": {"description_width": "10.5em"}, "layout": widgets.Layout(width="30em")}
    sliders = {
        "users": widgets.FloatLogSlider(
            value=max(now["users"], 100.0), min=2, max=8, step=0.02, description="registered users",
            readout_format=",.0f", **wide),
        "growth_percent": widgets.FloatSlider(
            value=now["growth_percent"], min=-10, max=30, step=0.5, description="growth, % a month", **wide),
        "peak_to_mean": widgets.FloatSlider(
            value=now["peak_to_mean"], min=1, max=12, step=0.25, description="peak over mean", **wide),
        "p99_ms": widgets.FloatSlider(
            value=now["p99_ms"], min=0.5, max=20, step=0.25, description="tightest p99, ms", **wide),
        "region": widgets.Dropdown(value=now["region"], options=list(regions), description="region", **wide),
        "engine": widgets.Dropdown(value=now["engine"], options=list(engines), description="engine", **wide),
        "term": widgets.Dropdown(value=now["term"], options=list(terms), description="term", **wide),
    }
    for name, slider in sliders.items():
        slider.observe(lambda change, name=name: move(**{name: change["new"]}), names="value")
    shown = widgets.HTML()
    left = widgets.VBox(list(sliders.values())[:4])
    right = widgets.VBox(list(sliders.values())[4:])
    both = widgets.HBox([left, right], layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([both, shown]), shown
