from pathlib import Path

import pytest

from amply_capacity.catalog.files import CATALOG_DIR, SourceRow, read_table, source_texts
from amply_capacity.errors import BadInput


def test_missing_file_says_how_to_restore_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data are missing.*absent\.csv.*restore data/catalog"):
        read_table(SourceRow, tmp_path / "absent.csv")


@pytest.mark.parametrize("content", ["source,words\n1,a\n", "source,text\n1\n", "source,text\n1,a,b\n"])
def test_file_with_other_columns_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sources.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match="another version"):
        read_table(SourceRow, path)


@pytest.mark.parametrize("content", [b"", b"source,text\n1,\xff\xfe\n"])
def test_empty_or_binary_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sources.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="empty or not UTF-8"):
        read_table(SourceRow, path)


def test_every_source_text_is_there_once() -> None:
    texts = [row.text for row in read_table(SourceRow, CATALOG_DIR / "sources.csv")]
    assert all(texts)
    assert len(set(texts)) == len(texts)
    assert source_texts()[""] == ""
