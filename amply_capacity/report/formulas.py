"""What the workbook reckons itself: formulas of its figures, a what-if on the replica, and charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from amply_capacity.report.cells import Cell, count, money, number
from amply_capacity.report.layout import Table
from amply_capacity.report.sheet import Formula, Sheet

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook

__all__ = ["add_break_even", "add_charts", "formula_of", "total_of"]

_CENT_HUNDREDTH = 1e-4
_ROUNDED_TOTALS = 0.02
"""Totals are rounded to cents before they are subtracted here, and after it in the plan."""
_ACCENT, _CALM, _WARN = "#0072b2", "#9ecae9", "#d55e00"
_INPUT = "#fff8e1"


def formula_of(table: Table) -> Formula | None:
    """Formulas of a table's cells; a figure that the formula would not give stays a plain number."""
    made = _COLUMNS.get(table.key)
    return None if made is None else lambda row, column: made(table, row, column)


def total_of(table: Table) -> Mapping[int, str]:
    """Formulas of the line below a table, by column."""
    place = {"bill": 4, "months": 5}.get(table.key)
    return {} if place is None else {place: f"SUM({{c{place}}}{{first}}:{{c{place}}}{{last}})"}


def add_break_even(sheet: Sheet, plan: Mapping[str, Any]) -> None:
    """The replica's arithmetic at the medians, with numbers that may be changed."""
    at = plan["replica"]["medians"]
    inputs = (
        ("failures of a node per year", number(at["failures_per_year"])),
        ("minutes without Redis when a single node fails", number(at["minutes_single"])),
        ("minutes without Redis when a replica takes over", number(at["minutes_replica"])),
        ("USD for each minute of downtime", money(at["usd_per_downtime_minute"])),
        ("registered users", count(at["users"])),
        ("live sessions of a user", number(at["sessions_per_user"])),
        ("USD for each lost session", money(at["usd_per_lost_session"], exact=True)),
        ("log-ins of a user per day", number(at["logins_per_user_day"])),
        ("replication lag, seconds", number(at["replication_lag_seconds"])),
        ("USD a month for a replica", money(plan["replica"]["usd_per_month"])),
        ("minutes until an emptied cache is warm", number(at["refill_minutes"])),
        ("USD for each such slow minute", money(at["usd_per_breached_slo_minute"], exact=True)),
    )
    sheet.take_row()
    sheet.label(sheet.take_row(), 0, "What if? Change the yellow cells; all at the medians", bold=True)
    begins = sheet.take_row()
    for place, (label, cell) in enumerate(inputs):
        row = begins if place == 0 else sheet.take_row()
        sheet.label(row, 0, label)
        sheet.figure(row, 1, cell, bg_color=_INPUT)
    sheet.tables["what_if"] = (begins, begins + len(inputs) - 1)
    values = [cell.number or 0.0 for _, cell in inputs]
    cells = [f"B{begins + 1 + place}" for place in range(len(inputs))]
    for label, formula, value in _replica_formulas(cells, values):
        row = sheet.take_row()
        sheet.label(row, 0, label, bold=True)
        if value is None:
            sheet.label(row, 1, "never")
        else:
            sheet.figure(row, 1, value, formula, bold=True)


def add_charts(workbook: Workbook, sheet: Sheet, section: str) -> None:
    """A chart of the section's table, of cells alone, so that it changes with them."""
    drawn = _CHARTS.get(section)
    if drawn is None or drawn[0] not in sheet.tables:
        return
    key, kind, title, axis, series = drawn
    (first, last), columns = sheet.tables[key], sheet.columns[key]
    chart = workbook.add_chart({"type": kind})
    for place, colour, width in series:
        look = {"line": {"color": colour, "width": width}} if kind == "line" else {"fill": {"color": colour}}
        chart.add_series({"name": [sheet.name, first - 1, columns[place]],
                          "categories": [sheet.name, first, 0, last, 0],
                          "values": [sheet.name, first, columns[place], last, columns[place]], **look})
    chart.set_title({"name": title, "name_font": {"size": 12, "color": "#0b2a42"}})
    value_axis = {"name": axis, "num_format": "General", "major_gridlines": {"visible": True,
                                                                           "line": {"color": "#dfe6ec"}}}
    if kind == "bar":
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis(value_axis)
        chart.set_legend({"none": True})
    else:
        chart.set_y_axis({**value_axis, "min": 0})
        chart.set_x_axis({"num_format": "mmm yyyy", "date_axis": True, "major_unit": 3,
                          "major_unit_type": "months"})
        chart.set_legend({"position": "bottom"})
    sheet.chart(chart, title)


