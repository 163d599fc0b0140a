"""The Balancer: losses in, evidence gathered, ``.grad`` out, in anybody's training loop.

    balancer = scalarize.Balancer("cagrad", shared=encoder.parameters())
    used = balancer.backward({"seg": loss_1, "depth": loss_2})
    optimizer.step()

No method is named here: what a method declares (needs, heads rule, hooks) decides what is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from scalarize.balancer.arguments import Loss, Parameters, read_losses, read_parameters, read_representation
from scalarize.balancer.call import Call
from scalarize.balancer.check import check_first
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import Losses, read
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.options import Options
from scalarize.balancer.probed import Probed
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.surroundings import undisturbed
from scalarize.balancer.training_step import TrainingStep
from scalarize.methods import Hyper, Method, Needs, create
from scalarize.utils.errors import RequestError, unknown_name_error

__all__ = ["BackwardResult", "Balancer"]


class Balancer(Probed):
    """Fills ``.grad`` as a method says.

    A method that needs no gradients costs one ordinary backward, the others one a task. T tasks and P shared numbers
    hold T x P numbers in memory, in float32 at least. All methods look at the device once a step, to see that
    everything is finite. The call may stand inside autocast or ``no_grad``: what follows the losses is made outside.

    Args:
        method: a method's name, or a Method.
        shared: the parameters that all tasks share: a module, tensors, or what ``parameters()`` or
            ``named_parameters()`` gives. Methods that compare gradients need it at ``level="parameters"``.
        level: ``"parameters"`` compares gradients of ``shared``; ``"representation"`` those of the tensors given to
            ``backward(representation=)``, and makes one backward of the encoder.
        accumulate: with several calls a step, ``"micro"`` (the default) combines in each, ``"full"`` combines the
            accumulated gradients of the tasks in the last (Royer et al. 2023, appendix 5.1); divide the losses by
            the number of calls.
        every: new weights at each ``every``-th step only, ordinary backwards between.
        on_nonfinite: ``"raise"`` a RunError naming task and step, or ``"skip"`` the step and count it in
            ``skipped_steps``.
        evidence_from: the part of ``shared`` that the Gramian is taken from; then one weighted backward.
        heads: ``"own"`` gives what is not shared its task's own gradient, ``"weighted"`` scales it by the task's
            weight, ``"objective"`` by the derivative of the method's objective by the task's loss; by default as the
            method declares.
        tasks: the names of all tasks, needed only for learned parameters and if the first batch lacks a task.
        seed: of the method's random choices.
        blocks: take the Gramian from that many parts of the parameters in turn, which holds T x P / ``blocks``
            numbers at a time and costs further backwards.
        chunk: how many tasks' gradients one backward makes together (``torch.vmap``), which holds that many times
            the memory of a backward, and pays on small models and on GPUs.
        group: the processes that share a batch; None: all of ``torch.distributed``, False: this one alone.
        learned: the numbers that some methods learn are stepped ``"own"`` by the Balancer, by Adam once a step, or
            ``"yours"`` by your optimiser, which is given ``balancer.parameters()``.
        learned_rate: learning rate of that Adam, 0.025 if not given.
        steps_per_epoch: number of steps in an epoch, for methods that count epochs; or set ``balancer.epoch``.
        check_first: hold the first so many steps against gradients that are taken of the same graph one task at a
            time, and raise a RunError before the optimiser's step if they differ; see also :meth:`check`.
        hyper: hyper-parameters of the method that is given by name.

    Raises:
        RequestError: for a combination that cannot be.

    Example:
        >>> import torch, scalarize
        >>> encoder, heads = torch.nn.Linear(3, 4), torch.nn.ModuleDict({t: torch.nn.Linear(4, 1) for t in "ab"})
        >>> balancer = scalarize.Balancer("mgda", shared=encoder.parameters())
        >>> z = encoder(torch.ones(8, 3)).tanh()
        >>> used = balancer.backward({task: head(z).square().mean() for task, head in heads.items()})
        >>> used.tasks, used.weights.shape, used.gramian.shape, encoder.weight.grad.shape
        (('a', 'b'), torch.Size([2]), torch.Size([2, 2]), torch.Size([4, 3]))
    """

    def __init__(
        self,
        method: str | Method,
        shared: Parameters | None = None,
        level: str = "parameters",
        accumulate: str | None = None,
        every: int = 1,
        on_nonfinite: str = "raise",
        evidence_from: Parameters | None = None,
        heads: str | None = None,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
        blocks: int = 1,
        chunk: int = 1,
        group: Any = None,
        learned: str = "own",
        learned_rate: float | None = None,
        steps_per_epoch: int | None = None,
        check_first: int = 0,
        **hyper: Unpack[Hyper],
    ) -> None:
        if isinstance(method, Method) and hyper:
            raise RequestError(f"hyper-parameters {sorted(hyper)} were given beside a finished method")
        method = method if isinstance(method, Method) else create(method, **hyper)
        options = Options(
            shared=read_parameters(shared, "shared"),
            level=level,
            heads=heads or method.heads,
            accumulate=accumulate or "micro",
            every=every,
            on_nonfinite=on_nonfinite,
            evidence_from=None if evidence_from is None else read_parameters(evidence_from, "evidence_from"),
            blocks=blocks,
            chunk=chunk,
        )
        self._processes = Processes(group)
        options.check(method, self._processes.several)
        self.level, self.heads = level, options.heads
        self._by_gradients = method.needs >= Needs.GRAMIAN
        method_state = MethodState(method, every, tasks, seed, learned, learned_rate, steps_per_epoch)
        super().__init__(method_state, TrainingStep(method_state, options, self._processes), list(options.shared))
        self._check_first = check_first

    def view(self, representation: Tensor, task: str) -> Tensor:
        """What ``task``'s head is to be given in place of the shared representation, in training and after: the
        representation itself, but for methods whose ``has_view`` says otherwise.

            z = encoder(x)
            losses = {t: loss(heads[t](balancer.view(z, t)), y[t]) for t in tasks}
            balancer.backward(losses, representation=z)

        Args:
            representation: (B, ..., d).
            task: its name.

        Returns:
            A tensor like ``representation``.

        Raises:
            RequestError: such a method was not told all ``tasks=``.
        """
        if not self.method.has_view:
            return representation
        if self.tasks is None:
            raise RequestError(f"{self.method.name} gives each head its own view: give the Balancer tasks=[...]")
        if task not in self.tasks:
            raise unknown_name_error("task", task, self.tasks)
        self._method_state.init_state(representation.device)
        return self.method.view(representation, self.tasks.index(task), self.method.state)

    @undisturbed
    def backward(
        self,
        losses: Mapping[str, Loss],
        representation: Any = None,
        *,
        extra: Sequence[Mapping[str, Loss]] = (),
        final: bool = True,
        scaler: Any = None,
        counts: Mapping[str, float] | None = None,
    ) -> BackwardResult:
        """Add to ``.grad`` what the method makes of the losses, in the memory layout of each parameter.

        Hooks on parameters fire once, on the combination; hooks inside the graph fire in the backward of each task.

        Args:
            losses: single numbers by task, with their graphs; None or left out: not in this batch. A plain number is
                a constant.
            representation: at that level, the tensor or tensors between encoder and heads, in any container: the very
                ones that the heads were given. They must hold all paths from the encoder to the losses.
            extra: losses of further batches, for methods that want them (without, they do as they document).
            final: False for all micro-batches of a step but the last.
            scaler: a ``torch.amp.GradScaler``; give the unscaled losses, ``.grad`` is left scaled for
                ``scaler.step``. An overflow of gradients is left to it, and counted.
            counts: how many samples each loss averages here, if processes hold unequal numbers.

        Returns:
            Weights, Gramian, and if the step was skipped.

        Raises:
            RequestError: the losses do not fit ``shared=`` or ``representation=``; nothing was written.
            RunError: something is not finite (see ``on_nonfinite``).
        """
        call = Call(losses, representation, extra, final, scaler, counts)
        if self._intercept is not None:
            return self._intercept(call)
        if self.step < self._check_first:
            return check_first(self, call)
        return self._backward(call)

    def _backward(self, call: Call) -> BackwardResult:
        """:meth:`backward`, once more as it is."""
        method_state = self._method_state
        losses = read_losses(call.losses, self._device())
        method_state.closes_step = call.final
        tasks = method_state.register_tasks(list(losses))
        scale = None if call.scaler is None else call.scaler.scale(torch.ones((), device=self._device(losses)))
        step = read(losses, tasks, self._processes, call.counts, scale)
        method_state.init_state(step.values.device)
        if self._step.full and self.method.needs == Needs.NOTHING:
            method_state.weights_before_batch(tasks, step.values.device)  # the same for all micro-batches of the step
        weights = method_state.cached_weights(step.index)
        if weights is not None or not (self._by_gradients or self._step.full):
            return self._step.ordinary(step, weights, scale, call.final or not self._step.full)
        given = read_representation(call.representation)
        if self.level == "representation" and not given:
            raise RequestError("level='representation': backward needs representation=, a tensor with a gradient")
        if self.method.has_view and len(given) != 1:
            raise RequestError(f"{self.method.name} views one representation, got {len(given)}")
        if len(call.extra) > self.method.extra_batches:
            raise RequestError(
                f"{self.method.name} takes {self.method.extra_batches} further batches in backward(extra=), "
                f"got {len(call.extra)}"
            )
        further = [
            read(read_losses(x, step.values.device), tasks, self._processes, call.counts, scale) for x in call.extra
        ]
        return self._step.from_rows(step, given, further, scale, call.final or not self._step.full)

    @undisturbed
    def weights_ahead(self, tasks: Sequence[str]) -> Tensor:
        """The coming step's weights (T,) of ``tasks``, before its batch is drawn: sampling rates, say.

        For methods that need nothing; the next ``backward`` or ``backward_mixed`` uses these very weights, and
        until then the answer stays the same. Raises RequestError for a method that looks at losses or gradients.
        """
        return self._method_state.weights_before_batch(tasks, self._device())

    @undisturbed
    def backward_mixed(self, loss: Tensor, *, final: bool = True, scaler: Any = None) -> BackwardResult:
        """One ordinary backward of a loss (a single number) whose batch was mixed at the rates of
        :meth:`weights_ahead`; ``final`` and ``scaler`` as in :meth:`backward`."""
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
    def observe(self, losses: Mapping[str, Loss]) -> None:
        """Show the method the losses that the step led to. Without it the next step's losses serve."""
        if self.method.observes:
            tasks = self._method_state.register_tasks(list(losses))
            step = read(read_losses(losses, self._device()), tasks, self._processes)
            self._method_state.init_state(step.values.device)
            self._method_state.observe(step.values, step.index)
