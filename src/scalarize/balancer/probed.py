"""The Balancer's probe, as users call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch

from scalarize.balancer.balancer_state import BalancerState
from scalarize.balancer.call import Call
from scalarize.balancer.check import check
from scalarize.balancer.result import BackwardResult, CheckReport

if TYPE_CHECKING:
    from scalarize.balancer.balancer import Balancer


class Probed(BalancerState):
    """A Balancer whose next step can be held against a reference."""

    _intercept: Callable[[Call], BackwardResult] | None = None  # takes the calls of backward while check() is at work

    def check(
        self, step_function: Callable[[], Any], optimizer: torch.optim.Optimizer | None = None, strict: bool = False
    ) -> CheckReport:
        """Hold one step against a slow reference: a fresh forward and one ``autograd.grad`` a task, then the method's
        own combination. Run it once in every new training loop; it costs about 2 T + 2 forwards.

        Random streams (torch, Python, NumPy), parameters, buffers, ``.grad``, the method and the optimiser are as
        before afterwards. What else ``step_function`` changes, such as the place in a data loader or a recurrent
        state kept in Python, is its own affair: it must meet the same batch in every call. Hooks on parameters do not
        fire within. A model whose forward is not repeatable shows differences.

        Args:
            step_function: makes one forward and calls ``backward`` once, without a step of the optimiser.
            optimizer: its step with the gradients written is compared with that of a copy that is not fused and
                works on contiguous tensors.
            strict: raise instead of reporting.

        Returns:
            A line for each parameter that differs.

        Raises:
            RequestError: ``step_function`` is not such a function, or parameters are sharded.
            RunError: something differs, if ``strict``.

        Example:
            >>> import torch, scalarize
            >>> x, encoder = torch.ones(8, 3), torch.nn.Linear(3, 4)
            >>> balancer = scalarize.Balancer("mgda", shared=encoder)
            >>> def step():
            ...     z = encoder(x).tanh()
            ...     balancer.backward({"a": z.square().mean(), "b": (z - 1).square().mean()})
            >>> balancer.check(step, torch.optim.Adam(encoder.parameters())).ok
            True
        """
        return check(cast("Balancer", self), step_function, optimizer, strict)
