"""Searches and trainings come out as recorded: the same bytes where the arithmetic is the recorded one.

The rule: nobody changes these numbers by accident. A change that alters them on purpose records the bytes anew in the
same commit (``python tests/same_product/record.py --write``, which prints what it changes, and ``make_old.py`` if it
concerns what that makes), and CHANGELOG.md names the methods and algorithms whose numbers are others now.

Under other packages or on another processor (``record.fingerprint``), validation values and policies agree to 1e-3.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from same_product import record

HELD = json.loads(record.RECORDED.read_text())
# A population, a Gaussian process and a regression; two methods of each family.
FAST = {f"search/{name}" for name in ("pbt", "pb2", "regression")}
FAST |= {f"train/{name}" for name in ("uniform", "rlw", "uncertainty", "famo", "pcgrad", "nash-mtl")}
NAMES = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in HELD["cases"]]


@pytest.fixture(scope="module")
def same_arithmetic() -> bool:
    return bool(record.fingerprint() == HELD["fingerprint"])


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_the_recorded_one(name: str, same_arithmetic: bool, tmp_path: Path) -> None:
    with record.inside(tmp_path):
        found = record.seen(record.cases()[name], "out")
    assert record.differences(HELD["cases"][name], found, same_arithmetic) == []


def test_every_algorithm_and_method_is_recorded() -> None:
    assert set(record.cases()) == set(HELD["cases"])
    assert set(HELD["cases"]) >= FAST
    assert [name for name, case in HELD["cases"].items() if "refused" in case] == []


def test_a_difference_is_seen() -> None:
    held = {"records.jsonl": "a1", "numbers": {"x": 0.5, "y": 40.0}}
    bits = {"records.jsonl": "b2", "numbers": {"x": 0.5004, "y": 40.03}}
    assert record.differences(held, held, True) == []
    assert len(record.differences(held, bits, True)) == 2
    assert record.differences(held, bits, False) == []
    assert record.differences(held, {**bits, "numbers": {"x": 0.502, "y": 40.0}}, False) == ["x: 0.5 is now 0.502"]
    assert record.differences(held, {"refused": "2: unknown method"}, False)
    assert record.differences(held, {**held, "numbers": {"x": 0.5}}, False)
