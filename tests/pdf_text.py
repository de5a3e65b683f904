"""The text of a PDF as typst writes it: what a reader can select, page by page."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"/(f\d+) [\d.]+ Tf|(\()|(ET)")
_ESCAPE = re.compile(rb"\\([0-7]{3}|[nrtbf()\\])")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Pdf:
    """Pages, links and facts of a document."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._objects = dict(_OBJECT.findall(content))
        kids = re.search(rb"/Type/Pages/Count \d+/Kids\[([^\]]*)\]", content)
        assert kids is not None
        self._pages = [self._objects[number] for number in re.findall(rb"(\d+) 0 R", kids[1])]

    @property
    def pages(self) -> list[str]:
        """The text of each; spaces and line ends are not told apart from gaps."""
        return [self._text(page) for page in self._pages]

    @property
    def text(self) -> str:
        return "\n".join(self.pages)

    @property
    def sizes(self) -> set[bytes]:
        """Of the pages."""
        return set(re.findall(rb"/MediaBox\[([^\]]*)\]", self.content))

    @property
    def fonts(self) -> set[str]:
        """Families that are embedded."""
        found = {name.decode().removesuffix("-Identity-H") for name in re.findall(
            rb"/BaseFont/[A-Z]{6}\+([^/\s>]+)", self.content)}
        return {re.sub(r"-(Bold|Italic|BoldItalic|Oblique|Regular)$", "", one) for one in found}

    @property
    def links(self) -> int:
        """Places that lead to another place of the document."""
        return len(re.findall(rb"/Subtype/Link", self.content))

    def _text(self, page: bytes) -> str:
        resources = re.search(rb"/Resources (\d+) 0 R", page)
        fonts_of = page if resources is None else self._objects[resources[1]]
        table = re.search(rb"/Font<<(.*?)>>", fonts_of, re.DOTALL)
        fonts = {} if table is None else {
            name: self._letters(number) for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", table[1])}
        contents = re.search(rb"/Contents (\d+) 0 R", page)
        assert contents is not None
        parts: list[str] = []
        letters: dict[bytes, str] = {}
        drawn, at = self._stream(contents[1]), 0
        while (found := _SHOWN.search(drawn, at)) is not None:
            at = found.end()
            if found[1]:
                letters = fonts[found[1]]
            elif found[3]:
                parts.append(" ")
            else:
                at = _closing(drawn, at)
                if drawn[:found.start()].rpartition(b"/")[2].isalpha():  # /Alt(…) describes, it is not drawn
                    continue
                codes = _ESCAPE.sub(lambda one: _unescaped(one[1]), drawn[found.end():at])
                parts.append("".join(letters[codes[one:one + 2]] for one in range(0, len(codes), 2)))
        return "".join(parts)

    def _letters(self, font: bytes) -> dict[bytes, str]:
        """Text by two-byte code."""
        mapping = re.search(rb"/ToUnicode (\d+) 0 R", self._objects[font])
        assert mapping is not None
        return {bytes.fromhex(code.decode()): bytes.fromhex(text.decode()).decode("utf-16-be")
                for code, text in re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>\n", self._stream(mapping[1]))}

    def _stream(self, number: bytes) -> bytes:
        found = _STREAM.search(self._objects[number])
        assert found is not None
        is_packed = b"/FlateDecode" in self._objects[number][:found.start()]
        if not is_packed:
            return found[1]
        # Not up to `endstream`: the last packed byte may look like the end of a line.
        return zlib.decompressobj().decompress(self._objects[number][found.start(1):])


def squeezed(text: str) -> str:
    """Without what a line break may have put in or taken out."""
    return re.sub(r"\s+", "", text)


def _closing(drawn: bytes, at: int) -> int:
    """Where a string ends; parentheses within may be balanced instead of escaped."""
    depth = 1
    while True:
        if drawn[at:at + 1] == b"\\":
            at += 1
        elif drawn[at:at + 1] == b"(":
            depth += 1
        elif drawn[at:at + 1] == b")":
            depth -= 1
            if depth == 0:
                return at
        at += 1


def _unescaped(escape: bytes) -> bytes:
    return bytes([int(escape, 8)]) if escape.isdigit() else _ESCAPED.get(escape, escape)
