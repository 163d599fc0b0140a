"""The Trainer of Hugging Face with two losses: one method of it overridden.

pip install transformers accelerate; python examples/hugging_face_trainer.py [METHOD]
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, Trainer, TrainingArguments

import scalarize

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
        return {"loss": torch.stack(list(losses.values())).sum(), "losses": losses, "logits": topics}


class BalancedTrainer(Trainer):
    """Weighs ``losses``, which the model answers by name, with any method."""

    def __init__(self, *arguments: Any, method: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.balancer = scalarize.Balancer(method, shared=self.model.encoder.parameters())
        self.course: list[dict[str, float]] = []

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        model.train()
        losses = model(**self._prepare_inputs(inputs))["losses"]
        parts = self.args.gradient_accumulation_steps
        self.balancer.backward({task: loss / parts for task, loss in losses.items()})
        self.course.append({task: loss.item() for task, loss in losses.items()})
        return torch.stack(list(losses.values())).sum().detach() / parts


def texts(rows: int = 256) -> list[dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(WORDS, (rows, LENGTH), generator=draw)
    topic = torch.randint(5, (rows,), generator=draw)
    words[:, ::2] = topic[:, None]
    size = words.float().mean(dim=1) / WORDS
    return [{"input_ids": w, "topic": t, "size": s} for w, t, s in zip(words, topic, size, strict=True)]


def main(method: str = "pcgrad", epochs: int = 8) -> list[dict[str, float]]:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"report_to": "none", "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no"}
        settings = TrainingArguments(folder, num_train_epochs=epochs, learning_rate=3e-3, use_cpu=True, **quiet)
        trainer = BalancedTrainer(Reader(), settings, train_dataset=texts(), method=method)
        trainer.train()
    return trainer.course


if __name__ == "__main__":
    found = main(*sys.argv[1:2])
    for task in found[0]:
        print(f"{task}: loss {found[0][task]:.3f} -> {found[-1][task]:.3f}")
