"""Task weights as sampling rates: batches that are mixed before they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.losses import Losses
from scalarize.balancer.probed import Probed
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.surroundings import undisturbed
from scalarize.utils.errors import RequestError


class MixedBatches(Probed):
    """A Balancer whose weights may be used as the rates at which a batch is drawn."""

    @undisturbed
    def weights_ahead(self, tasks: Sequence[str]) -> Tensor:
        """Return the weights of the coming step before its batch is drawn, for use as sampling rates.

        The next ``backward`` or ``backward_mixed`` uses these very weights; until then the answer stays the same.

        Args:
            tasks: names of all T tasks.

        Returns:
            The weights (T,), in the order of ``tasks``.

        Raises:
            RequestError: the method needs losses or gradients before it can weigh.

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.ones(2))
            >>> scalarize.Balancer("fixed", [w], weights=[1.0, 3.0]).weights_ahead(["a", "b"]).tolist()
            [0.25, 0.75]
        """
        return self._method_state.weights_before_batch(tasks, self._device())

    @undisturbed
    def backward_mixed(self, loss: Tensor, *, final: bool = True, scaler: Any = None) -> BackwardResult:
        """Run one ordinary backward of the loss of a batch that was mixed at the rates of :meth:`weights_ahead`.

        Args:
            loss: mean loss of the batch, a single number with its graph.
            final: False for all micro-batches of a step but the last. Default True.
            scaler: a ``torch.amp.GradScaler``, as in ``backward``. Default: none.

        Returns:
            The rates as weights (T,), and True in ``skipped`` if the step was skipped.

        Raises:
            RequestError: :meth:`weights_ahead` was never called.
            RunError: the loss or its gradient is not finite (see ``on_nonfinite``).

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.ones(2))
            >>> balancer = scalarize.Balancer("uniform", [w])
            >>> rates = balancer.weights_ahead(["a", "b"])
            >>> balancer.backward_mixed(w.sum()).weights.tolist(), w.grad.tolist()
            ([0.5, 0.5], [1.0, 1.0])
        """
        if self.tasks is None:
            raise RequestError("backward_mixed: ask for weights_ahead(tasks) first, and draw the batch by them")
        weights = self._method_state.weights_before_batch(self.tasks, self._device())
        told = self._processes.sum(loss.detach().reshape(1).clone())
        share = 1 / self._processes.sum(torch.ones_like(told))
        name = ("the mixed loss",)
        by = share if scaler is None else scaler.scale(share)
        step = Losses(name, name, name, [loss], told * share, None, by)
        scale = None if scaler is None else by
        return self._step.mixed(step, weights, self.tasks, scale, final or not self._step.full)
