"""The cost of each month drawn in a millisecond: what a slider redraws while it moves."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from amply_capacity.report.look import ACCENT, CALM, INK, MUTED
from amply_capacity.report.money import usd

__all__ = ["cost_path"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 880.0, 230.0, 62.0, 26.0, 26.0


def cost_path(plan: Mapping[str, Any]) -> str:
    """Median world as steps with its node types, and 5–95 % of worlds; an unknown month is a gap."""
    rows = plan["months"]
    tops = [row["usd_high"] or row["usd_mid"] or 0.0 for row in rows]
    most = 1.2 * max([*tops, 1.0])
    step = (_WIDTH - _LEFT) / len(rows)

    def x(place: float) -> float:
        return _LEFT + step * place

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - value / most)

    band = [(x(i), x(i + 1), y(row["usd_high"]), y(row["usd_low"])) for i, row in enumerate(rows)
            if row["usd_low"] is not None and row["usd_high"] is not None]
    parts = [f'<rect x="{a:.1f}" y="{top:.1f}" width="{b - a + 0.3:.1f}" height="{max(low - top, 0.5):.1f}" '
             f'fill="{CALM}" opacity=".6"/>' for a, b, top, low in band]
    parts.append(_steps([(x(i), x(i + 1), y(row["usd_mid"])) for i, row in enumerate(rows)
                         if row["usd_mid"] is not None]))
    previous = None
    for i, row in enumerate(rows):
        if row["usd_mid"] is not None and row["node_type"] != previous:
            previous = row["node_type"]
            words = f"{previous.removeprefix('cache.')} {usd(row['usd_mid'])}"
            parts.append(f'<text x="{x(i) + 4:.1f}" y="{y(row["usd_mid"]) - 6:.1f}" fill="{INK}" '
                         f'font-size="12">{html.escape(words)}</text>')
    ticks = range(0, len(rows), max(len(rows) // 6, 1))
    parts += [f'<text x="{x(i):.1f}" y="{_HEIGHT - 8:.1f}" fill="{MUTED}" font-size="11">'
              f'{html.escape(rows[i]["month"])}</text>' for i in ticks]
    parts += [f'<text x="{_LEFT - 8:.1f}" y="{y(value) + 4:.1f}" fill="{MUTED}" font-size="11" '
              f'text-anchor="end">{usd(value)}</text>' for value in (0.0, most / 2.4, most / 1.2)]
    claim = f"{usd(rows[0]['usd_mid'])} in the first month, {usd(rows[-1]['usd_mid'])} in the last"
    return (f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="100%" style="max-width:{_WIDTH:g}px" '
            f'role="img" '
            f'aria-label="{html.escape(claim)}" font-family="DejaVu Sans, sans-serif">'
            f'<text x="0" y="13" fill="{MUTED}" font-size="11">USD a month: median world, 5–95 % of worlds'
            f'</text>{"".join(parts)}</svg>')


def _steps(spans: Sequence[tuple[float, float, float]]) -> str:
    points = [f"{a:.1f},{level:.1f} {b:.1f},{level:.1f}" for a, b, level in spans]
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{ACCENT}" stroke-width="2.5"/>'
