"""Secrets that tests seed: each bears one mark, so that a search finds any of them in whatever was left.

The mark is letters and digits, which URLs, JSON, HTML and PDF leave as they are. Where a test itself has to
write a secret, it does so by `keep`, which notes the file as the one that may hold it.
"""

from __future__ import annotations

import base64
import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pdf_text import Pdf, squeezed

__all__ = ["AWS_SECRET_KEY", "MARK", "SEEDS", "contents", "keep", "leaks", "seeded", "traces"]

MARK = "Xk7SeededQ4"
SEEDS: set[Path] = set()
"""Files that tests of this process wrote secrets into."""
_PACKED = (".xlsx", ".zip", ".whl")


def seeded(name: str) -> str:
    """A secret of that name."""
    return f"{MARK}-{name}"


AWS_SECRET_KEY = seeded("key/of+aws")
"""With the signs that real ones have, which URLs have to escape."""


def keep(path: Path, text: str) -> Path:
    """Write a secret into a private file, where no search complains of it."""
    path.write_text(text)
    path.chmod(0o600)
    SEEDS.add(path.resolve())
    return path


def traces(secret: str) -> tuple[bytes, ...]:
    """The bytes by which a secret shows: as it is, in hexadecimal, and in base64 wherever it begins."""
    plain = secret.encode()
    found = [plain, plain.hex().encode(), plain.hex().upper().encode(), secret.encode("utf-16-le")]
    for before in range(3):
        letters = base64.b64encode(bytes(before) + plain)
        # Only those letters that nothing before or after the secret can change.
        letters = letters[-(-before * 8 // 6):(before + len(plain)) * 8 // 6]
        found += [letters, letters.translate(bytes.maketrans(b"+/", b"-_"))]
    return tuple(dict.fromkeys(found))


def contents(path: Path, *, is_quick: bool = False) -> Iterator[bytes]:
    """What a file holds: its bytes, and what is packed in them.

    Where it has to be quick, tables are left out but for a run's events, which hold the words of errors, and
    so is what a PDF shows, which stands in the other formats too.
    """
    content = path.read_bytes()
    yield content
    if is_quick and (path.suffix == ".pdf" or (path.suffix == ".parquet" and path.stem != "events")):
        return
    # What a test broke on purpose, or is being written, has nothing to unpack; Arrow's errors are such too.
    with contextlib.suppress(zipfile.BadZipFile, zlib.error, ValueError, OSError, AssertionError, KeyError):
        yield from _unpacked(path, content)


def leaks(places: Iterable[Path], secrets: Iterable[str] = (MARK,), *, is_quick: bool = False) -> list[str]:
    """The files below these places that hold a secret, or are named by one; but for those in SEEDS."""
    wanted = [trace for secret in secrets for trace in traces(secret)]
    found = []
    for path in sorted({path for place in places for path in _files(place)}):
        if path.resolve() in SEEDS:
            continue
        try:
            parts = [str(path).encode(), *contents(path, is_quick=is_quick)]
        except OSError:  # it has gone with its process
            continue
        if any(trace in part for part in parts for trace in wanted):
            found.append(str(path))
    return found


def _files(place: Path) -> Iterator[Path]:
    """Regular files alone: a link leads elsewhere, and reading a socket or a pipe may have no end."""
    for path in (place, *place.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _unpacked(path: Path, content: bytes) -> Iterator[bytes]:
    if path.suffix in _PACKED:
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(path)
        words = [field.name for field in table.schema_arrow
                 if pa.types.is_string(field.type) or pa.types.is_dictionary(field.type)]
        for column in table.read(columns=words).columns if words else ():
            yield "\n".join(map(str, column.unique().to_pylist())).encode()
    elif path.suffix == ".pdf":
        for stream in re.finditer(rb"stream\r?\n", content):
            with contextlib.suppress(zlib.error):  # it was not packed
                yield zlib.decompressobj().decompress(content[stream.end():])
        yield squeezed(Pdf(content).text).encode()
