"""A model whose weights are made from a preference over its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

INNER = "base.model."


class _Calls(nn.Module):
    """A model whose methods can be called with other weights in place of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, method: str, *arguments: Any) -> Any:
        return getattr(self.model, method)(*arguments)


class Conditioned(nn.Module):
    """A model with ``encode``, ``decode`` and ``shared_parameters`` for every preference.

    ``preference`` (T,), a point on the simplex, decides the weights of the next forward pass; it is no part of the
    state, and uniform at first.

    Args:
        model: of one preference, with ``encode``, ``decode`` and ``shared_parameters``.
        n_tasks: number T of tasks.
        concentration: each of the T parameters of the Dirichlet distribution that preferences are drawn from in
            training.
    """

    preference: Tensor

    def __init__(self, model: Any, n_tasks: int, concentration: float) -> None:
        super().__init__()
        self.base = _Calls(model)
        self.concentration = concentration
        self.register_buffer("preference", torch.full((n_tasks,), 1.0 / n_tasks), persistent=False)
        self._made: dict[str, Tensor] = {}

    @property
    def model(self) -> Any:
        """The model of one preference."""
        return self.base.model

    @property
    def by_domain(self) -> bool:
        """True if the model has a path for each domain."""
        return bool(getattr(self.model, "by_domain", False))

    @property
    def common(self) -> bool:
        """True if all that tasks share lies before the representation."""
        return bool(getattr(self.model, "common", True))

    def generated(self) -> Mapping[str, Tensor]:
        """Return the weights that depend on ``preference``, by their names in the model."""
        raise NotImplementedError

    def encode(self, inputs: Any) -> Any:
        """Return the shared representation of a batch, with weights for ``preference``."""
        self._made = {f"model.{name}": value for name, value in self.generated().items()}
        return functional_call(self.base, self._made, ("encode", inputs))

    def decode(self, representation: Any, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Return one prediction for each of ``tasks``, with the weights of the last ``encode``."""
        found: dict[str, Tensor] = functional_call(self.base, self._made, ("decode", representation, list(tasks)))
        return found

    def remember(self, source: Any) -> Any:
        """Return the state from which a model that writes word by word begins, with weights for ``preference``."""
        self._made = {f"model.{name}": value for name, value in self.generated().items()}
        return functional_call(self.base, self._made, ("remember", source))

    def step(self, words: Any, memory: Any) -> Any:
        """Return the scores of the next word, with the weights of the last ``remember``."""
        return functional_call(self.base, self._made, ("step", words, memory))

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Return all tasks' predictions."""
        return self.decode(self.encode(inputs), self.model.names)

    def choose(self, preference: Sequence[float] | None) -> None:
        """Set ``preference``; None: the uniform one."""
        chosen = [1.0 / self.preference.numel()] * self.preference.numel() if preference is None else list(preference)
        self.preference.copy_(torch.tensor(chosen, dtype=torch.float64))

    @torch.no_grad()
    def plain(self, preference: Sequence[float]) -> dict[str, Tensor]:
        """Return the ``state_dict`` of the model of one preference.

        Args:
            preference: point (T,) on the simplex.

        Returns:
            Tensors by their names in the model, which share no memory with this one.
        """
        self.choose(preference)
        state = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        state |= {name: value.detach().clone() for name, value in self.generated().items()}
        self.choose(None)
        return state

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}


def shared_names(model: Any) -> set[str]:
    """Return the names of the parameters of ``model`` that every task's gradient reaches."""
    shared = {id(p) for p in model.shared_parameters()}
    return {name for name, p in model.named_parameters() if id(p) in shared}
