from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.errors import BadInput
from amply_capacity.run import text_file
from amply_capacity.run.text_file import Block, Faults, blocks_of


def read(path: Path, longest: int = 1000) -> tuple[list[Block], Faults]:
    faults = Faults(path, "text")
    return list(blocks_of(path, faults, longest_line_bytes=longest, do="write something")), faults


@given(lines=st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=12),
       ends=st.booleans(), size=st.integers(1, 60))
def test_blocks_are_the_file_in_whole_lines_with_their_numbers(
        tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ends: bool, size: int) -> None:
    text = b"begin" + b"\n".join(lines) + (b"\n" if ends else b"")
    path = tmp_path_factory.mktemp("blocks") / "file"
    path.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_file, "_BLOCK_BYTES", size)
        patch.setattr(text_file, "_check_head", lambda *_: None)
        blocks, faults = read(path)
    assert not faults
    assert b"".join(block.text for block in blocks) == text
    number = 1
    for block in blocks:
        assert block.first_line == number
        assert block.line_count == len(block.text.splitlines(keepends=False)) or b"\r" in block.text or any(
            byte in block.text for byte in b"\x0b\x0c\x1c\x1d\x1e\x85")
        number += block.text.count(b"\n")
    assert all(block.text.endswith(b"\n") for block in blocks[:-1])
    assert blocks[-1].end_byte == len(text)


@pytest.mark.parametrize("size", [16, 50, 4096])
def test_a_line_that_is_too_long_is_named_whether_it_fits_into_a_block_or_not(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int) -> None:
    monkeypatch.setattr(text_file, "_BLOCK_BYTES", size)
    path = tmp_path / "file"
    path.write_bytes(b"one\n" + b"x" * 101 + b"\nthree\n" + b"y" * 500 + b"\n" + b"z" * 100 + b"\nsix")
    blocks, faults = read(path, longest=100)
    with pytest.raises(BadInput) as raised:
        faults.fail()
    assert raised.value.got is not None
    assert [word.partition(":")[0] for word in raised.value.got.split("; ")] == ["line 2", "line 4"]
    assert b"three\n" in b"".join(block.text for block in blocks)
    assert blocks[-1].text.endswith(b"six")
    assert blocks[-1].first_line + blocks[-1].line_count - 1 == 6


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\n")
    (block,), _ = read(path)
    assert block.text == b"one\n"


@pytest.mark.parametrize(("content", "kind"), [
    (gzip.compress(b"one\n", mtime=0), "gzip"), (lzma.compress(b"one\n"), "xz"),
    (b"\x28\xb5\x2f\xfd1234", "zstd"), (b"PK\x03\x04 zip", "zip"), (b"PAR1 parquet", "Parquet"),
    ("one\n".encode("utf-16"), "UTF-16"), (b"\x7fELF\x02\x01\x00", "binary"), (b"a\x00b\n", "binary"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_that_is_no_text_is_said_to_be_what_it_is(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"file, line 1.*{kind}"):
        read(path)


def test_a_file_that_is_not_there_a_folder_and_an_empty_file_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "directory"),
                        (tmp_path / "empty", "empty")):
        with pytest.raises(BadInput, match=words):
            read(path)


def test_ten_faults_are_enough_and_one_line_has_one(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "file", "trace")
    for line in range(1, 10):
        faults.add(line, "wrong")
        faults.add(line, "wrong again")
    with pytest.raises(BadInput, match=r"line 1: wrong; .*line 10: wrong \(the first ten\)"):
        faults.add(10, "wrong")
