"""The figures of `predict throughput`: response times against load, CPU by command, and what binds when.

Each is a pure function of the answer's JSON, as `throughput_of` makes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from amply_capacity.errors import BadInput
from amply_capacity.report.document import month_text
from amply_capacity.report.look import (
    ACCENT,
    CALM,
    INK,
    ON_WHITE,
    WARN,
    Picture,
    canvas,
    picture,
    plain_logarithm,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["binding", "command_cost", "load_curve", "silent_throttling"]

Answer = Mapping[str, Any]

LIMITS = {"memory": "memory", "cpu": "engine core", "cpu_credits": "CPU credits", "latency": "p99",
          "network": "network", "network_burst": "burst", "connections": "connections"}
_LINES = (("p50", "#009e73", (0, (1, 1.5)), "v"), ("p99", ACCENT, "solid", "o"),
          ("p99.9", "#3d3d8f", (0, (6, 1.5, 1, 1.5)), "^"))
_MOST_TYPES, _MOST_COMMANDS, _MOST_MONTHS = 12, 14, 5
_CELL_POINTS, _CELL_CHARACTERS = 10.0, 16
"""Size of a cell's words, and how many of their characters it has room for."""
_FULL, _EMPTY = (1.0, 1.0, 1.0), (0.56, 0.75, 0.89)
"""Colours of a headroom of 100 % and of 0: both light enough for dark words, also in grey."""


def load_curve(answer: Answer) -> Picture:
    """Predicted p50, p99 and p99.9 of all operations against the offered rate, and the highest rate.

    A quantile that is withheld is not drawn.
    """
    rate, knee = answer["operations_per_second"], answer["measured_knee"]
    limits = sorted(set(answer["p99_ms"].values()))
    known = [one[name][f"{bound}_ms"] for one in answer["curve"] for name, *_ in _LINES
             for bound in ("low", "mid") if one[name]["mid_ms"] is not None]
    top = 1.6 * max([*known, *limits])
    end = 1.06 * max(answer["high"], *(one["operations_per_second"] for one in answer["curve"]),
                     0.0 if knee is None else knee["high"])
    with canvas(height=4.9) as (figure, axes):
        axes.axvspan(answer["low"], answer["high"], color=CALM, alpha=0.5, linewidth=0)
        axes.axvline(rate, color=INK, linewidth=1.8)
        away, side = _beside(rate, rate, end)[1:]
        axes.annotate(f"predicted\n{_rate(rate)}", (rate, 1.0), xycoords=("data", "axes fraction"),
                      xytext=(away, -4), textcoords="offset points", ha=side, va="top", fontsize=10,
                      bbox=ON_WHITE)
        for name, colour, dashes, marker in _LINES:
            _draw_quantile(axes, answer["curve"], name, colour, dashes, marker, top)
        for limit in limits:
            axes.axhline(limit, color=WARN, linewidth=1.6, linestyle=(0, (5, 3)))
            axes.annotate(_objective(answer["p99_ms"], limit), (0.0, limit),
                          xycoords=("axes fraction", "data"), xytext=(5, 4), textcoords="offset points",
                          color=WARN, fontsize=9.5, bbox=ON_WHITE)
        if knee is not None:
            axes.errorbar([knee["mid"]], [0.06], xerr=[[knee["mid"] - knee["low"]],
                                                       [knee["high"] - knee["mid"]]],
                          transform=axes.get_xaxis_transform(), fmt="D", color=INK, markersize=8, capsize=5,
                          elinewidth=2.0)
            edge, away, side = _beside(knee["low"], knee["high"], end)
            axes.annotate(f"measured {_rate(knee['mid'])}", (edge, 0.06),
                          xycoords=axes.get_xaxis_transform(), xytext=(1.2 * away, 0),
                          textcoords="offset points", ha=side, va="center", fontsize=10)
        axes.set_yscale("log")
        axes.set_ylim(0.5 * min([*known, *limits]), top)
        plain_logarithm(axes.yaxis)
        axes.set_xlim(0, end)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("offered operations a second")
        axes.set_ylabel("response time, ms (logarithmic)")
        figure.legend(loc="outside lower center", ncols=len(_LINES), fontsize=10)
        kept = [name for name, *_ in _LINES if any(one[name]["withheld"] for one in answer["curve"])]
        withheld = f"withheld: {', '.join(kept)}; " if kept else ""
        return picture(figure, _load_claim(answer),
                       "predicted of all operations, ms; bands: 90 % intervals of the p99 and of the highest "
                       f"rate; {withheld}{_run_of(answer)}")


