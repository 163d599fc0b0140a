"""PaLoRA: low-rank additions to each layer, one per task, mixed by the preference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.fronts.conditioned import Conditioned, shared_names


class PaLoRA(Conditioned):
    """``W + (1 / rank) sum_t r_t B_t A_t`` for every linear and convolutional layer (Dimitriadis et al. 2024).

    W, the biases and all other parameters are shared by all preferences and trained, too. The kernel of a convolution
    (out, in, k, l) is seen as a matrix (out k, in l), and its factors have rank times k, as in the authors' code. B
    begins at 0, so all preferences begin at W.

    Args:
        model: of one preference.
        n_tasks: number T of tasks.
        concentration: of the draws in training.
        rank: of each addition, >= 1.

    Raises:
        RequestError: the model has neither a linear nor a convolutional layer.
    """

    def __init__(self, model: Any, n_tasks: int, concentration: float, rank: int) -> None:
        super().__init__(model, n_tasks, concentration)
        self.rank = rank
        layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear | _ConvNd)}
        if not layers:
            raise RequestError("`settings` model.front=palora: does not suit a model without linear and conv layers")
        self.names = [f"{name}.weight" for name in layers]
        self.downs, self.ups = nn.ParameterList(), nn.ParameterList()
        for layer in layers.values():
            rows, columns, thick = _as_matrix(layer.weight.shape)
            down = torch.empty(n_tasks, rank * thick, columns)
            nn.init.uniform_(down, -1 / math.sqrt(columns), 1 / math.sqrt(columns))
            self.downs.append(nn.Parameter(down))
            self.ups.append(nn.Parameter(torch.zeros(n_tasks, rows, rank * thick)))

    def generated(self) -> Mapping[str, Tensor]:
        found = {}
        for name, down, up in zip(self.names, self.downs, self.ups, strict=True):
            weight = self.model.get_parameter(name)
            change = torch.einsum("t,tor,tri->oi", self.preference, up, down) / self.rank
            found[name] = weight + change.reshape(weight.shape)
        return found

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the shared parameters of the model, with their layers' additions."""
        own = shared_names(self.model)
        added = [p for n, *both in zip(self.names, self.downs, self.ups, strict=True) if n in own for p in both]
        return [*self.model.shared_parameters(), *added]


def _as_matrix(shape: torch.Size) -> tuple[int, int, int]:
    """Return rows and columns of a weight as a matrix, and the factor of its rank."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    thick, rest = (1, shape[2]) if len(shape) == 3 else (shape[2], math.prod(shape[3:]))
    return shape[0] * thick, shape[1] * rest, thick
