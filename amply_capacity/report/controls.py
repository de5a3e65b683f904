"""The sliders and lists of a meeting, as ipywidgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["box", "run_list"]


def box(now: Mapping[str, Any], regions: Sequence[str], engines: Sequence[str], terms: Sequence[str],
        move: Callable[..., object]) -> Any:
    """Sliders at what is asked now, which tell `move` by keyword."""
    import ipywidgets as widgets

    wide = {"style": {"description_width": "10.5em"}, "layout": widgets.Layout(width="30em")}
    users = max(now["users"], 1.0)

    def number(name: str, words: str, least: float, most: float, step: float) -> Any:
        value = now[name]
        return widgets.FloatSlider(value=value, **_grid(value, least, most, step), description=words, **wide)

    sliders = {
        "users": widgets.FloatLogSlider(
            value=users, **_grid(math.log10(users), 2.0, 8.0, 0.02), description="registered users",
            readout_format=",.0f", **wide),
        "growth_percent": number("growth_percent", "growth, % a month", -10.0, 30.0, 0.5),
        "peak_to_mean": number("peak_to_mean", "peak over mean", 1.0, 12.0, 0.25),
        "p99_ms": number("p99_ms", "tightest p99, ms", 0.5, 20.0, 0.25),
        "region": widgets.Dropdown(value=now["region"], options=list(regions), description="region", **wide),
        "engine": widgets.Dropdown(value=now["engine"], options=list(engines), description="engine", **wide),
        "term": widgets.Dropdown(value=now["term"], options=list(terms), description="term", **wide),
    }
    for name, slider in sliders.items():
        slider.observe(lambda change, name=name: move(**{name: change["new"]}), names="value")
    left = widgets.VBox(list(sliders.values())[:4])
    right = widgets.VBox(list(sliders.values())[4:])
    return widgets.HBox([left, right], layout=widgets.Layout(flex_flow="row wrap"))


def _grid(value: float, least: float, most: float, step: float) -> dict[str, float]:
    """A range whose steps pass through the value: the browser moves it to the nearest one by itself."""
    least = value - step * max(math.floor((value - least) / step), 0)
    return {"min": least, "max": max(most, value), "step": step}


def run_list(options: Sequence[tuple[str, str]], chosen: str,
             pick: Callable[[str], object]) -> tuple[Any, Any]:
    """A list of runs (words and value of each), which tells `pick`; the box, and where an answer goes."""
    import ipywidgets as widgets

    which = widgets.Dropdown(options=list(options), value=chosen, description="Run",
                             layout=widgets.Layout(width="46em"), style={"description_width": "3em"})
    which.observe(lambda change: pick(change["new"]), names="value")
    said = widgets.Label()
    return widgets.VBox([which, said]), said
