"""A Lightning module with two losses: another base class, and one hook for the losses and one for the Balancer.

pip install 'scalarize[integrations]'; python examples/lightning_module.py [METHOD]
"""

from __future__ import annotations

import sys

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import scalarize
from scalarize.integrations import BalancedLightningModule


class TwoTasks(BalancedLightningModule):
    """A shared encoder, a slope to predict and a side to tell."""

    def __init__(self, method: str = "cagrad") -> None:
        super().__init__()
        self.method = method
        self.encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.heads = nn.ModuleDict({"slope": nn.Linear(16, 1), "side": nn.Linear(16, 1)})
        self.course: list[dict[str, float]] = []

    def configure_balancer(self) -> scalarize.Balancer:
        return scalarize.Balancer(self.method, shared=self.encoder.parameters(), tasks=["slope", "side"])

    def compute_losses(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        x, slope, side = batch
        z = self.encoder(x)
        losses = {
            "slope": functional.mse_loss(self.heads["slope"](z), slope),
            "side": functional.binary_cross_entropy_with_logits(self.heads["side"](z), side),
        }
        self.course.append({task: loss.item() for task, loss in losses.items()})
        return losses

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def data() -> DataLoader[tuple[Tensor, ...]]:
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    latent = torch.tanh(x @ torch.randn(8, 4))
    side = (latent @ torch.randn(4, 1) > 0).float()
    return DataLoader(TensorDataset(x, latent @ torch.randn(4, 1), side), batch_size=64)


def main(method: str = "cagrad", epochs: int = 15, folder: str | None = None, precision: str = "32-true") -> TwoTasks:
    module = TwoTasks(method)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    quiet |= {"enable_checkpointing": False, "precision": precision}
    trainer = lightning.Trainer(max_epochs=epochs, default_root_dir=folder, **quiet)
    trainer.fit(module, data())
    if folder is not None:
        trainer.save_checkpoint(f"{folder}/two_tasks.ckpt", weights_only=True)
    return module


if __name__ == "__main__":
    found = main(*sys.argv[1:2]).course
    for task in found[0]:
        print(f"{task}: loss {found[0][task]:.3f} -> {found[-1][task]:.3f}")
