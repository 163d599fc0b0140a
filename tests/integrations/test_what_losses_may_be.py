"""What users' hooks return to the integrations: numbers of any kind train, all else is one line before any step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

lightning = pytest.importorskip("lightning")
transformers = pytest.importorskip("transformers")
accelerate = pytest.importorskip("accelerate")

import stacks_hand as hand  # noqa: E402
from accelerate.state import AcceleratorState, GradientState  # noqa: E402

import scalarize  # noqa: E402
from scalarize.integrations import BalancedLightningModule, BalancedTrainer, balanced_backward  # noqa: E402
from scalarize.utils.errors import RequestError  # noqa: E402

# What other projects warn about themselves is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")


class Module(BalancedLightningModule):
    def __init__(self, further: Any, made: Any = None, optimizer: Any = torch.optim.SGD) -> None:
        super().__init__()
        self.net, self.further, self.made, self.optimizer = hand.Net(), further, made, optimizer

    def configure_balancer(self) -> Any:
        return self.made or scalarize.Balancer("mgda", self.net.enc)

    def compute_losses(self, batch: dict[str, torch.Tensor], batch_idx: int) -> Any:
        return self.net(**batch)["losses"] | {"further": self.further}

    def configure_optimizers(self) -> Any:
        return self.optimizer(self.parameters(), lr=0.1)


class Net(hand.Net):
    def __init__(self, further: Any) -> None:
        super().__init__()
        self.further = further

    def forward(self, **batch: Any) -> Any:
        outputs = super().forward(**batch)
        return outputs | {"losses": outputs["losses"] | {"further": self.further}}


def by_lightning(further: Any, **options: Any) -> list[torch.Tensor]:
    module = Module(further, **options)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=1, enable_checkpointing=False, **quiet)
    try:
        trainer.fit(module, DataLoader(hand.batches(2), batch_size=None))
    finally:
        params = [p.detach() for p in module.net.parameters()]
        if module.used is None:
            assert all(torch.equal(p, q) for p, q in zip(params, hand.Net().parameters(), strict=True))
    return params


def by_trainer(further: Any, folder: Path) -> list[torch.Tensor]:
    net = Net(further)
    usual = {
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "max_steps": 2,
        "save_strategy": "no",
        "remove_unused_columns": False,
    }
    settings = transformers.TrainingArguments(str(folder), per_device_train_batch_size=4, **usual)
    batch = hand.batches(1)[0]
    rows = [{k: v[i] for k, v in batch.items()} for i in range(hand.ROWS)]
    BalancedTrainer(net, settings, train_dataset=rows, balancer=scalarize.Balancer("mgda", net.enc)).train()
    return [p.detach() for p in net.parameters()]


def by_accelerate(further: Any) -> list[torch.Tensor]:
    AcceleratorState._reset_state(False)
    GradientState._reset_state()
    accelerator = accelerate.Accelerator(cpu=True)
    net = hand.Net()
    losses = net(**hand.batches(1)[0])["losses"] | {"further": further}
    balanced_backward(accelerator, scalarize.Balancer("mgda", net.enc), losses)
    return [p.grad for p in net.enc.parameters()]


def by(loop: str, further: Any, folder: Path) -> list[torch.Tensor]:
    if loop == "trainer":
        return by_trainer(further, folder)
    return by_lightning(further) if loop == "lightning" else by_accelerate(further)


LOOPS = ["lightning", "trainer", "accelerate"]


@pytest.mark.filterwarnings("ignore::scalarize.utils.errors.ScalarizeWarning")  # a constant has no gradient
@pytest.mark.parametrize("further", [0.0, 0, np.float32(2), torch.tensor(3)], ids=repr)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_number_is_a_task_that_is_not_in_the_batch(loop: str, further: Any, tmp_path: Path) -> None:
    without, found = by(loop, None, tmp_path), by(loop, further, tmp_path)
    assert all(torch.allclose(p, q, atol=1e-6) for p, q in zip(without, found, strict=True))


@pytest.mark.parametrize("further", [[1.0], torch.ones(3), "1", {"x": 1.0}, 1j], ids=repr)
@pytest.mark.parametrize("loop", LOOPS)
def test_anything_else_is_refused_by_the_tasks_name(loop: str, further: Any, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="task 'further': its loss must be one number") as error:
        by(loop, further, tmp_path)
    assert "\n" not in str(error.value)


def test_lightning_needs_a_balancer_and_an_optimizer_without_closures() -> None:
    with pytest.raises(RequestError, match="must return a scalarize\\.Balancer, got int"):
        by_lightning(None, made=3)
    with pytest.raises(RequestError, match="LBFGS evaluates the losses several times"):
        by_lightning(None, optimizer=torch.optim.LBFGS)


def test_a_balancer_may_be_assigned() -> None:
    module = Module(None)
    module.balancer = made = scalarize.Balancer("mgda", module.net.enc)
    assert module.balancer is made
    with pytest.raises(RequestError, match="got str"):
        module.balancer = "mgda"


def test_the_trainers_function_must_make_a_balancer(tmp_path: Path) -> None:
    net = hand.Net()
    settings = transformers.TrainingArguments(
        str(tmp_path), use_cpu=True, report_to="none", max_steps=1, remove_unused_columns=False
    )
    batch = hand.batches(1)[0]
    rows = [{k: v[i] for k, v in batch.items()} for i in range(hand.ROWS)]
    with pytest.raises(RequestError, match="made NoneType of the model"):
        BalancedTrainer(net, settings, train_dataset=rows, balancer=lambda model: None).train()
