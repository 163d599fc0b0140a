"""The Balancer: losses in, evidence gathered, ``.grad`` out, in anybody's training loop.

    balancer = scalarize.Balancer("cagrad", shared=encoder.parameters())
    used = balancer.backward({"seg": loss_1, "depth": loss_2})
    optimizer.step()

No method is named here: what a method declares (needs, heads rule, hooks) decides what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor

from scalarize.balancer import autograd, backward_pass, task_gradients
from scalarize.balancer.distributed import Processes, refuse_wrapped
from scalarize.balancer.jacobian import JacobianAccumulator
from scalarize.balancer.losses import Losses, read
from scalarize.balancer.method_state import Decision, MethodState
from scalarize.balancer.options import Options
from scalarize.methods import Hyper, Method, Needs, create
from scalarize.utils.errors import DivergedError, RequestError, unknown_name_error


@dataclass(frozen=True)
class BackwardResult:
    """What one call of ``backward`` did; all tensors detached, tasks in the order of the losses that were given.

    weights (T,), NaN for a task without a loss in this batch, None where the method has no weights (or has not
    been asked yet: micro-batches before the last); gramian (T, T), None where none was needed; skipped: something
    was not finite and ``.grad`` was left empty.
    """

    tasks: tuple[str, ...]
    weights: Tensor | None
    gramian: Tensor | None = None
    skipped: bool = False


class Balancer:
    """Fills ``.grad`` as a method says.

    method: a name or a Method; ``hyper`` are its hyper-parameters. shared: the parameters that all tasks share.
    level: ``"parameters"`` compares gradients of the shared parameters; ``"representation"`` those of the tensors
    given to ``backward(representation=)``, and makes one backward of the encoder. accumulate: with several calls a
    step, ``"micro"`` (as None) combines in each, ``"full"`` combines the accumulated gradients of the tasks in the
    last (Royer et al. 2023, appendix 5.1); divide the losses by the number of calls. every: new weights at each
    k-th step only, ordinary backwards between. on_nonfinite: ``"raise"`` a RunError naming task and step, or
    ``"skip"`` the step and count it in ``skipped_steps``. evidence_from: the part of ``shared`` that the Gramian is
    taken from; then one weighted backward. blocks: take the Gramian from that many parts of the parameters in turn,
    which holds T x P / blocks numbers at a time and costs further backwards. chunk: how many tasks' gradients one
    backward makes together (``torch.vmap``), which holds that many times the memory of a backward, and pays on small
    models and on GPUs. heads: ``"own"`` gives what is not shared its task's own gradient, ``"weighted"`` scales it by
    the task's weight, ``"objective"`` by the derivative of the method's objective by the task's loss; by default as
    the method declares.
    tasks: the names of all tasks, needed only for learned parameters and where the first batch lacks a task. seed:
    of the method's random choices. group: the processes that share a batch (default all; False: none).

    ``heads`` and ``level`` say what was chosen. A method that needs no gradients costs one ordinary backward; all
    methods look at the device once a step, to see that everything is finite. T rows (T, P) are kept in memory.
    Raises RequestError for a combination that cannot be.
    """

    def __init__(
        self,
        method: str | Method,
        shared: Iterable[Tensor] | None = None,
        level: str = "parameters",
        accumulate: str | None = None,
        every: int = 1,
        on_nonfinite: str = "raise",
        evidence_from: Iterable[Tensor] | None = None,
        heads: str | None = None,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
        blocks: int = 1,
        chunk: int = 1,
        group: Any = None,
        **hyper: Unpack[Hyper],
    ) -> None:
        if isinstance(method, Method) and hyper:
            raise RequestError(f"hyper-parameters {sorted(hyper)} were given beside a finished method")
        self.method = method if isinstance(method, Method) else create(method, **hyper)
        self._options = Options(
            shared=tuple(shared or ()),
            level=level,
            heads=heads or self.method.heads,
            accumulate=accumulate or "micro",
            every=every,
            on_nonfinite=on_nonfinite,
            evidence_from=None if evidence_from is None else tuple(evidence_from),
            blocks=blocks,
            chunk=chunk,
        )
        self._processes = Processes(group)
        self._options.check(self.method, self._processes.several)
        self.shared, self.level, self.heads = list(self._options.shared), level, self._options.heads
        self.on_nonfinite = on_nonfinite
        self.skipped_steps = 0
        # Of a weighted sum of losses the weights are the objective's slopes too.
        self._heads_in_sum = "own" if self.heads == "own" else "weighted"
        self._full = self._options.accumulate == "full"
        self._by_gradients = self.method.needs >= Needs.GRAMIAN
        self._method_state = MethodState(self.method, every, tasks, seed)
        self._accumulator = JacobianAccumulator(chunk)
        self._checked_wrapper = False

    # --- what a training sets and saves --------------------------------------------------------------------------
    @property
    def tasks(self) -> tuple[str, ...] | None:
        """The names of all tasks; None before the first batch where they were not given."""
        return self._method_state.tasks

    @property
    def step(self) -> int:
        """How many steps were made, skipped ones included."""
        return self._method_state.step

    @property
    def epoch(self) -> int:
        """The epoch that the method is told, to be set by the training; counts from 0."""
        return self._method_state.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._method_state.epoch = epoch

    @property
    def solver_failures(self) -> int:
        """How often a solver of the method fell back to its documented direction."""
        return self.method.solver_failures

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew from ``seed``."""
        self._method_state.reseed(seed)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The method's learned parameters, for the training's optimiser. Needs ``tasks=`` where there are any."""
        if self.method.learned and self.tasks is None:
            raise RequestError(f"{self.method.name} has learned parameters: give the Balancer tasks=[...]")
        if self.method.learned:
            self._method_state.init_state(self._device())
        return self.method.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the coming steps depend on, as a flat dict of tensors (between steps, not within one)."""
        return self._method_state.state_dict() | {"skipped_steps": torch.tensor(self.skipped_steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``; learned parameters are filled in place, so that an optimiser keeps them."""
        self._method_state.load_state_dict(state)
        self.skipped_steps = int(state["skipped_steps"])
        self._accumulator.clear()

    def view(self, representation: Tensor, task: str) -> Tensor:
        """What ``task``'s head is to be given in place of the shared representation (B, ..., d), in training and after:
        the representation itself, but for methods whose ``has_view`` says otherwise.

            z = encoder(x)
            losses = {t: loss(heads[t](balancer.view(z, t)), y[t]) for t in tasks}
            balancer.backward(losses, representation=z)

        Raises RequestError where such a method was not told all ``tasks=``.
        """
        if not self.method.has_view:
            return representation
        if self.tasks is None:
            raise RequestError(f"{self.method.name} gives each head its own view: give the Balancer tasks=[...]")
        if task not in self.tasks:
            raise unknown_name_error("task", task, self.tasks)
        self._method_state.init_state(representation.device)
        return self.method.view(representation, self.tasks.index(task), self.method.state)

    # --- the step ------------------------------------------------------------------------------------------------
    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        representation: Tensor | Sequence[Tensor] | None = None,
        *,
        extra: Sequence[Mapping[str, Tensor | None]] = (),
        final: bool = True,
        scaler: Any = None,
        counts: Mapping[str, float] | None = None,
    ) -> BackwardResult:
        """Add to ``.grad`` what the method makes of the losses (single numbers; None or left out: not in this batch).

        representation: at that level, the tensor or tensors between encoder and heads. extra: losses of further
        batches, for methods that want them (without, they do as they document). final: False for all micro-batches
        of a step but the last. scaler: a ``torch.amp.GradScaler``; give the unscaled losses, ``.grad`` is left scaled
        for ``scaler.step``. counts: how many samples each loss averages here, where processes hold unequal numbers.
        Raises RunError where something is not finite (see ``on_nonfinite``); with a scaler an overflow of gradients
        is left to it, and counted.
        """
        method_state = self._method_state
        tasks = method_state.register_tasks(list(losses))
        scale = None if scaler is None else scaler.scale(torch.ones((), device=self._device(losses)))
        step = read(losses, tasks, self._processes, counts, scale)
        if self._processes.several and self.shared and not self._checked_wrapper:
            refuse_wrapped(self.shared[0])
            self._checked_wrapper = True
        method_state.init_state(step.values.device)
        if self._full and self.method.needs == Needs.NOTHING:
            method_state.weights_before_batch(tasks, step.values.device)  # the same for all micro-batches of the step
        weights = method_state.cached_weights(step.index)
        if weights is not None or not (self._by_gradients or self._full):
            return self._ordinary(step, weights, scale, final or not self._full)
        given = [representation] if isinstance(representation, Tensor) else list(representation or [])
        if self.level == "representation" and not any(z.requires_grad for z in given):
            raise RequestError("level='representation': backward needs representation=, a tensor with a gradient")
        if self.method.has_view and len(given) != 1:
            raise RequestError(f"{self.method.name} views one representation, got {len(given)}")
        if len(extra) > self.method.extra_batches:
            raise RequestError(
                f"{self.method.name} takes {self.method.extra_batches} further batches in backward(extra=), "
                f"got {len(extra)}"
            )
        further = [read(x, tasks, self._processes, counts, scale) for x in extra]
        return self._from_rows(step, given, further, scale, final or not self._full)

    def weights_ahead(self, tasks: Sequence[str]) -> Tensor:
        """The coming step's weights (T,), before its batch is drawn: sampling rates, say.

        For methods that need nothing; the next ``backward`` or ``backward_mixed`` uses these very weights, and
        until then the answer stays the same. Raises RequestError for a method that looks at losses or gradients.
        """
        return self._method_state.weights_before_batch(tasks, self._device())

    def backward_mixed(self, loss: Tensor, *, final: bool = True, scaler: Any = None) -> BackwardResult:
        """One ordinary backward of a loss whose batch was mixed at the rates of :meth:`weights_ahead`."""
        if self.tasks is None:
            raise RequestError("backward_mixed: ask for weights_ahead(tasks) first, and draw the batch by them")
        weights = self.weights_ahead(self.tasks)
        told = self._processes.sum(loss.detach().reshape(1).clone())
        share = 1 / self._processes.sum(torch.ones_like(told))
        name = ("the mixed loss",)
        step = Losses(name, name, name, [loss], told * share, None, None)
        by = share if scaler is None else scaler.scale(share)
        backward_pass.weighted_sum(step, by, self.shared, self._heads_in_sum, self._processes)
        if found := step.find_nonfinite(backward_pass.norms(self.shared) if scaler is None else None, by_task=False):
            self._stop(step, *found)
            return BackwardResult(self.tasks, weights, skipped=True)
        if final or not self._full:
            self._method_state.advance(Decision(weights), None)
        return BackwardResult(self.tasks, weights)

    def observe(self, losses: Mapping[str, Tensor | float]) -> None:
        """Show the method the losses that the step led to. Without it the next step's losses serve."""
        if self.method.observes:
            tasks = self._method_state.register_tasks(list(losses))
            told = {k: torch.as_tensor(v, device=self._device()) for k, v in losses.items()}
            step = read(told, tasks, self._processes)
            self._method_state.init_state(step.values.device)
            self._method_state.observe(step.values, step.index)

    # --- weights first: one ordinary backward --------------------------------------------------------------------
    def _ordinary(self, step: Losses, weights: Tensor | None, scale: Tensor | None, final: bool) -> BackwardResult:
        if step.values.device.type == "cpu" and (found := step.find_nonfinite(None, by_task=True)):
            return self._stop(step, *found)
        decision = Decision(weights)
        if weights is None:
            decision = self._method_state.decide(step.index, step.values, scale=scale)
        assert decision.weights is not None
        backward_pass.weighted_sum(step, decision.weights, self.shared, self._heads_in_sum, self._processes)
        # A scaler looks for overflow itself.
        if found := step.find_nonfinite(backward_pass.norms(self.shared) if scale is None else None, by_task=False):
            return self._stop(step, *found)
        if final:
            self._method_state.advance(decision, step.index)
        return BackwardResult(step.given, step.arrange(decision.weights))

    # --- gradients first: T rows, then the method's combination --------------------------------------------------
    def _from_rows(
        self, step: Losses, given: list[Tensor], further: list[Losses], scale: Tensor | None, final: bool
    ) -> BackwardResult:
        accumulator, options, processes = self._accumulator, self._options, self._processes
        plan = task_gradients.plan(step.losses, given, options)
        if not self._full:
            accumulator.clear()
        gathered = task_gradients.gather(plan, step, accumulator, processes, scale, final)
        if gathered is None:
            return BackwardResult(step.given, None)
        step, gramian = gathered.step, gathered.gramian
        found = step.find_nonfinite(accumulator.norms(gramian, processes), by_task=True)
        if found and (scale is None or found[0] == "loss"):
            return self._stop(step, *found)
        if found:  # an overflow: the scaler is to see it, and skips the step
            decision = Decision(torch.ones_like(step.values))
        else:
            evidence = tuple(task_gradients.evidence(x, plan, options, processes, scale) for x in further)
            jacobian = gathered.rows if self.method.needs == Needs.JACOBIAN else None
            width = None if plan.deep or len(plan.targets) > 1 else plan.targets[0].shape[-1]
            decision = self._method_state.decide(step.index, step.values, gramian, jacobian, evidence, scale, width)
        task_gradients.write(plan, gathered, accumulator, decision, options, processes, scale)
        accumulator.clear()
        if found:
            return self._count_skip(step)
        if (
            not plan.whole
            and scale is None
            and (found := step.find_nonfinite(backward_pass.norms(self.shared), by_task=False))
        ):
            return self._stop(step, *found)
        self._method_state.advance(decision, step.index)
        return BackwardResult(step.given, step.arrange(decision.weights), step.arrange(gramian))

    # --- small things --------------------------------------------------------------------------------------------
    def _device(self, losses: Mapping[str, Tensor | None] | None = None) -> torch.device:
        tensors = [*self.shared[:1], *(x for x in (losses or {}).values() if x is not None)]
        return tensors[0].device if tensors else torch.device("cpu")

    def _stop(self, step: Losses, what: str, tasks: list[str]) -> BackwardResult:
        """Raise, or leave the step out: no ``.grad`` stays on anything that the losses reach."""
        self._accumulator.clear()
        if self.on_nonfinite == "raise":
            names = " or ".join(repr(t) for t in tasks)
            raise DivergedError(f"step {self.step}: the {what} of task {names} is not finite")
        for leaves in autograd.reach(step.losses).own:
            for leaf in leaves:
                leaf.grad = None
        return self._count_skip(step)

    def _count_skip(self, step: Losses) -> BackwardResult:
        self._method_state.skip()
        self.skipped_steps += 1
        return BackwardResult(step.given, torch.full((len(step.given),), float("nan")), skipped=True)
