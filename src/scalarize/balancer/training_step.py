"""One training step: weights first and one ordinary backward, or the tasks' gradients first and their combination."""

from __future__ import annotations

import torch
from torch import Tensor

from scalarize.balancer import autograd, backward_pass, task_gradients
from scalarize.balancer.columns import Columns
from scalarize.balancer.distributed import Processes
from scalarize.balancer.gramian.choices import Choices
from scalarize.balancer.jacobian import JacobianAccumulator
from scalarize.balancer.losses import Losses
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.options import Options
from scalarize.balancer.reachability import Reachability
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.silence import Decision
from scalarize.methods import Needs
from scalarize.utils.errors import DivergedError


class TrainingStep:
    """The ways in which losses become ``.grad``, and the count of steps that were skipped.

    Args:
        method_state: the method and its state.
        options: the Balancer's.
        processes: those that share a batch.
    """

    def __init__(self, method_state: MethodState, options: Options, processes: Processes) -> None:
        self.method_state = method_state
        self.options = options
        self.processes = processes
        self.accumulator = JacobianAccumulator(options.chunk)
        self.choices, self.columns = Choices(), Columns()
        self.reachability = Reachability(options.shared, processes)
        self.skipped = 0
        self.full = options.accumulate == "full"
        # Of a weighted sum of losses the weights are the objective's slopes too.
        self.heads_in_sum = "own" if options.heads == "own" else "weighted"

    def ordinary(self, step: Losses, weights: Tensor | None, scale: Tensor | None, final: bool) -> BackwardResult:
        """Take the weights (``weights``, or the method's answer to the losses), then run one ordinary backward."""
        self._check_sum(step)
        if step.values.device.type == "cpu" and (found := step.find_nonfinite(None, by_task=True)):
            return self.stop(step, *found)
        decision = Decision(weights)
        if weights is None:
            decision = self.method_state.decide(step.index, step.values, scale=scale)
        assert decision.weights is not None
        backward_pass.weighted_sum(step, decision.weights, self.options.shared, self.heads_in_sum, self.processes)
        if found := self._nonfinite_sum(step, scale):
            return self.stop(step, *found)
        if scale is not None and self.method_state.learned.any_own and self._overflow(step):
            return self._count_skip(step)  # the scaler leaves this step out: so do the learned numbers
        if final:
            self.method_state.advance(decision, step.index)
        return BackwardResult(step.given, step.arrange(decision.told))

    def mixed(
        self, step: Losses, weights: Tensor, tasks: tuple[str, ...], scale: Tensor | None, final: bool
    ) -> BackwardResult:
        """Run one ordinary backward of the one loss of a batch that was mixed at the rates ``weights`` of ``tasks``."""
        self._check_sum(step)
        backward_pass.weighted_sum(
            step, torch.ones_like(step.values), self.options.shared, self.heads_in_sum, self.processes
        )
        if found := self._nonfinite_sum(step, scale):
            self.stop(step, *found)
            return BackwardResult(tasks, weights, skipped=True)
        if final:
            self.method_state.advance(Decision(weights), None)
        return BackwardResult(tasks, weights)

    def from_rows(
        self, step: Losses, given: list[Tensor], further: list[Losses], scale: Tensor | None, final: bool
    ) -> BackwardResult:
        """Take the gradients of the tasks, T rows, then write the method's combination of them."""
        accumulator, options, processes = self.accumulator, self.options, self.processes
        self.reachability.check_graph(step.losses)
        processes.look(step.losses, given if options.level == "representation" else (), self.full)
        plan = task_gradients.plan(step.losses, given, options, processes, self.choices if self._no_rows else None)
        if not plan.deep:
            self.reachability.check_past(plan.targets, plan.own)
        self.columns.follow(plan.source, self.method_state.method)
        if not self.full:
            accumulator.clear()
        gathered = task_gradients.gather(plan, step, accumulator, processes, scale, final)
        if gathered is None:
            return BackwardResult(step.given, None)
        if plan.deep:
            self.reachability.check_gradients(gathered.step.present, plan.source, gathered.touched, plan.own)
        else:
            self.reachability.check_representation(any(gathered.touched))
        step, gramian = gathered.step, gathered.gramian
        found, empty = step.look(accumulator.norms(gramian, processes), gramian.diagonal())
        if found and (scale is None or found[0] == "loss"):
            return self.stop(step, *found)
        if found:  # an overflow: the scaler is to see it, and skips the step
            decision = Decision(torch.ones_like(step.values))
        else:
            evidence = tuple(task_gradients.evidence(x, plan, options, processes, scale) for x in further)
            jacobian = gathered.rows if self.method_state.method.needs == Needs.JACOBIAN else None
            one = None if plan.deep or len(plan.targets) > 1 else plan.targets[0]
            width = None if one is None else one.shape[-1] if one.ndim else 1
            again = task_gradients.gramian64(plan, gathered, processes)
            decision = self.method_state.decide(
                step.index, step.values, gramian, jacobian, evidence, scale, width, again, any(empty)
            )
        task_gradients.write(plan, gathered, accumulator, decision, options, processes, scale)
        accumulator.clear()
        if found:
            return self._count_skip(step)
        if not plan.whole and scale is None and (found := self._nonfinite_sum(step, scale)):
            return self.stop(step, *found)
        self.method_state.advance(decision, step.index)
        return BackwardResult(step.given, step.arrange(decision.told), step.arrange(gramian))

    @property
    def _no_rows(self) -> bool:
        """True if inner products of gradients are all that is needed, in this process alone."""
        method = self.method_state.method
        by_gramian = method.needs == Needs.GRAMIAN and not method.has_combine and not method.extra_batches
        return by_gramian and not self.full and self.options.chunk in (1, "auto") and not self.processes.by_hand

    def stop(self, step: Losses, what: str, tasks: list[str]) -> BackwardResult:
        """Raise, or leave the step out: no ``.grad`` stays on anything that the losses reach."""
        self.accumulator.clear()
        if self.options.on_nonfinite == "raise":
            names = " or ".join(repr(t) for t in tasks)
            raise DivergedError(f"step {self.method_state.step}: the {what} of task {names} is not finite")
        for leaves in autograd.reach(step.losses).own:
            self.processes.forget(leaves)
        return self._count_skip(step)

    def _check_sum(self, step: Losses) -> None:
        self.reachability.check_graph(step.losses)
        self.processes.look(step.losses, (), self.full)
        plain = backward_pass.is_plain(self.options.shared, self.heads_in_sum, self.processes)
        apart = self.heads_in_sum == "own" and bool(self.options.shared)
        self.reachability.check_sum(step.losses, plain, apart)

    def _nonfinite_sum(self, step: Losses, scale: Tensor | None) -> tuple[str, list[str]] | None:
        """See :meth:`Losses.find_nonfinite`; a GradScaler looks for overflow of gradients itself."""
        norms = self.processes.norms(self.options.shared) if scale is None else None
        return step.find_nonfinite(norms, by_task=False)

    def _overflow(self, step: Losses) -> bool:
        """True if a gradient of what the losses reach is not finite; one look at the device."""
        norms = self.processes.norms([p for ps in autograd.reach(step.losses).own for p in ps])
        return norms is not None and not bool(torch.isfinite(norms).all())

    def _count_skip(self, step: Losses) -> BackwardResult:
        self.method_state.skip()
        self.skipped += 1
        return BackwardResult(step.given, torch.full((len(step.given),), float("nan")), skipped=True)