def _replica_formulas(at: list[str], values: list[float]) -> list[tuple[str, str, Cell | None]]:
    """Label, formula and value, None for "never": the closed forms of `plan.replicas.break_even`."""
    failures, single, takes_over, minute, users, sessions, lost, logins, lag, price, refill, slow = values
    minutes, user_usd = single - takes_over, max(sessions - logins / 86_400.0 * lag, 0.0) * lost
    refill_usd = refill * slow
    failure_usd = minutes * minute + users * user_usd + refill_usd
    wanted_usd = 12.0 * price / failures if failures > 0.0 else None

    def even(rest_usd: float, each_usd: float) -> float | None:
        return None if wanted_usd is None or each_usd <= 0.0 else max((wanted_usd - rest_usd) / each_usd, 0.0)

    f, s, o, m, u, n, x, i, g, p, r, b = at
    saved, each, cold = f"({s}-{o})", f"(MAX({n}-{i}/86400*{g},0)*{x})", f"{r}*{b}"
    failure, wanted = f"({saved}*{m}+{u}*{each}+{cold})", f"12*{p}/{f}"
    found = (
        ("breaks even at failures per year", f"12*{p}/{failure}",
         12.0 * price / failure_usd if failure_usd > 0.0 else None),
        ("breaks even at USD for each minute of downtime", f"MAX(({wanted}-{u}*{each}-{cold})/{saved},0)",
         even(users * user_usd + refill_usd, minutes)),
        ("breaks even at registered users", f"MAX(({wanted}-{saved}*{m}-{cold})/{each},0)",
         even(minutes * minute + refill_usd, user_usd)),
    )
    # As the plan says them: four significant digits.
    return [("USD a month that a replica avoids", f"{f}/12*{failure}", money(failures / 12.0 * failure_usd)),
            *((label, f'IFERROR(ROUND({formula},3-INT(LOG10(MAX({formula},1E-9)))),"never")',
               None if value is None else _shown(label, float(f"{value:.4g}")))
              for label, formula, value in found)]


def _shown(label: str, value: float) -> Cell:
    return money(value) if "USD" in label else number(value, significant=2)


def _bill(table: Table, row: int, column: int) -> str | None:
    cells = table.rows[row].cells
    quantity, price, usd = (cells[place].number for place in (1, 3, 4))
    if column != 4 or quantity is None or price is None or usd is None:
        return None
    return "ROUND({c1}{row}*{c3}{row},4)" if abs(quantity * price - usd) < _CENT_HUNDREDTH else None


def _spec(table: Table, row: int, column: int) -> str | None:
    if table.rows[row].cells[2].number is None:
        return None
    return {3: "{c2}{row}-{c1}{row}", 4: "{c3}{row}/{c1}{row}"}.get(column)


def _headroom(table: Table, row: int, column: int) -> str | None:
    return "1-{c4}{row}/{c5}{row}" if column == 7 and table.rows[row].cells[5].number else None


def _ways(table: Table, row: int, column: int) -> str | None:
    cells = table.rows[row].cells
    own, total, beside = table.rows[0].cells[2].number, cells[2].number, cells[5].number
    if column != 5 or own is None or total is None or beside is None:
        return None
    return "{c2}{row}-{c2}${first}" if abs(total - own - beside) < _ROUNDED_TOTALS else None


_COLUMNS: dict[str, Callable[[Table, int, int], str | None]] = {
    "bill": _bill, "spec": _spec, "headroom": _headroom, "ways": _ways}

_CHARTS: dict[str, tuple[str, str, str, str, tuple[tuple[int, str, float], ...]]] = {
    "cost": ("months", "line", "The bill of each month: median, and 5 to 95 % of worlds", "USD a month",
             ((5, _ACCENT, 2.5), (3, _CALM, 1.5), (7, _WARN, 1.5))),
    "why": ("headroom", "bar", "What is left of each limit", "share left", ((7, _ACCENT, 1.0),)),
    "replica": ("replica_months", "line", "Share of the worlds in which a replica pays", "share of worlds",
                ((1, _ACCENT, 2.5),)),
}
"""By section: table, kind, title, axis, and its places with their colour and width."""
