"""balanced_backward in the loop of accelerate ends where a training by hand with reference gradients ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

accelerate = pytest.importorskip("accelerate")

import stacks_hand as hand  # noqa: E402
import stacks_loops as loops  # noqa: E402
from accelerate.state import AcceleratorState, GradientState  # noqa: E402

from scalarize.integrations import balanced_backward  # noqa: E402

# What other projects warn about themselves is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")

CHECKED = [
    ("accelerate, accumulate(2), clip_grad_norm_", "mgda", "representation"),
    ("accelerate, accumulate(2), clip_grad_norm_", "uncertainty", "parameters"),
    ("accelerate, accumulate(2), accumulate='full'", "cagrad", "parameters"),
    ("accelerate, bf16, losses inside the prepared model", "imtl-g", "parameters"),
    ("accelerate, bf16, heads outside the prepared encoder", "nash-mtl", "representation"),
]


@pytest.mark.parametrize(("name", "method", "level"), CHECKED, ids=lambda x: str(x))
def test_the_parameters_end_where_the_reference_ends(name: str, method: str, level: str) -> None:
    loop, tolerance = loops.LOOPS[name]
    assert loop(method, level) < tolerance


@pytest.fixture
def accelerator() -> accelerate.Accelerator:
    AcceleratorState._reset_state(False)
    GradientState._reset_state()
    return accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)


def test_uniform_weights_divide_as_the_accelerators_own_backward(accelerator: accelerate.Accelerator) -> None:
    net, plain = hand.Net(), hand.Net()
    batch = hand.batches(1)[0]
    balanced_backward(accelerator, loops.balancer(net, "uniform", "parameters"), net(**batch)["losses"])
    accelerator.backward(torch.stack(list(plain(**batch)["losses"].values())).mean())
    for p, q in zip(net.enc.parameters(), plain.enc.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_the_methods_state_is_saved_with_the_accelerators(accelerator: accelerate.Accelerator, tmp_path: Path) -> None:
    net = hand.Net()
    balancer = loops.balancer(net, "famo", "parameters")
    accelerator.register_for_checkpointing(balancer)
    for batch in hand.batches(3):
        balanced_backward(accelerator, balancer, net(**batch)["losses"])
    accelerator.save_state(str(tmp_path))
    saved = balancer.state_dict()
    balanced_backward(accelerator, balancer, net(**hand.batches(1)[0])["losses"])
    accelerator.load_state(str(tmp_path))
    restored = balancer.state_dict()
    assert saved.keys() == restored.keys()
    assert all(torch.equal(saved[key], restored[key]) for key in saved)
