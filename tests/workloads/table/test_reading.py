"""Tables as people have them: separators, BOM, gzip, Parquet; and rows that would be shifted are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalarize.utils.errors import RequestError
from scalarize.workloads.table import reading

PLAIN = "a,b,c\n" + "".join(f"{k},{k / 4},w{k % 3}\n" for k in range(12))
VARIETIES = {
    "semicolon": PLAIN.replace(",", ";").encode(),
    "tab": PLAIN.replace(",", "\t").encode(),
    "bar": PLAIN.replace(",", "|").encode(),
    "BOM": b"\xef\xbb\xbf" + PLAIN.encode(),
    "gzip": gzip.compress(PLAIN.encode()),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "decimal comma": PLAIN.replace(",", ";").replace(".", ",").encode(),
    "a separator at every end": PLAIN.replace("\n", ",\n").encode(),
    "blanks in the header": PLAIN.replace("a,b,c", " a, b ,c").encode(),
}


@pytest.mark.parametrize("variety", VARIETIES)
def test_a_table_is_read_whatever_way_it_is_written(variety: str, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(PLAIN)
    (tmp_path / "other").write_bytes(VARIETIES[variety])  # what it is follows from the content, not from the name
    plain, other = reading.read(tmp_path / "plain.csv"), reading.read(tmp_path / "other")
    pd.testing.assert_frame_equal(other.frame, plain.frame)
    assert other.frame["b"].dtype == np.float64


def test_parquet_and_frames_are_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(PLAIN)
    frame = pd.read_csv(tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "t")
    pd.testing.assert_frame_equal(reading.read(tmp_path / "t").frame, frame)
    taken = reading.from_frame(frame)
    taken.frame.pop("a")
    assert list(frame.columns) == ["a", "b", "c"]  # the user's own is left as it was
    assert taken.hash == reading.from_frame(frame.copy()).hash
    assert taken.hash != reading.from_frame(frame.assign(b=frame.b.where(frame.index != 3, 9.0))).hash
    assert taken.hash != reading.from_frame(frame.rename(columns={"b": "d"})).hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header names 2"),
        ("a,b\n" + "x,1,2\n" * 9, "line 2 has 3 fields"),  # which pandas would read with the first field as row names
        ("a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("a, a\n1,2\n", "two columns are called 'a'"),
        ("", "is empty"),
    ],
)
def test_what_would_shift_columns_is_refused_by_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RequestError, match=said):
        reading.read(tmp_path / "t.csv")


def test_a_quoted_line_break_is_counted_as_the_editor_counts_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"one\ntwo",2\n3,4,5\n')
    with pytest.raises(RequestError, match="line 4 has 3 fields"):
        reading.read(tmp_path / "t.csv")


def test_a_column_without_a_name_is_known_as_such(tmp_path: Path) -> None:
    pd.read_csv(write(tmp_path, PLAIN)).to_csv(tmp_path / "with-index.csv")
    found = reading.read(tmp_path / "with-index.csv")
    assert found.nameless == ("column 1",)
    assert list(found.frame.columns) == ["column 1", "a", "b", "c"]


def test_a_column_has_one_kind_however_long_it_is(tmp_path: Path) -> None:
    rows = 300_000  # more than what pandas reads in one piece by default
    values = [*["1", "0"] * (rows // 2 - 1), "1", "?"]
    path = write(tmp_path, "late\n" + "\n".join(values) + "\n")
    assert sorted(reading.read(path).frame["late"].unique()) == ["0", "1", "?"]


def test_words_for_missing_stay_words(tmp_path: Path) -> None:
    path = write(tmp_path, "region,x\n" + "NA,1\nEU,\nNone,3\n,4\n")
    frame = reading.read(path).frame
    assert frame["region"].tolist()[:3] == ["NA", "EU", "None"]
    assert pd.isna(frame["region"][3])
    assert pd.isna(frame["x"][1])


def test_damage_is_one_line(tmp_path: Path) -> None:
    cases = {"latin.csv": "é,b\n1,2\n".encode("latin-1"), "cut.gz": gzip.compress(PLAIN.encode() * 9)[:40]}
    cases |= {"cut.parquet": b"PAR1 and no more"}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RequestError, match=name) as caught:
            reading.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(RequestError, match="is a directory"):
        reading.read(tmp_path)


def write(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path
