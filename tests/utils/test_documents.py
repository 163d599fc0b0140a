"""Documents within their bounds are read as plain data; anything else is one line, said before it is unfolded."""

from __future__ import annotations

import math

import pytest
import yaml

from scalarize.utils import documents
from scalarize.utils.errors import RequestError

PLAIN = {"a": [1, 2.5, None, True, "ü", "1e-4", "2020-01-01", "no"], "b": {"c": []}, "d": "x\ny", "e": "\udcff"}


def test_what_is_written_is_read() -> None:
    shared = [1, 2]
    content = PLAIN | {"once": shared, "twice": shared}
    text = documents.to_yaml(content)
    assert "&" not in text.replace("&quot;", "")
    assert documents.from_yaml(text, "it") == content
    assert yaml.safe_load(text) == content


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x", r"it holds the alias \*x"),
        ("a: &x {b: *x}", r"it holds the alias \*x"),
        ("base: &x {a: 1}\nb:\n  <<: *x", r"it holds the alias \*x"),
        ("[" * 101 + "]" * 101, "nest deeper than 100"),
        ("a: " + "1" * 65, "a number of more than 64 digits"),
        ("a: " + ":".join(["1"] * 65), "a number of more than 64 digits"),
        ("a: !!python/object/apply:os.abort []", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !!set {b}", "could not determine a constructor"),
        ("a: [", "line 1|line 2"),
        ("{[a]: 1}", "unhashable key"),
        ("--- 1\n--- 2", "another document"),
        ("\x00", "control characters"),
    ],
)
def test_yaml_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RequestError, match=f"it: cannot be read: .*(?:{reason})") as found:
        documents.from_yaml(text, "it")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 101 + b"]" * 101, "nest deeper than 100"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nest deeper than 100"),
        (b"1" * 65, "a number of more than 64 digits"),
        (b"[-1e999]", "the number -1e999, which is too large"),
        (b"\xff", "can't decode byte"),
        (b"{", "Expecting"),
    ],
)
def test_json_that_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(RequestError, match=f"it: cannot be read as JSON: .*{reason}"):
        documents.from_json(content, "it")


def test_json_within_the_bounds_is_read() -> None:
    assert documents.from_json(b"[" * 100 + b"]" * 100, "it") == documents.from_yaml("[" * 100 + "]" * 100, "it")
    brackets = '"' + "[" * 500 + '\\"[["'
    assert documents.from_json(f"[{brackets}]".encode(), "it") == ["[" * 500 + '"[[']
    assert documents.from_json(b"[123456789012345678901234, 1e+007]", "it") == [123456789012345678901234, 1e7]
    assert math.isnan(documents.from_json(b"[NaN]", "it")[0])


def test_long_documents_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, read in (
        ("MOST_BYTES", documents.from_json),
        ("MOST_YAML", documents.from_yaml),
        ("MOST_TABLE", documents.from_csv),
    ):
        monkeypatch.setattr(documents, name, 2**20)
        with pytest.raises(RequestError, match="more than 1 MiB"):
            read(b"[" + b" " * 2**20 + b"]", "it")


def test_what_could_not_be_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_YAML", 1000)
    with pytest.raises(RequestError, match="the request is longer"):
        documents.to_yaml({"a": list(range(500))})


def test_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_VALUES", 100)
    assert documents.from_yaml("[" + "1," * 90 + "]", "it") == [1] * 90
    with pytest.raises(RequestError, match="more than 100 values"):
        documents.from_yaml("[" + "1," * 300 + "]", "it")


def test_tables_are_read_with_their_lines() -> None:
    assert documents.from_csv(b'\xef\xbb\xbfa,b\n"x\ny",2\n3,4\n', "it")[1:] == [(3, ["x\ny", "2"]), (4, ["3", "4"])]
    for wrong in (b"a\xff\n", b"a\n" + b"x" * 200_000):
        with pytest.raises(RequestError, match="it: cannot be read as CSV"):
            documents.from_csv(wrong, "it")
