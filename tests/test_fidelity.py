"""``docs/fidelity.md``: a verdict for every item, counts that are those of the rows, files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fidelity.md").read_text()
ITEMS = {"R": 64, "K": 57, "X": 43}
ROWS = {row[1]: (row[2], row[3]) for row in re.finditer(r"^\| ([RKX]\d+) \| .*? \| (.*) \| (.*?) \|$", PAGE, re.M)}


def kind(verdict: str) -> int:
    deviates = "stated deviation" in verdict
    if verdict.startswith("faithful"):
        return 1 if deviates else 0
    return 2 if verdict.startswith("stated deviation: ") else 3


def test_every_item_has_a_verdict_with_its_reason() -> None:
    assert set(ROWS) == {f"{paper}{k}" for paper, count in ITEMS.items() for k in range(1, count + 1)}
    for item, (verdict, _) in ROWS.items():
        assert re.match(r"faithful|stated deviation: \w|missing: \w", verdict), item
    assert not re.search(r"(\| |^#+ |^)wrong", PAGE, re.M | re.I)


def test_counts_are_those_of_the_rows() -> None:
    told = [
        [int(n) for n in re.findall(r"\d+", row)]
        for row in re.findall(r"^\| [A-Z][a-z].*? et al\. \d{4}(.*)$", PAGE, re.M)
    ]
    for (paper, count), numbers in zip(ITEMS.items(), told, strict=True):
        found = [kind(verdict) for item, (verdict, _) in ROWS.items() if item[0] == paper]
        assert numbers == [count, *(found.count(k) for k in range(4))]
    (together,) = re.findall(r"^\| together (.*)$", PAGE, re.M)
    assert [int(n) for n in re.findall(r"\d+", together)] == [sum(column) for column in zip(*told, strict=True)]


@pytest.mark.parametrize("item", ROWS)
def test_the_files_of_an_item_are_there(item: str) -> None:
    for named in re.sub(r"\(.*?\)", "", ROWS[item][1]).split(";"):
        name = named.strip()
        if not name.startswith("on the page"):
            place = ROOT if name.startswith(("tests", "results")) else ROOT / "src" / "scalarize"
            assert (place / name).exists(), name
