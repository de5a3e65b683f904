"""A text file that somebody hands in: read in blocks of whole lines, its faults named by their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from amply_capacity.errors import BadInput

__all__ = ["Block", "Faults", "blocks_of"]

_BLOCK_BYTES = 4 << 20
_HEAD_BYTES = 4096
_MOST_FAULTS = 10
_BOM = b"\xef\xbb\xbf"
_PACKED = {
    b"\x1f\x8b": ("gzip", "unpack it first: gunzip -k FILE"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unpack it first: unzstd FILE"),
    b"\xfd7zXZ\x00": ("xz", "unpack it first: unxz -k FILE"),
    b"BZh": ("bzip2", "unpack it first: bunzip2 -k FILE"),
    b"\x04\x22\x4d\x18": ("lz4", "unpack it first: unlz4 FILE"),
    b"PK\x03\x04": ("a zip archive", "unpack it first: unzip FILE"),
    b"PAR1": ("a Parquet file", "write it as text"),
    b"\xff\xfe": ("UTF-16 text", "write it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "write it as UTF-8"),
}


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of the file."""

    text: bytes
    """Each line ends in a line feed, maybe not the file's last."""
    first_line: int
    """The number of the first one; the file's first line is 1."""
    line_count: int
    end_byte: int
    """Bytes of the file up to its end."""


class Faults:
    """Collects what is wrong with a file, a fault a line, up to ten."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` the file is meant to be, e.g. `trace`."""
        self._path, self._what = path, what
        self._by_line: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self._by_line)

    def add(self, line: int, text: str) -> None:
        """Note a fault; of one line the first counts. Raises BadInput with the tenth."""
        self._by_line.setdefault(line, text)
        if len(self._by_line) == _MOST_FAULTS:
            self.fail()

    def fail(self) -> NoReturn:
        """Raise BadInput with what was noted."""
        more = " (the first ten)" if len(self._by_line) == _MOST_FAULTS else ""
        named = "; ".join(f"line {line}: {text}" for line, text in sorted(self._by_line.items()))
        raise BadInput(f"{self._path} is no sound {self._what}, and nothing was imported", got=named + more,
                       do="correct these lines, or leave them out")


def blocks_of(path: Path, faults: Faults, *, longest_line_bytes: int, do: str) -> Iterator[Block]:
    """The file's lines in blocks of 4 MB and a line; a byte order mark is left out.

    A line beyond `longest_line_bytes` is a fault, and never held whole where it does not fit into a block.
    Raises BadInput, with what to `do`, for a file that cannot be read, is empty, or begins like no text.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise BadInput(f"{path} cannot be read", got=error.strerror or str(error), do=do) from None
    rest, line, read_bytes, skips = b"", 1, 0, False
    with file:
        while chunk := _read(path, file, do):
            if read_bytes == 0:
                _check_head(path, chunk, do)
            read_bytes += len(chunk)
            if read_bytes == len(chunk):
                chunk = chunk.removeprefix(_BOM)
            if skips:
                end = chunk.find(b"\n") + 1
                if end == 0:
                    continue
                chunk, line, skips = chunk[end:], line + 1, False
            end = chunk.rfind(b"\n") + 1
            if end:
                block = _block(rest + chunk[:end], line, read_bytes - (len(chunk) - end))
                chunk, rest = chunk[end:], b""
                _check_lengths(block, faults, longest_line_bytes)
                yield block
                line += block.line_count
            rest += chunk
            if len(rest) > longest_line_bytes:
                faults.add(line, _too_long(longest_line_bytes))
                rest, skips = b"", True
    if read_bytes == 0:
        raise BadInput(f"{path} is empty", got="0 bytes", do=do)
    if rest:
        yield _block(rest, line, read_bytes)


def _read(path: Path, file: BinaryIO, do: str) -> bytes:
    try:
        return file.read(_BLOCK_BYTES)
    except OSError as error:
        raise BadInput(f"{path} cannot be read", got=error.strerror or str(error), do=do) from None


def _block(text: bytes, line: int, end_byte: int) -> Block:
    return Block(text, line, text.count(b"\n") + (not text.endswith(b"\n")), end_byte)


def _check_head(path: Path, head: bytes, do: str) -> None:
    for magic, (kind, remedy) in _PACKED.items():
        if head.startswith(magic):
            raise BadInput(f"{path}, line 1: this is no plain text", got=kind,
                           do=remedy.replace("FILE", str(path)))
    start = head[:_HEAD_BYTES].partition(b"\n")[0]
    if any(byte < 32 and byte not in b"\t\r" for byte in start):
        raise BadInput(f"{path}, line 1: this is no text", got=f"binary data, {start[:24]!r}", do=do)


def _check_lengths(block: Block, faults: Faults, longest: int) -> None:
    if len(block.text) <= longest:
        return
    ends = np.flatnonzero(np.frombuffer(block.text, dtype=np.uint8) == ord("\n"))
    for number in np.flatnonzero(np.diff(ends, prepend=-1) - 1 > longest):
        faults.add(block.first_line + int(number), _too_long(longest))


def _too_long(longest: int) -> str:
    return f"longer than {longest >> 20} MB"
