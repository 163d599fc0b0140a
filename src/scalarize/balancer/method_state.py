"""A method at work: its state over all tasks, its place in time, and the weights it is to use again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scalarize.balancer import present_tasks
from scalarize.methods import Evidence, Method, Needs, State
from scalarize.utils.errors import RequestError, unknown_name_error


class Decision(NamedTuple):
    """weights (T',) of the present tasks, None where the method has none; gradient (P,) where it combines for
    itself; after: the method's next state, not yet in force; slopes (T',): the derivative of its objective by each
    loss, None where it has none."""

    weights: Tensor | None
    gradient: Tensor | None = None
    after: State | None = None
    slopes: Tensor | None = None


class MethodState:
    """What the weights of the coming steps depend on. ``index`` always holds the places of the tasks that are
    present among all ``tasks``, or is None where all are."""

    def __init__(self, method: Method, every: int, tasks: Sequence[str] | None, seed: int) -> None:
        self.method = method
        self.tasks = None if tasks is None else tuple(tasks)
        self.step = 0
        self._epoch = 0
        self._every = every
        self._generator = torch.Generator()
        self._ready = False
        self._ahead: Tensor | None = None  # weights of the coming step, already drawn
        self._last: Tensor | None = None  # weights that every= uses again
        self._age = 0  # steps that the last weights have served
        self.reseed(seed)

    @property
    def epoch(self) -> int:
        """The epoch that the method is told."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch, self._ahead = int(epoch), None

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew."""
        self._generator.manual_seed(seed)
        self._ahead = None

    def register_tasks(self, names: Sequence[str]) -> tuple[str, ...]:
        """All tasks; the first batch names them where nobody did. Raises RequestError for a name that is new."""
        if self.tasks is None:
            self.tasks = tuple(names)
        for name in names:
            if name not in self.tasks:
                raise unknown_name_error("task", name, self.tasks, where=" (tasks=[...] must name all)")
        return self.tasks

    def init_state(self, device: torch.device) -> None:
        """The method's state for all tasks, on ``device``."""
        if self._ready or self.tasks is None:
            return
        state = self.method.ensure(len(self.tasks))
        for key, value in state.items():
            if isinstance(value, torch.nn.Parameter):
                value.data = value.data.to(device)
            else:
                state[key] = value.to(device)
        self._ready = True

    # --- weights -------------------------------------------------------------------------------------------------
    def decide(
        self,
        index: Tensor | None,
        losses: Tensor | None = None,
        gramian: Tensor | None = None,
        jacobian: Tensor | None = None,
        extra: tuple[Evidence, ...] = (),
        scale: Tensor | None = None,
        width: int | None = None,
    ) -> Decision:
        """What the method says to this evidence; :meth:`advance` puts it in force. An objective fills ``.grad`` of
        what the method learns, times ``scale``."""
        state = self.method.state
        if index is not None:
            state = present_tasks.select(state, self.method.task_axes, index)
        evidence = Evidence(losses, gramian, jacobian, self.step, self._epoch, self._generator, None, extra, width)
        if self.method.has_combine:
            gradient, weights, after = self.method.combine(evidence, state)
            return Decision(weights, gradient, after)
        weights, after = self.method.weigh(evidence, state)
        slopes = None
        if self.method.has_objective and losses is not None:
            at = losses.clone().requires_grad_()
            objective = self.method.objective(at, state)
            root = torch.ones_like(objective) if scale is None else scale.to(objective).reshape(objective.shape)
            torch.autograd.backward([objective], [root], inputs=[at, *self.method.parameters()])
            assert at.grad is not None
            slopes = at.grad / root.to(at)
            if self.method.needs <= Needs.LOSSES:
                weights = slopes
        return Decision(weights.detach(), None, after, slopes)

    def cached_weights(self, index: Tensor | None) -> Tensor | None:
        """Weights that need no look at this batch: drawn ahead, or kept from an earlier step; else None."""
        held = self._ahead if self._ahead is not None else self._last if self._reuses() else None
        if held is None or index is None:
            return held
        part = held[index.to(held.device)]
        return None if bool(part.isnan().any()) else part

    def weights_before_batch(self, names: Sequence[str], device: torch.device) -> Tensor:
        """Weights of the coming step before its batch is drawn; the same until that step is made."""
        if self.method.needs > Needs.NOTHING:
            raise RequestError(f"{self.method.name} looks at losses or gradients: it has no weights before the batch")
        tasks = self.register_tasks(names)
        self.init_state(device)
        if self._ahead is None and self._reuses():
            self._ahead = self._last
        if self._ahead is None:
            decision = self.decide(None)
            self._keep(decision.after, None)
            self._ahead = decision.weights
        assert self._ahead is not None
        return self._ahead[[tasks.index(t) for t in names]].clone()

    def advance(self, decision: Decision, index: Tensor | None) -> None:
        """The step was made as decided."""
        self._keep(decision.after, index)
        if self._every > 1:
            self._age = self._age % self._every + 1 if self._reuses() else 1
            if self._age == 1 and decision.weights is not None and self.tasks is not None:
                whole = decision.weights
                self._last = whole if index is None else present_tasks.spread(whole, len(self.tasks), index)
        self._ahead = None
        self.step += 1

    def skip(self) -> None:
        """The step was not made: the state stays, the count goes on."""
        for p in self.method.parameters():
            p.grad = None
        self._ahead = None
        self.step += 1

    def observe(self, losses: Tensor, index: Tensor | None) -> None:
        """Show the method the losses (T',) that the step led to."""
        state = self.method.state
        part = state if index is None else present_tasks.select(state, self.method.task_axes, index)
        self._keep(self.method.look_back(losses, part), index)

    def _reuses(self) -> bool:
        return self._last is not None and 0 < self._age < self._every

    def _keep(self, after: State | None, index: Tensor | None) -> None:
        """Make ``after`` the state; learned entries stay the parameters that the optimiser holds."""
        state = self.method.state
        if after is not None and index is not None:
            after = present_tasks.merge(state, after, self.method.task_axes, index)
        state.update({k: v for k, v in (after or {}).items() if k not in self.method.learned})

    # --- saving --------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Tensor]:
        """A flat dict of tensors."""
        state = {f"method.{k}": v.detach().clone() for k, v in self.method.state.items()}
        state["counters"] = torch.tensor([self.step, self._epoch, self._age])
        state["generator"] = self._generator.get_state()
        held: dict[str, Any] = {"ahead": self._ahead, "last": self._last}
        return state | {k: v.clone() for k, v in held.items() if v is not None}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``; learned parameters are filled in place, so that an optimiser keeps them."""
        held = self.method.state
        given = {k.removeprefix("method."): v.detach() for k, v in state.items() if k.startswith("method.")}
        for key in [k for k in held if k not in given]:
            del held[key]
        for key, value in given.items():
            old = held.get(key)
            if isinstance(old, torch.nn.Parameter):
                old.data.copy_(value)
            else:
                held[key] = value.clone()
        self.step, self._epoch, self._age = (int(x) for x in state["counters"])
        self._generator.set_state(state["generator"].cpu())
        self._ahead, self._last = (state[k].clone() if k in state else None for k in ("ahead", "last"))
        self._ready = False
