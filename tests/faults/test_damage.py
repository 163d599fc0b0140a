"""Every stored file damaged in every way: refused in one line, or the bytes of an undisturbed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from damage import amounts
from faults import trials


@pytest.mark.parametrize("asked", [{}, {"asynchronous": True}], ids=["pbt", "without a barrier"])
@amounts(1, 60)
def test_a_search(tmp_path: Path, examples: int, asked: dict[str, Any]) -> None:
    found = trials.damaged_search(tmp_path, examples, **asked)
    assert found.failed == []
    assert found.tried >= 30


@amounts(2, 60)
def test_a_training(tmp_path: Path, examples: int) -> None:
    found = trials.damaged_training(tmp_path, examples)
    assert found.failed == []
    assert found.tried >= 20
