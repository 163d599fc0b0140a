"""The state of a method during a training: its tensors, the counts of steps and epochs, and weights kept for reuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer import present_tasks
from scalarize.balancer.epochs import Epochs
from scalarize.balancer.learned_numbers import LearnedNumbers
from scalarize.balancer.notices import Notices
from scalarize.balancer.silence import Decision, Silence
from scalarize.methods import Evidence, Method, Needs, State
from scalarize.utils.errors import RequestError, unknown_name_error


class MethodState:
    """All that the weights of the coming steps depend on. ``index`` always holds the places of the tasks that are
    present among all ``tasks``, or is None if all are.

    Args:
        method: the method at work.
        every: its weights serve so many steps.
        tasks: all names; None: the first batch names them.
        seed: of its random choices.
        learned, learned_rate: see :class:`LearnedNumbers`.
        steps_per_epoch: see :class:`Epochs`.
    """

    def __init__(
        self,
        method: Method,
        every: int,
        tasks: Sequence[str] | None,
        seed: int,
        learned: str = "own",
        learned_rate: float | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        self.method = method
        self.tasks = None if tasks is None else tuple(tasks)
        self.step = 0
        self.closes_step = True  # the coming call is the last micro-batch of its step
        self._notices = Notices()
        self.learned = LearnedNumbers(method, learned, learned_rate, self._notices)
        self._epochs = Epochs(method, steps_per_epoch, self._notices)
        self._silence = Silence(method, self._notices)
        self._every = every
        self._generator = torch.Generator()
        self._ready = False
        self._ahead: Tensor | None = None  # weights of the coming step, already drawn
        self._last: Tensor | None = None  # weights that every= uses again
        self._last_whole = True  # they are of all tasks
        self._age = 0  # steps that the last weights have served
        self.reseed(seed)

    @property
    def epoch(self) -> int:
        """The epoch as the training counts it; setting it decides the epoch that the method is told."""
        return self._epochs.known(self.step)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epochs.set(epoch)
        self._ahead = None

    @property
    def empty_rows(self) -> dict[str, int]:
        """The number of steps by task in which its loss or gradient was exactly 0."""
        return self._silence.counts(self.tasks or ())

    @property
    def generator(self) -> torch.Generator:
        """The source of the method's random choices."""
        return self._generator

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew."""
        self._generator.manual_seed(seed)
        self._ahead = None

    def register_tasks(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return all tasks; the first batch names them if nobody did. Raises RequestError for a name that is new."""
        if self.tasks is None:
            self.tasks = tuple(names)
        for name in names:
            if name not in self.tasks:
                raise unknown_name_error("task", name, self.tasks, where=" (tasks=[...] must name all)")
        return self.tasks

    def init_state(self, device: torch.device) -> None:
        """Initialise the method's state for all tasks, on ``device``."""
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
        gramian64: Callable[[], Tensor] | None = None,
        any_empty: bool | None = None,
    ) -> Decision:
        """Return the method's answer to this evidence; :meth:`advance` puts it in force. An objective fills ``.grad``
        of the learned numbers.

        A task whose gradient is exactly 0 has no say, nor has one whose loss is 0 if the method takes logarithms or
        inverses: the method sees the other tasks alone, as if that one were missing. any_empty: False if a look has
        shown that no gradient is 0; None if nobody has looked.
        """
        part = self._silence.find(index, losses, gramian, self.tasks or (), any_empty=any_empty)
        if part.nobody:
            return part.nothing(jacobian if self.method.has_combine else None)
        state = self._state_of(part.place)
        evidence = Evidence(
            losses=part.of(losses),
            gramian=part.of_both(gramian),
            jacobian=part.of(jacobian),
            step=self.step,
            epoch=self._epochs.told(self.step),
            generator=self._generator,
            extra=tuple(part.of_evidence(e) for e in extra),
            width=width,
            gramian64=None if gramian64 is None else lambda: part.of_both(gramian64()),
        )
        if self.method.has_combine:
            gradient, weights, after = self.method.combine(evidence, state)
            return part.decision(weights, gradient, after)
        weights, after = self.method.weigh(evidence, state)
        if not self.method.has_objective or losses is None:
            return part.decision(weights.detach(), None, after)
        if self.method.needs <= Needs.LOSSES:
            slopes = self.learned.slopes(part.of(losses), state, part.place, scale)
            return part.decision(slopes, None, after, slopes)
        slopes = self.learned.slopes(losses, self._state_of(index), index, scale)
        return part.decision(weights.detach(), None, after)._replace(slopes=slopes)

    def _state_of(self, place: Tensor | None) -> State:
        state = self.method.state
        return state if place is None else present_tasks.select(state, self.method.task_axes, place)

    def cached_weights(self, index: Tensor | None) -> Tensor | None:
        """Return weights that need no look at this batch: drawn ahead, or kept from an earlier step; else None."""
        held = self._ahead if self._ahead is not None else self._last if self._reuses() else None
        if held is None or (index is None and (held is self._ahead or self._last_whole)):
            return held
        part = held if index is None else held[index.to(held.device)]
        return None if bool(part.isnan().any()) else part

    def weights_before_batch(self, names: Sequence[str], device: torch.device) -> Tensor:
        """Return the weights of the coming step before its batch is drawn; the same until that step is made."""
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
        """Advance the state after a step that was made as decided."""
        self._keep(decision.after, decision.place)
        if self._every > 1:
            self._age = self._age % self._every + 1 if self._reuses() else 1
            if self._age == 1 and decision.told is not None and self.tasks is not None:
                whole = decision.told
                self._last = whole if index is None else present_tasks.spread(whole, len(self.tasks), index)
                self._last_whole = index is None and decision.silent is None
        if self.closes_step:
            self.learned.step()
        self._ahead = None
        self.step += 1

    def skip(self) -> None:
        """Count a step that was not made; the state stays."""
        self.learned.forget_gradients()
        self._ahead = None
        self.step += 1

    def observe(self, losses: Tensor, index: Tensor | None) -> None:
        """Show the method the losses (T',) that the step led to."""
        part = self._silence.find(index, losses, None, self.tasks or (), count=False)
        if not part.nobody:
            seen = part.of(losses)
            assert seen is not None
            self._keep(self.method.look_back(seen, self._state_of(part.place)), part.place)

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
        """Return all state as a flat dict of tensors."""
        state = {f"method.{k}": v.detach().clone() for k, v in self.method.state.items()}
        state["counters"] = torch.tensor([self.step, self.epoch, self._age])
        state["epoch_set"] = torch.tensor(self._epochs.was_set)
        state["generator"] = self._generator.get_state()
        held: dict[str, Any] = {"ahead": self._ahead, "last": self._last, "empty_rows": self._silence.held}
        return state | {k: v.clone() for k, v in held.items() if v is not None} | self.learned.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from ``state``, also an older one; learned parameters are filled in place, so that an optimiser
        keeps them."""
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
        self.step, epoch, self._age = (int(x) for x in state["counters"])
        self._epochs.set(epoch if bool(state.get("epoch_set", epoch > 0)) else None)
        self._generator.set_state(state["generator"].cpu())
        self._ahead, self._last = (state[k].clone() if k in state else None for k in ("ahead", "last"))
        self._last_whole = False
        self._silence.held = state["empty_rows"].clone() if "empty_rows" in state else None
        self.learned.load_state_dict(state)
        self._ready = False
