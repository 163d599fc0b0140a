"""Parallel text in plain files: what is read, and the line that is named where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import parallel


def test_two_files_and_a_table_are_read_alike(tmp_path: Path) -> None:
    # A line separator of Unicode's own is no line's end; an empty side is left out; so is a mark of byte order.
    (tmp_path / "train.en").write_bytes("\ufeffone\ntwo\u2028more\n\nlast\r\n".encode())
    (tmp_path / "train.fr").write_bytes(b"un\ndeux\nrien\ndernier")
    expected = [("one", "un"), ("two\u2028more", "deux"), ("last", "dernier")]
    assert list(parallel.pairs(tmp_path, "fr", "train")) == expected
    (tmp_path / "train.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in expected), newline="")
    (tmp_path / "train.fr").unlink()
    assert list(parallel.pairs(tmp_path, "fr", "train")) == expected


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train.en": b"a\nb\n", "train.fr": b"a\n"}, "train.en: line 2 has no counterpart: .*train.fr"),
        ({"train.en": b"a\n", "train.fr": b"a\nb\nc\n"}, "train.fr: line 2 has no counterpart: .*train.en"),
        ({"train.en": b"a\nb\n", "train.fr": b"a\n\xff\xfe\n"}, "train.fr: line 2 is not UTF-8"),
        ({"train.tsv": b"a\tb\na b\n"}, "train.tsv: line 2: expected English, a tab and fr"),
        ({"train.tsv": b"a\tb\tc\n"}, "train.tsv: line 1: expected English, a tab and fr"),
        ({"train.en": b"a\n"}, "train.fr: no such file"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=said):
        list(parallel.pairs(tmp_path, "fr", "train"))
