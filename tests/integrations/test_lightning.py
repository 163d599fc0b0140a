"""A BalancedLightningModule ends where a training by hand with reference gradients ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

lightning = pytest.importorskip("lightning")

import stacks_hand as hand  # noqa: E402
import stacks_loops as loops  # noqa: E402

import scalarize  # noqa: E402
from scalarize.integrations import BalancedLightningModule  # noqa: E402
from scalarize.utils.errors import RequestError  # noqa: E402

# What other projects warn about themselves is theirs to mend.
pytestmark = pytest.mark.filterwarnings("default")

CHECKED = [
    ("Lightning, 32-true, clip", "mgda", "representation"),
    ("Lightning, accumulate 2 over 5 batches, clip", "famo", "parameters"),
    ("Lightning, accumulate 2 over 5 batches, clip", "uncertainty", "parameters"),
    ("Lightning, accumulate 2, accumulate='full'", "pcgrad", "parameters"),
    ("Lightning, bf16-mixed", "imtl-g", "parameters"),
    ("Lightning, bf16-mixed", "nash-mtl", "representation"),
    ("Lightning, 16-mixed with a GradScaler, clip", "mgda", "parameters"),
    ("Lightning, bf16-true", "cagrad", "parameters"),
    ("Lightning, 64-true", "graddrop", "parameters"),
]


@pytest.mark.parametrize(("name", "method", "level"), CHECKED, ids=lambda x: str(x))
def test_the_parameters_end_where_the_reference_ends(name: str, method: str, level: str) -> None:
    loop, tolerance = loops.LOOPS[name]
    assert loop(method, level) < tolerance


class Module(BalancedLightningModule):
    def __init__(self, method: str = "famo", rate: float = 0.1, interval: str = "epoch", **options: Any) -> None:
        super().__init__(**options)
        self.net, self.method, self.rate, self.interval = hand.Net(), method, rate, interval

    def configure_balancer(self) -> scalarize.Balancer:
        return loops.balancer(self.net, self.method, "parameters")

    def compute_losses(self, batch: dict[str, torch.Tensor], batch_idx: int) -> Any:
        return self.net(**batch)["losses"]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), self.rate)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": self.interval}}


def fit(module: Any, epochs: int = 1, batches: int = 4, **settings: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=epochs, enable_checkpointing=False, **quiet | settings)
    trainer.fit(module, DataLoader(hand.batches(batches), batch_size=None))
    return trainer


def test_schedulers_are_stepped_as_in_automatic_optimisation() -> None:
    module = Module()
    trainer = fit(module, epochs=3)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 8)
    module = Module(interval="step", accumulate=2)
    trainer = fit(module, batches=4)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 4)


def test_a_checkpoint_holds_the_methods_state(tmp_path: Path) -> None:
    module = Module()
    trainer = fit(module)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    fresh = Module.load_from_checkpoint(tmp_path / "it.ckpt")
    before, after = module.balancer.state_dict(), fresh.balancer.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(bool((before[k] != fresh.configure_balancer().state_dict().get(k)).any()) for k in ("counters",))


def test_losses_and_weights_are_logged() -> None:
    trainer = fit(Module("mgda"))
    told = trainer.callback_metrics
    assert sum(float(told[f"weight/{task}"]) for task in "abc") == pytest.approx(1, abs=1e-4)
    assert all(float(told[f"loss/{task}"]) > 0 for task in "abc")


def test_a_hook_that_forgets_super_is_said() -> None:
    class Forgetful(Module):
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            pass

    with pytest.raises(RequestError, match=r"on_before_optimizer_step must call super\(\)"):
        fit(Forgetful(clip=1.0))


def test_the_hooks_around_a_backward_are_called() -> None:
    told: list[str] = []

    class Told(lightning.Callback):
        def on_before_backward(self, trainer: Any, module: Any, loss: torch.Tensor) -> None:
            assert not loss.requires_grad
            told.append("before")

        def on_after_backward(self, trainer: Any, module: Any) -> None:
            assert all(p.grad is not None for p in module.parameters())
            told.append("after")

    class Listening(Module):
        def on_after_backward(self) -> None:
            told.append("module")

    fit(Listening("mgda", accumulate=2), callbacks=[Told()])
    assert told == ["before", "after", "module"] * 4


def test_losses_that_are_no_dict_are_refused() -> None:
    class Summed(Module):
        def compute_losses(self, batch: dict[str, torch.Tensor], batch_idx: int) -> Any:
            return self.net(**batch)["loss"]

    with pytest.raises(RequestError, match="compute_losses must return a dict of losses by task"):
        fit(Summed())


def test_the_epoch_is_told_to_the_method() -> None:
    module = Module("dwa")
    fit(module, epochs=3)
    assert module.balancer.epoch == 2
