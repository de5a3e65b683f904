"""A workbook read back: every cell's text, number and formula; and formulas reckoned again."""

from __future__ import annotations

import io
import math
import re
import zipfile
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_FUNCTIONS: dict[str, Any] = {
    "SUM": lambda values: sum(values), "MAX": max, "ABS": abs, "INT": math.floor, "LOG10": math.log10,
    "ROUND": lambda value, digits: round(value, int(digits)),
}


@dataclass(frozen=True)
class Held:
    """What a cell holds; a formula with the value that was written beside it."""

    text: str | None
    number: float | None
    formula: str | None


class Book:
    """Sheets by name, in their order; cells by reference, `B7`."""

    def __init__(self, content: bytes) -> None:
        self.archive = zipfile.ZipFile(io.BytesIO(content))
        strings = ["".join(part.text or "" for part in one.iter(f"{_MAIN}t"))
                   for one in self._xml("xl/sharedStrings.xml")]
        names = [str(one.get("name")) for one in self._xml("xl/workbook.xml").iter(f"{_MAIN}sheet")]
        self.sheets = {name: self._cells(f"xl/worksheets/sheet{place}.xml", strings)
                       for place, name in enumerate(names, start=1)}

    def part(self, name: str) -> str:
        """A file of the archive."""
        return self.archive.read(name).decode()

    def rows(self, sheet: str) -> dict[int, dict[str, Held]]:
        """Rows of a sheet by their number, cells by column."""
        found: dict[int, dict[str, Held]] = {}
        for reference, cell in self.sheets[sheet].items():
            column, row = _parted(reference)
            found.setdefault(row, {})[column] = cell
        return found

    def row_of(self, sheet: str, text: str) -> int:
        """The first row whose first column says so."""
        return next(row for row, cells in self.rows(sheet).items()
                    if "A" in cells and cells["A"].text == text)

    def reckoned(self, sheet: str, reference: str) -> float | str:
        """The cell's formula, reckoned from the numbers that it refers to."""
        cell = self.sheets[sheet][reference]
        if cell.formula is None:
            assert cell.number is not None, (sheet, reference)
            return cell.number
        return self._evaluated(sheet, cell.formula)

    def _evaluated(self, sheet: str, formula: str) -> float | str:
        guarded = re.fullmatch(r'IFERROR\((.*),"([^"]*)"\)', formula)
        if guarded:
            try:
                return self._evaluated(sheet, guarded[1])
            except (ZeroDivisionError, ValueError):
                return guarded[2]

        def values(found: re.Match[str]) -> str:
            column, first, last = found[1], int(found[2]), int(found[4])
            return repr([self.reckoned(sheet, f"{column}{row}") for row in range(first, last + 1)])

        python = re.sub(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", values, formula.replace("$", ""))
        python = re.sub(r"\b([A-Z]{1,2}\d+)\b", lambda found: repr(self.reckoned(sheet, found[1])), python)
        result: float = eval(python, {"__builtins__": {}}, _FUNCTIONS)
        return result

    def _xml(self, name: str) -> ElementTree.Element:
        return ElementTree.fromstring(self.archive.read(name))

    def _cells(self, name: str, strings: list[str]) -> dict[str, Held]:
        found = {}
        for cell in self._xml(name).iter(f"{_MAIN}c"):
            value, formula = cell.find(f"{_MAIN}v"), cell.find(f"{_MAIN}f")
            kind = cell.get("t", "n")
            raw = None if value is None else value.text
            if raw is None:
                continue
            text = strings[int(raw)] if kind == "s" else raw if kind == "str" else None
            found[str(cell.get("r"))] = Held(text, float(raw) if kind == "n" else None,
                                             None if formula is None else formula.text)
        return found


def _parted(reference: str) -> tuple[str, int]:
    found = re.fullmatch(r"([A-Z]+)(\d+)", reference)
    assert found is not None
    return found[1], int(found[2])
