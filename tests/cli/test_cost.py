"""``cost``: every method's step beside a bare one."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_cost_tells_every_methods_step_beside_a_bare_one(command: Any, precision: str) -> None:
    words = ("cost", "rand-hie-sites", "--methods", "uniform,pcgrad", "--repeats", 2, "--precision", precision)
    answer = command(*words, "--json")
    assert [r["method"] for r in answer.json["rows"]] == ["bare", "floor", "uniform", "pcgrad"]
    assert all(r["seconds"] > 0 and r["to_bare"] > 0 for r in answer.json["rows"])


def test_an_unknown_method_is_refused_by_name(command: Any) -> None:
    answer = command("cost", "rand-hie-sites", "--methods", "pcgrd")
    assert answer.status == 2
    assert "did you mean 'pcgrad'" in answer.err
