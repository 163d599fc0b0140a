"""The Trainer of Hugging Face with two losses: another class, and one argument more.

pip install 'scalarize[integrations]'; python examples/hugging_face_trainer.py [METHOD]
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, PrinterCallback, TrainingArguments

import scalarize
from scalarize.integrations import BalancedTrainer

WORDS, LENGTH = 40, 12


class Reader(nn.Module):
    """A small encoder that tells which word is most frequent among the first five, and how large the words are."""

    def __init__(self) -> None:
        super().__init__()
        size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
        self.encoder = BertModel(BertConfig(vocab_size=WORDS, max_position_embeddings=LENGTH, **size))
        self.heads = nn.ModuleDict({"topic": nn.Linear(32, 5), "size": nn.Linear(32, 1)})

    def forward(self, input_ids: Tensor, topic: Tensor, size: Tensor) -> dict[str, Any]:
        z = self.encoder(input_ids).last_hidden_state.mean(dim=1)
        topics, sizes = self.heads["topic"](z), self.heads["size"](z)
        losses = {
            "topic": functional.cross_entropy(topics, topic),
            "size": functional.mse_loss(sizes.squeeze(1), size),
        }
        # `losses` is for the Balancer, `loss` for the Trainer's own evaluation
        return {"loss": torch.stack(list(losses.values())).sum(), "losses": losses, "logits": topics}


def texts(rows: int = 256) -> list[dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(WORDS, (rows, LENGTH), generator=draw)
    topic = torch.randint(5, (rows,), generator=draw)
    words[:, ::2] = topic[:, None]
    size = words.float().mean(dim=1) / WORDS
    return [{"input_ids": w, "topic": t, "size": s} for w, t, s in zip(words, topic, size, strict=True)]


def main(method: str = "pcgrad", epochs: int = 8) -> list[dict[str, float]]:
    """Each task's loss at the first step and at the end of every epoch."""
    torch.manual_seed(0)
    model = Reader()
    balancer = scalarize.Balancer(method, shared=model.encoder.parameters(), tasks=["topic", "size"])
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"report_to": "none", "disable_tqdm": True, "logging_strategy": "epoch", "save_strategy": "no"}
        settings = TrainingArguments(
            folder, num_train_epochs=epochs, learning_rate=3e-3, use_cpu=True, logging_first_step=True, **quiet
        )
        trainer = BalancedTrainer(model, settings, train_dataset=texts(), balancer=balancer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    logged = [row for row in trainer.state.log_history if "loss/topic" in row]
    return [{task: row[f"loss/{task}"] for task in ("topic", "size")} for row in logged]


if __name__ == "__main__":
    found = main(*sys.argv[1:2])
    for task in found[0]:
        print(f"{task}: loss {found[0][task]:.3f} -> {found[-1][task]:.3f}")
