"""PHN: a hypernetwork that makes all weights of a model from the preference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.independence import takes_batch_statistics
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.fronts.conditioned import Conditioned, shared_names

WHOLE = 50_000  # weights of a model up to which each tensor has an output layer of its own
CHUNK = 10_000  # weights of a chunk of a larger model
EMBEDDED = 64
MOST = 20_000_000


class PHN(Conditioned):
    """A Pareto hypernetwork (Navon et al. 2021): three linear layers of the preference, and a linear map to weights.

    Up to 50,000 weights each tensor has a map of its own. Above, the weights are made in chunks of 10,000 by one map,
    from the preference and an embedding of the chunk, as in the authors' code for a ResNet.

    Our choice: the map adds to learned offsets that begin as an ordinary model's weights, in units of each tensor's
    deviation, and its inputs are divided by the root of their number. So training begins near an ordinary model, and a
    step of Adam moves a weight about as far as in one.

    Args:
        model: of one preference.
        n_tasks: number T of tasks.
        concentration: of the draws in training.
        width: of the three layers.

    Raises:
        RequestError: the model averages over batches (batch norm), or has more than 20 million weights.
    """

    def __init__(self, model: Any, n_tasks: int, concentration: float, width: int) -> None:
        super().__init__(model, n_tasks, concentration)
        if takes_batch_statistics(model):
            raise RequestError(
                "`settings` model.front=phn: does not suit a model with batch norm, whose averages belong to no one "
                "preference; palora does"
            )
        given = dict(model.named_parameters())
        count = sum(p.numel() for p in given.values())
        if count > MOST:
            raise RequestError(
                f"`settings` model.front=phn: does not suit a model of {count} weights, more than {MOST}; palora does"
            )
        self.names, self.shapes = list(given), [p.shape for p in given.values()]
        self.scales = [_deviation(p) for p in given.values()]
        self.own = shared_names(model)
        self.chunks = 0 if count <= WHOLE else -(-count // CHUNK)
        self.embedding = nn.Embedding(self.chunks, EMBEDDED) if self.chunks else None
        inputs = n_tasks + (EMBEDDED if self.chunks else 0)
        self.hidden = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        sizes = [CHUNK] if self.chunks else [p.numel() for p in given.values()]
        self.maps = nn.ParameterList(nn.Parameter(torch.randn(size, width)) for size in sizes)
        # What was a parameter of the model is an offset here; the model keeps its shape alone.
        self.offsets = nn.ParameterList(nn.Parameter(p.detach().clone()) for p in given.values())
        for p in given.values():
            p.requires_grad_(False)

    def generated(self) -> Mapping[str, Tensor]:
        features = self._features()
        if self.embedding is None:
            changes = [each @ features for each in self.maps]
        else:
            changes = list((features @ self.maps[0].T).flatten().split([s.numel() for s in self.shapes] + self._rest()))
        return {
            name: offset + scale * change.reshape(shape)
            for name, shape, scale, offset, change in zip(
                self.names, self.shapes, self.scales, self.offsets, changes, strict=False
            )
        }

    def _rest(self) -> list[int]:
        left = self.chunks * CHUNK - sum(s.numel() for s in self.shapes)
        return [left] if left else []

    def _features(self) -> Tensor:
        """Return the inputs of the maps: (width,), or (chunks, width)."""
        wanted = self.preference.to(self.offsets[0].dtype)
        if self.embedding is not None:
            wanted = torch.cat([wanted.expand(self.chunks, -1), self.embedding.weight], dim=1)
        found: Tensor = self.hidden(wanted) / math.sqrt(self.maps[0].shape[1])
        return found

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return all parameters but the offsets and maps of what is one task's own."""
        own = [*self.hidden.parameters(), *(self.embedding.parameters() if self.embedding is not None else ())]
        offsets = [p for name, p in zip(self.names, self.offsets, strict=True) if name in self.own]
        if self.embedding is not None:
            return [*own, *self.maps, *offsets]
        return [*own, *(p for name, p in zip(self.names, self.maps, strict=True) if name in self.own), *offsets]


def _deviation(weight: Tensor) -> float:
    """Return the unit of a tensor's changes: its deviation, or that of a layer of such inputs if it is constant."""
    found = float(weight.detach().double().std()) if weight.numel() > 1 else 0.0
    return found if found > 1e-6 else 1 / math.sqrt(max(weight.shape[-1] if weight.ndim > 1 else weight.numel(), 3))
