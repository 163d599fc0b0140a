"""The script behind results/stacks.md tells right, refused and wrong apart, and its page has all its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("lightning")
pytest.importorskip("peft")
pytest.importorskip("transformers")

RESULTS = Path(__file__).resolve().parents[2] / "results"
if str(RESULTS) not in sys.path:
    sys.path.append(str(RESULTS))  # last: no script there may hide a package

import stacks_case  # noqa: E402
import torch  # noqa: E402

import scalarize  # noqa: E402
from scalarize.utils.errors import RequestError  # noqa: E402

FAST = ["plain loop", "feature pyramid: a dict", "complex parameters", "channels_last encoder, SGD(fused=True)",
        "Function that saves None", "Function in a checkpoint, use_reentrant=False", "Function under save_on_cpu",
        "Function that scales in place what it saved",
        "torch.compile (aot_eager) in a checkpoint, use_reentrant=False",
        "optimiser in backward (hooks of the nodes that accumulate, as torchrec's)"]  # fmt: skip


@pytest.mark.parametrize("name", FAST)
def test_stacks_of_one_process_are_right(name: str, benchmark: ModuleType) -> None:
    for level in benchmark.LEVELS:
        for method in ("uncertainty", "pcgrad", "mgda"):
            found = benchmark.outcome(name, method, level)
            assert isinstance(found, float), found
            assert found < stacks_case.STACKS[name][1]


def test_another_method_than_the_one_asked_for_is_wrong() -> None:
    def other(balancer: scalarize.Balancer) -> scalarize.Balancer:
        return scalarize.Balancer("uniform", shared=balancer.shared)

    def build() -> stacks_case.Case:
        return stacks_case.case(stacks_case.encoder(), torch.randn(16, 6), balancer=other)

    assert stacks_case.run(build, "uniform", "parameters") < 1e-5
    assert stacks_case.run(build, "mgda", "parameters") > 0.1


def test_an_update_of_other_elements_is_wrong() -> None:
    class Shuffled(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            weight = self.param_groups[0]["params"][0]
            weight.grad = weight.grad.flip(0)
            super().step()

    def build() -> stacks_case.Case:
        found = stacks_case.case(stacks_case.encoder(), torch.randn(16, 6))
        found.optimizer = lambda params, real: (Shuffled if real else torch.optim.SGD)(params, 0.1)
        return found

    assert stacks_case.run(build, "pcgrad", "parameters") > 0.1


def test_cells_name_what_happened(benchmark: ModuleType) -> None:
    table = benchmark.Table()
    outcomes = [1e-7, 0.5, RequestError("not so"), RuntimeError("inside"), RequestError("not so"), float("nan")]
    cells = [table.cell(x, 2e-3) for x in outcomes]
    assert cells == ["1e-07", "**WRONG 5e-01**", "refused 1", "**ERROR 2**", "refused 1", "**WRONG nan**"]
    assert table.counts == {"right": 1, "refused": 2, "wrong": 3}


def test_the_page_has_a_row_for_each_stack_and_none_is_wrong(benchmark: ModuleType) -> None:
    import stacks_processes

    page = (RESULTS / "stacks.md").read_text()
    rows = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")} - {"stack", "---"}
    assert rows == {*stacks_case.STACKS, *benchmark.stacks_loops.LOOPS, *stacks_processes.NAMES}
    bold = {line.split("|")[1].strip() for line in page.splitlines() if "**WRONG" in line or "**ERROR" in line}
    assert bold == set()