def command_cost(answer: Answer) -> Picture:
    """CPU of each command, its share of the round trip included: at the highest rate and at the run's."""
    rows = sorted(answer["cpu_us_per_command"], key=_core_share, reverse=True)
    if not rows:
        raise BadInput("no command's CPU is known", got="an answer without commands",
                       do="record a run on a server whose INFO has commandstats")
    first, shown = rows[0], rows[:_MOST_COMMANDS]
    share = 100.0 * _core_share(first) / sum(map(_core_share, rows))
    claim = (f"{first['command'].upper()} takes {share:.0f} % of the core at the highest rate: "
             f"{first['mid']:.2g} µs each, {first['at_the_run_us']:.2g} µs at the run's rate")
    with canvas(height=1.5 + 0.31 * len(shown)) as (figure, axes):
        names = [one["command"].upper() for one in shown]
        mids, runs = [one["mid"] for one in shown], [one["at_the_run_us"] for one in shown]
        axes.hlines(names, mids, runs, color=CALM, linewidth=2.2)
        errors = [[one["mid"] - one["low"] for one in shown], [one["high"] - one["mid"] for one in shown]]
        axes.errorbar(mids, names, xerr=errors, fmt="o", color=ACCENT, markersize=8, elinewidth=1.8,
                      capsize=3.5, label=f"at {_rate(answer['operations_per_second'])} operations a second, "
                                         "predicted")
        axes.plot(runs, names, "s", color=INK, markerfacecolor="white", markersize=7.5, markeredgewidth=1.6,
                  label="at the base run's rate")
        for name, at_the_run in zip(names, runs, strict=True):
            axes.annotate(f"{at_the_run:.1f}", (at_the_run, name), xytext=(8, 0), textcoords="offset points",
                          va="center", fontsize=9.5)
        for one, name in zip(shown, names, strict=True):
            axes.annotate(f"{one['mid']:.1f}", (one["low"], name), xytext=(-5, 0), va="center", ha="right",
                          textcoords="offset points", fontsize=9.5)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.12 * max(*runs, *(one["high"] for one in shown)))
        axes.set_xlabel("µs of CPU per command")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside lower center", ncols=2, fontsize=9.5)
        return picture(figure, claim, "µs, with its share of the round trip; most of the core first; "
                                      f"whisker: 90 % interval; {_run_of(answer)}")


def binding(answer: Answer, today: str | None = None) -> Picture:
    """What binds each node type in which month, and what is left of it.

    Of an answer with `months`; its first dozen node types, in its order. `today`: what runs now, in bold.
    Raises BadInput for an answer without months.
    """
    if "months" not in answer:
        raise BadInput("the answer has no months", got="one without a demand", do="ask with --demand")
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in answer["months"]:
        rows.setdefault(row["node_type"], []).append(row)
    shown = list(rows)[:_MOST_TYPES]
    places = _places(len(rows[shown[0]]) - 1)
    hole = any(row["unknown"] for name in shown for row in rows[name])
    with canvas(height=1.7 + 0.36 * len(shown)) as (figure, axes):
        for line, name in enumerate(shown):
            for column, place in enumerate(places):
                _draw_cell(axes, column, line, rows[name][place])
        names = [name.removeprefix("cache.") + (" *" if rows[name][0]["unknown"] else "") for name in shown]
        axes.set_yticks(range(len(shown)), names, color=INK)
        for label, name in zip(axes.get_yticklabels(), shown, strict=True):
            label.set_fontweight("bold" if name == today else "normal")
        months = [month_text(rows[shown[0]][place]["month"]) for place in places]
        axes.set_xticks(range(len(places)), [
            f"{'today' if place == 0 else f'in {place} months'}\n{month[:3]} {month[-4:]}"
            for place, month in zip(places, months, strict=True)], color=INK)
        axes.tick_params(length=0)
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        note = ("the limit that binds, and the percent of it that is left in the median world; white on "
                "orange: nothing; triangle: nothing in the 5 % of worlds of most need; bold: today's"
                + ("; * a limit of it is not known" if hole else "") + f"; {_run_of(answer)}")
        return picture(figure, _binding_claim(rows, shown, today), note)


def silent_throttling(answer: Answer, today: str | None = None) -> str:
    """In a sentence: the load at which a node type is throttled, and which CPU alarm tells of it.

    Of `today` where it is burstable, else of the answer's first that is.
    """
    known = [one["silent_throttling"] for one in answer["nodes"] if one["silent_throttling"]]
    if not known:
        return "None of these node types can be throttled, or no load throttles it."
    one = next((one for one in known if one["node_type"] == today), known[0])
    named = (("the specification's CPU alarm", "alarm"), ("the one that AWS advises", "advised_alarm"))
    alarms = [f"{whose} ({one[f'{name}_percent']:g} %) {'fires' if one[f'{name}_fires'] else 'stays silent'}"
              for whose, name in named]
    return (f"A {one['node_type']} is throttled from a mean of {_rate(one['ops_per_second'])} operations a "
            f"second on, while CPUUtilization never shows more than {one['highest_cpu_percent']:.0f} %: "
            f"{' and '.join(alarms)}.")


