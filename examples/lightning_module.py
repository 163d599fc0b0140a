"""A Lightning module with two losses: manual optimisation, and three lines more.

pip install lightning; python examples/lightning_module.py [METHOD]
"""

from __future__ import annotations

import sys
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import scalarize


class TwoTasks(lightning.LightningModule):
    """A shared encoder, a slope to predict and a side to tell."""

    def __init__(self, method: str = "cagrad") -> None:
        super().__init__()
        self.automatic_optimization = False  # the balancer calls backward
        self.encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.heads = nn.ModuleDict({"slope": nn.Linear(16, 1), "side": nn.Linear(16, 1)})
        self.balancer = scalarize.Balancer(method, shared=self.encoder.parameters(), tasks=["slope", "side"])
        self.course: list[dict[str, float]] = []

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        x, slope, side = batch
        optimizer = self.optimizers()
        optimizer.zero_grad()
        z = self.encoder(x)
        losses = {
            "slope": functional.mse_loss(self.heads["slope"](z), slope),
            "side": functional.binary_cross_entropy_with_logits(self.heads["side"](z), side),
        }
        used = self.balancer.backward(losses)  # in place of self.manual_backward(sum(losses.values()))
        optimizer.step()
        self.log_dict({f"loss/{task}": loss.detach() for task, loss in losses.items()})
        if used.weights is not None:
            self.log_dict({f"weight/{t}": w for t, w in zip(losses, used.weights, strict=True)})
        self.course.append({task: loss.item() for task, loss in losses.items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([*self.parameters(), *self.balancer.parameters()], lr=0.01)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["balancer"] = self.balancer.state_dict()  # what a method remembers

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.balancer.load_state_dict(checkpoint["balancer"])


def data() -> DataLoader[tuple[Tensor, ...]]:
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    latent = torch.tanh(x @ torch.randn(8, 4))
    side = (latent @ torch.randn(4, 1) > 0).float()
    return DataLoader(TensorDataset(x, latent @ torch.randn(4, 1), side), batch_size=64)


def main(method: str = "cagrad", epochs: int = 15, folder: str | None = None) -> TwoTasks:
    module = TwoTasks(method)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=epochs, default_root_dir=folder, enable_checkpointing=False, **quiet)
    trainer.fit(module, data())
    if folder is not None:
        trainer.save_checkpoint(f"{folder}/two_tasks.ckpt", weights_only=True)
    return module


if __name__ == "__main__":
    found = main(*sys.argv[1:2]).course
    for task in found[0]:
        print(f"{task}: loss {found[0][task]:.3f} -> {found[-1][task]:.3f}")
