"""The examples inside other people's training code run where that is installed, and learn both tasks."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What other projects warn about themselves is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")


def run(name: str, *packages: str) -> dict[str, Any]:
    """The names that an example defines; skipped where it needs what is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (pip install {' '.join(packages)})")
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_a_lightning_module_keeps_the_method_in_its_checkpoint(tmp_path: Path) -> None:
    example = run("lightning_module", "lightning")
    module = example["main"]("famo", 12, str(tmp_path))
    for task in ("slope", "side"):
        assert module.course[-1][task] < 0.5 * module.course[0][task]
    fresh = example["TwoTasks"].load_from_checkpoint(tmp_path / "two_tasks.ckpt", method="famo")
    before, after = module.balancer.state_dict(), fresh.balancer.state_dict()
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)
    assert any(value.abs().sum() > 0 for value in after.values())


def test_the_trainer_of_hugging_face_with_two_losses() -> None:
    course = run("hugging_face_trainer", "transformers", "accelerate")["main"]("pcgrad", 6)
    for task in ("topic", "size"):
        assert course[-1][task] < 0.3 * course[0][task]


@pytest.mark.parametrize("method", ["cagrad", "imtl-g", "nash-mtl"])
def test_a_lightning_module_in_mixed_precision_learns_what_it_learns_in_full(method: str) -> None:
    example = run("lightning_module", "lightning")
    half, full = (example["main"](method, 12, None, precision).course[-1] for precision in ("bf16-mixed", "32-true"))
    for task in ("slope", "side"):
        assert abs(half[task] - full[task]) < 0.25 * full[task] + 0.02


def test_an_aggregator_of_torchjd() -> None:
    for course in run("torchjd_aggregator", "torchjd")["train"](40):
        assert course[-1] < 0.9 * course[0]
