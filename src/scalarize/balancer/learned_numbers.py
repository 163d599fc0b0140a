"""The numbers that a method learns: their gradients, and their optimiser if the Balancer is to step them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalarize.balancer.notices import PATIENCE, Notices
from scalarize.methods import Method, State
from scalarize.utils.errors import RequestError, unknown_name_error

OWNERS = ("own", "yours")
DEFAULT_RATE = 0.025  # that of public code which gives task weights a learning rate of their own
BETAS, EPS = (0.9, 0.999), 1e-8


class LearnedNumbers:
    """The learned entries of a method's state, from their gradient to their next value.

    Args:
        method: it may learn nothing; then there is nothing to do.
        owner: ``"own"``: Adam steps them here; ``"yours"``: an optimiser of the training holds them.
        rate: Adam's learning rate, > 0; None: 0.025.
        notices: says once that numbers which are the training's do not move.

    Raises:
        RequestError: another owner, a rate that is not above 0, or a rate for numbers that are the training's.
    """

    def __init__(self, method: Method, owner: str, rate: float | None, notices: Notices) -> None:
        if owner not in OWNERS:
            raise unknown_name_error("learned", owner, OWNERS)
        if rate is not None and not rate > 0:
            raise RequestError(f"learned_rate must be above 0, got {rate}")
        if rate is not None and owner == "yours":
            raise RequestError("learned_rate= is for learned='own': your optimiser has a rate of its own")
        self._method, self._notices = method, notices
        self.own = owner == "own"
        self.rate = DEFAULT_RATE if rate is None else float(rate)
        self._moments: dict[str, tuple[Tensor, Tensor]] = {}
        self._steps: dict[str, int] = {}
        self._seen = 0  # steps with a gradient, of numbers that are the training's
        self._before: list[Tensor] = []

    @property
    def any_own(self) -> bool:
        """True if there are numbers that are stepped here."""
        return self.own and bool(self._method.learned)

    def check_asked(self) -> None:
        """Raise RequestError if they are asked for, for another optimiser, but stepped here."""
        if self.any_own:
            raise RequestError(
                f"{self._method.name}: the Balancer steps its learned numbers itself (Adam, "
                f"learned_rate={self.rate:g}); to give balancer.parameters() to your optimiser, say "
                "Balancer(..., learned='yours')"
            )

    def named(self) -> dict[str, torch.nn.Parameter]:
        """State entry -> parameter."""
        return {k: p for k, p in self._method.state.items() if isinstance(p, torch.nn.Parameter)}

    def slopes(self, losses: Tensor, state: State, index: Tensor | None, scale: Tensor | None) -> Tensor:
        """Return the objective's derivative by each loss (T',); its gradients by learned numbers go to their ``.grad``.

        A number of a task whose loss is exactly 0 gets none: nothing was measured, and ``s`` of ``e^s L - s``, say,
        would grow without bound.

        Args:
            losses: (T',).
            state: of the tasks with these losses.
            index: (T',) their places among all tasks; None: all are there.
            scale: a GradScaler's, for numbers that its optimiser steps.
        """
        with torch.enable_grad():
            at = losses.clone().requires_grad_()
            objective = self._method.objective(at, state)
            slopes, *grads = torch.autograd.grad(objective, [at, *self._method.parameters()], allow_unused=True)
        for (name, p), g in zip(self.named().items(), grads, strict=True):
            if g is None:
                continue
            if self._method.task_axes.get(name) == 1:
                measured = (losses != 0).to(g)
                g = g * (measured if index is None else torch.zeros_like(g).index_put((index,), measured))
            g = g if scale is None or self.own else g * scale.to(g).reshape(())
            p.grad = g if p.grad is None else p.grad + g
        return torch.zeros_like(losses) if slopes is None else slopes

    def step(self) -> None:
        """Make one step of Adam with the accumulated gradients; numbers that the training steps are only watched."""
        if not self.own:
            self._look()
            return
        with torch.no_grad():
            for name, p in self.named().items():
                if p.grad is None:
                    continue
                mean, square = self._moments.get(name) or (torch.zeros_like(p), torch.zeros_like(p))
                count = self._steps.get(name, 0) + 1
                mean = mean.to(p) + (1 - BETAS[0]) * (p.grad - mean.to(p))
                square = BETAS[1] * square.to(p) + (1 - BETAS[1]) * p.grad**2
                size = (square / (1 - BETAS[1] ** count)).sqrt() + EPS
                p.sub_(self.rate / (1 - BETAS[0] ** count) * mean / size)
                self._moments[name], self._steps[name], p.grad = (mean, square), count, None

    def forget_gradients(self) -> None:
        """Drop the gradients of a step that is not made."""
        for p in self.named().values():
            p.grad = None

    def _look(self) -> None:
        """Say once that numbers which had gradients in ``PATIENCE`` steps have not moved."""
        here = list(self.named().values())
        if self._seen >= PATIENCE or not here or any(p.grad is None for p in here):
            return
        if self._seen == 0:
            self._before = [p.detach().clone() for p in here]
        self._seen += 1
        if self._seen < PATIENCE:
            return
        still = all(torch.equal(p.detach(), q.to(p)) for p, q in zip(here, self._before, strict=True))
        if still and any(p.grad is not None and bool(p.grad.any()) for p in here):
            self._notices.once(
                "still",
                f"{self._method.name}: its learned numbers had gradients in {PATIENCE} steps and have not moved: give "
                "balancer.parameters() to your optimizer, or leave out learned='yours'",
            )

    def state_dict(self) -> dict[str, Tensor]:
        """Return Adam's state, flat; empty if nothing was stepped here."""
        held: dict[str, Tensor] = {}
        for name, (mean, square) in self._moments.items():
            held |= {f"adam.mean.{name}": mean.clone(), f"adam.square.{name}": square.clone()}
            held[f"adam.steps.{name}"] = torch.tensor(self._steps[name])
        return held

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from ``state``; if it holds no state of Adam (an older one), Adam starts anew."""
        names = [k.removeprefix("adam.steps.") for k in state if k.startswith("adam.steps.")]
        self._moments = {n: (state[f"adam.mean.{n}"].clone(), state[f"adam.square.{n}"].clone()) for n in names}
        self._steps = {n: int(state[f"adam.steps.{n}"]) for n in names}
