"""Views of a shared representation, which some methods give to each task's head."""

from __future__ import annotations

from torch import Tensor

from scalarize.balancer.mixed_batches import MixedBatches
from scalarize.utils.errors import RequestError, unknown_name_error


class Views(MixedBatches):
    """A Balancer that may stand between a representation and its heads."""

    def view(self, representation: Tensor, task: str) -> Tensor:
        """Return the input of ``task``'s head: its view of the shared representation, in training and in evaluation.

        The view is the representation itself, except for methods with ``has_view``.

        Args:
            representation: the encoder's output (B, ..., d).
            task: name of the task.

        Returns:
            A tensor of the same shape, differentiable in ``representation``.

        Raises:
            RequestError: the method has views, and ``task`` is unknown or ``tasks=`` was not given.

        Example:
            >>> import torch, scalarize
            >>> encoder, head = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)
            >>> balancer = scalarize.Balancer("rotograd", encoder, level="representation", tasks=["a", "b"])
            >>> z = encoder(torch.ones(8, 3))
            >>> losses = {t: head(balancer.view(z, t)).square().mean() for t in ("a", "b")}
            >>> balancer.backward(losses, representation=z).weights.shape
            torch.Size([2])
        """
        if not self.method.has_view:
            return representation
        if self.tasks is None:
            raise RequestError(f"{self.method.name} gives each head its own view: give the Balancer tasks=[...]")
        if task not in self.tasks:
            raise unknown_name_error("task", task, self.tasks)
        self._method_state.init_state(representation.device)
        return self.method.view(representation, self.tasks.index(task), self.method.state)
