"""README and docs/tables.md from a file to predictions, as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tables(command: Any) -> None:
    """``mine.csv`` and ``new.csv``, in the directory of the test."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 80, 120), "city": rng.choice(["Oslo", "Rome"], 120)})
    frame["bought"] = np.where(frame["age"] + rng.normal(0, 9, 120) > 50, "yes", "no")
    frame["spent"] = 20.0 * frame["age"] + rng.normal(0, 50, 120)
    frame.to_csv("mine.csv", index=False)
    frame[["city", "age"]].sample(50, random_state=0).to_csv("new.csv", index=False)


def commands(page: str) -> list[list[str]]:
    """The lines of a page's blocks that work on ``mine.csv``, from the first to the last export, as words."""
    lines = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("scalarize ")]
    own = [shlex.split(line, comments=True)[1:] for line in lines]
    first = next(k for k, words in enumerate(own) if "mine.csv" in words)
    last = max(k for k, words in enumerate(own) if words[0] == "export")
    return own[first : last + 1]


def test_readme_from_a_file_to_a_prediction(command: Any) -> None:
    lines = commands("README.md")
    assert [words[0] for words in lines] == ["train", "predict", "export"]
    for words in lines:
        answer = command(*words)
        assert answer.status == 0, answer.err
    found = pd.read_csv("predictions.csv")
    assert list(found.columns) == ["bought", "spent"]
    assert len(found) == 50
    assert np.corrcoef(found["spent"], pd.read_csv("new.csv")["age"])[0, 1] > 0.9


def test_the_page_on_tables(command: Any) -> None:
    pytest.importorskip("safetensors")
    lines = commands("docs/tables.md")
    assert [words[0] for words in lines].count("predict") == 3
    for words in lines:
        answer = command(*words)
        assert answer.status == 0, answer.err
    assert len(pd.read_csv("better.csv")) == 50
    text = (ROOT / "docs/tables.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert len(names["predictions"]) == 120
    assert "bought: yes" in names["chances"]


def test_checks_that_do_not_apply_are_those_that_the_page_names() -> None:
    page = (ROOT / "docs/tables.md").read_text()
    source = (ROOT / "tests/runs/test_estimator.py").read_text().partition("NOT_MET = {")[2].partition("}")[0]
    assert set(re.findall(r"check_\w+", source)) == set(re.findall(r"`(check_\w+)`", page))
