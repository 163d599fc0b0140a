"""A shared encoder with one head per task: hard parameter sharing (Caruana 1997)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class MultiHead(nn.Module):
    """A model with a shared representation (``encode``) and one prediction per task from it (``decode``).

    Args:
        encoder: inputs -> representation.
        heads: task name -> module of the representation.
    """

    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = list(heads)
        self.heads = nn.ModuleList(heads.values())  # a list: task names need not be valid module names

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that every task's gradient reaches."""
        return list(self.encoder.parameters())

    def encode(self, inputs: Any) -> Tensor:
        """Return the shared representation of a batch."""
        representation: Tensor = self.encoder(inputs)
        return representation

    def decode(self, representation: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Return one prediction for each of ``tasks``."""
        return {t: self.heads[self.names.index(t)](representation) for t in tasks}

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Return all tasks' predictions."""
        return self.decode(self.encode(inputs), self.names)


class SharedHead(MultiHead):
    """A model whose encoder and head are both shared by all domains (Royer et al. 2023, section 3.3)."""

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.parameters())
