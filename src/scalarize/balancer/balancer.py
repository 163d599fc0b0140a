"""The Balancer: losses in, evidence gathered, ``.grad`` out, in anybody's training loop.

    balancer = scalarize.Balancer("cagrad", shared=encoder.parameters())
    used = balancer.backward({"seg": loss_1, "depth": loss_2})
    optimizer.step()

No method is named here: what a method declares (needs, heads rule, hooks) decides what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.arguments import read_losses, read_parameters, read_representation
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import Losses, read
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.options import Options
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.surroundings import Turn, undisturbed
from scalarize.balancer.training_step import TrainingStep
from scalarize.methods import Method, Needs, create
from scalarize.utils.errors import RequestError, unknown_name_error

__all__ = ["BackwardResult", "Balancer"]


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
        **hyper: Any,
    ) -> None:
        if isinstance(method, Method) and hyper:
            raise RequestError(f"hyper-parameters {sorted(hyper)} were given beside a finished method")
        self.method = method if isinstance(method, Method) else create(method, **hyper)
        self._options = Options(
            shared=read_parameters(shared, "shared"),
            level=level,
            heads=heads or self.method.heads,
            accumulate=accumulate or "micro",
            every=every,
            on_nonfinite=on_nonfinite,
            evidence_from=None if evidence_from is None else read_parameters(evidence_from, "evidence_from"),
            blocks=blocks,
            chunk=chunk,
        )
        self._processes = Processes(group)
        self._options.check(self.method, self._processes.several)
        self.shared, self.level, self.heads = list(self._options.shared), level, self._options.heads
        self._by_gradients = self.method.needs >= Needs.GRAMIAN
        self._method_state = MethodState(self.method, every, tasks, seed)
        self._step = TrainingStep(self._method_state, self._options, self._processes)
        self._turn = Turn()

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
    def skipped_steps(self) -> int:
        """How many steps were left out since something was not finite."""
        return self._step.skipped

    @property
    def solver_failures(self) -> int:
        """How often a solver of the method fell back to its documented direction."""
        return self.method.solver_failures

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew from ``seed``."""
        self._method_state.reseed(seed)

    @undisturbed
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
        self._step.skipped = int(state["skipped_steps"])
        self._step.accumulator.clear()

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
    @undisturbed
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
        losses = read_losses(losses, self._device())
        tasks = method_state.register_tasks(list(losses))
        scale = None if scaler is None else scaler.scale(torch.ones((), device=self._device(losses)))
        step = read(losses, tasks, self._processes, counts, scale)
        method_state.init_state(step.values.device)
        if self._step.full and self.method.needs == Needs.NOTHING:
            method_state.weights_before_batch(tasks, step.values.device)  # the same for all micro-batches of the step
        weights = method_state.cached_weights(step.index)
        if weights is not None or not (self._by_gradients or self._step.full):
            return self._step.ordinary(step, weights, scale, final or not self._step.full)
        given = read_representation(representation)
        if self.level == "representation" and not given:
            raise RequestError("level='representation': backward needs representation=, a tensor with a gradient")
        if self.method.has_view and len(given) != 1:
            raise RequestError(f"{self.method.name} views one representation, got {len(given)}")
        if len(extra) > self.method.extra_batches:
            raise RequestError(
                f"{self.method.name} takes {self.method.extra_batches} further batches in backward(extra=), "
                f"got {len(extra)}"
            )
        further = [read(read_losses(x, step.values.device), tasks, self._processes, counts, scale) for x in extra]
        return self._step.from_rows(step, given, further, scale, final or not self._step.full)

    @undisturbed
    def weights_ahead(self, tasks: Sequence[str]) -> Tensor:
        """The coming step's weights (T,), before its batch is drawn: sampling rates, say.

        For methods that need nothing; the next ``backward`` or ``backward_mixed`` uses these very weights, and
        until then the answer stays the same. Raises RequestError for a method that looks at losses or gradients.
        """
        return self._method_state.weights_before_batch(tasks, self._device())

    @undisturbed
    def backward_mixed(self, loss: Tensor, *, final: bool = True, scaler: Any = None) -> BackwardResult:
        """One ordinary backward of a loss whose batch was mixed at the rates of :meth:`weights_ahead`."""
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

    @undisturbed
    def observe(self, losses: Mapping[str, Tensor | float]) -> None:
        """Show the method the losses that the step led to. Without it the next step's losses serve."""
        if self.method.observes:
            tasks = self._method_state.register_tasks(list(losses))
            step = read(read_losses(losses, self._device()), tasks, self._processes)
            self._method_state.init_state(step.values.device)
            self._method_state.observe(step.values, step.index)

    def _device(self, losses: Mapping[str, Tensor | None] | None = None) -> torch.device:
        tensors = [*self.shared[:1], *(x for x in (losses or {}).values() if x is not None)]
        return tensors[0].device if tensors else torch.device("cpu")