def _draw_quantile(axes: Axes, points: Sequence[Answer], name: str, colour: str, dashes: Any,
                   marker: str, top: float) -> None:
    known = [(one["operations_per_second"], one[name]) for one in points if one[name]["mid_ms"] is not None]
    if not known:
        return
    rates, values = [rate for rate, _ in known], [value for _, value in known]
    if name == "p99":
        highs = [top if value["high_ms"] is None else value["high_ms"] for value in values]
        axes.fill_between(rates, [value["low_ms"] for value in values], highs, color=colour, alpha=0.22,
                          linewidth=0)
    mids = [value["mid_ms"] for value in values]
    axes.plot(rates, mids, color=colour, linewidth=2.4, linestyle=dashes, marker=marker, markersize=5,
              label=f"{name}, predicted")


def _beside(low: float, high: float, end: float) -> tuple[float, float, str]:
    """Where there is room for words beside what reaches from `low` to `high`: edge, points, alignment."""
    return (low, -6.0, "right") if low > 0.4 * end else (high, 6.0, "left")


def _load_claim(answer: Answer) -> str:
    claim = (f"{_rate(answer['operations_per_second'])} operations a second "
             f"({_rate(answer['low'])} to {_rate(answer['high'])}) hold the p99; "
             f"{_words(answer['gives_out_first'])} gives out first")
    knee = answer["measured_knee"]
    return claim if knee is None else f"{claim}. Measured: {_rate(knee['mid'])}"


def _objective(p99_ms: Mapping[str, float], limit: float) -> str:
    own = sorted(_words(name) for name, value in p99_ms.items() if value == limit)
    whose = f" for {', '.join(own)}" if len(own) < len(p99_ms) else ""
    return f"p99 objective{whose}: {limit:g} ms"


def _core_share(one: Answer) -> float:
    return float(one["mid"] * one["per_second"])


def _places(horizon: int) -> list[int]:
    """Today, every half year while there is room for it, and the last month."""
    step = 6
    while horizon / step > _MOST_MONTHS - 1:
        step *= 2
    return [*range(0, horizon, step), horizon] if horizon else [0]


def _draw_cell(axes: Axes, column: int, line: int, row: Answer) -> None:
    from matplotlib.patches import Polygon, Rectangle

    left, right, upper, lower = column - 0.48, column + 0.48, line - 0.46, line + 0.46
    middle, is_out = row["headroom_mid"], row["headroom_mid"] < 0.0
    share = min(max(middle / 100.0, 0.0), 1.0)
    shade = tuple(empty + share * (full - empty) for empty, full in zip(_EMPTY, _FULL, strict=True))
    axes.add_patch(Rectangle((left, upper), right - left, lower - upper, linewidth=0.8,
                             facecolor=WARN if is_out else shade, edgecolor=WARN if is_out else CALM))
    if row["headroom_low"] < 0.0 and not is_out:
        corner = [(right, upper), (right - 0.13, upper), (right, upper + 0.5)]
        axes.add_patch(Polygon(corner, facecolor=WARN, edgecolor="none"))
    words = f"{LIMITS[row['binding']]} {f'{middle:.0f}'.replace('-', '−')} %"
    axes.text(column, line, words, ha="center", va="center",
              fontsize=_CELL_POINTS * min(_CELL_CHARACTERS / len(words), 1.0),
              color="white" if is_out else INK, fontweight="bold" if is_out else "normal")


def _binding_claim(rows: Mapping[str, Sequence[Answer]], shown: Sequence[str], today: str | None) -> str:
    asked = today if today is not None and today in rows else shown[0]
    last = len(rows[asked]) - 1
    short = next((row for row in rows[asked] if row["headroom_low"] < 0.0), None)
    if short is None:
        return f"{asked} lasts {_span(last)} in 19 of 20 worlds"
    what = "network burst" if short["binding"] == "network_burst" else LIMITS[short["binding"]]
    claim = f"{asked} may run out of {what} in {month_text(short['month'])}"
    out = next((row for row in rows[asked] if row["headroom_mid"] < 0.0), None)
    if out is not None:
        claim += f", in the median world in {month_text(out['month'])}"
    lasting = next((name for name in shown if all(row["headroom_low"] >= 0.0 for row in rows[name])), None)
    return claim + (f"; none of these lasts {_span(last)}" if lasting is None
                    else f"; {lasting} lasts {_span(last)} in 19 of 20 worlds")


def _span(months: int) -> str:
    return f"{months} months" if months > 1 else "the month"


def _run_of(answer: Answer) -> str:
    names = answer["runs"]
    return f"run {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _words(name: str | None) -> str:
    return "none" if name is None else name.replace("_", " ")


def _rate(value: float) -> str:
    """To two significant digits: the interval is wider than that."""
    return f"{round(value, 1 - math.floor(math.log10(value))):,.0f}" if value >= 1.0 else f"{value:.2g}"
