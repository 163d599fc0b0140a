"""The Balancer: losses in, ``.grad`` out, in any training loop.

    balancer = scalarize.Balancer("cagrad", shared=encoder.parameters())
    used = balancer.backward({"seg": loss_1, "depth": loss_2})
    optimizer.step()

No method is named here: what a method declares (needs, heads rule, hooks) decides what is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack, cast

import torch
from torch import Tensor

from scalarize.balancer.arguments import Loss, Parameters, read_losses, read_parameters, read_representation
from scalarize.balancer.call import Call
from scalarize.balancer.check import check_first
from scalarize.balancer.distributed import Processes
from scalarize.balancer.losses import read
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.options import Options
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.sample_step import SampleStep, check_per
from scalarize.balancer.surroundings import undisturbed
from scalarize.balancer.training_step import TrainingStep
from scalarize.balancer.views import Views
from scalarize.methods import Hyper, Method, Needs, create
from scalarize.utils.errors import RequestError

__all__ = ["BackwardResult", "Balancer"]


class Balancer(Views):
    """The combination of several losses into ``.grad``, by a method of task weighting.

    A method that needs no gradients costs one ordinary backward, the others one per task; on a CPU without gradients of
    weights that are dearer than what enters and leaves their layer, if the Gramian is all that is needed
    (``docs/gramian.md``). Rows of gradients are held in float32 at least. A step looks at the device once, to see that
    everything is finite; methods that solve a small problem look a second time, a few more often (``results/gpu.md``).
    The call may stand inside autocast or ``no_grad``: what follows the losses is made outside.

    Args:
        method: name of a method, or a Method.
        shared: the parameters that all tasks share: a module, tensors, or what ``parameters()`` or
            ``named_parameters()`` gives. Methods that compare gradients need it at ``level="parameters"``. Default:
            none.
        level: ``"parameters"`` (the default) compares gradients of ``shared``; ``"representation"`` those of the
            tensors given to ``backward(representation=)``, and makes one backward of the encoder.
        accumulate: with several calls a step, ``"micro"`` (the default) combines in each, ``"full"`` combines the
            accumulated gradients of the tasks in the last (Royer et al. 2023, appendix 5.1); divide the losses by the
            number of calls.
        every: number of steps from one computation of the weights to the next, with ordinary backwards between. Default
            1.
        on_nonfinite: ``"raise"`` (the default) a RunError naming task and step, or ``"skip"`` the step and count it in
            ``skipped_steps``.
        evidence_from: the part of ``shared`` that the Gramian is taken from; one weighted backward follows. Default:
            all of it.
        heads: ``"own"`` gives parameters that are not shared their task's own gradient, ``"weighted"`` scales it by the
            task's weight, ``"objective"`` by the derivative of the method's objective by the task's loss. Default: as
            the method declares.
        tasks: names of all T tasks; needed for learned parameters, and if the first batch lacks a task. Default: those
            of the first batch.
        seed: seed of the method's random choices. Default 0.
        blocks: number of parts of the parameters from which the Gramian is taken in turn, which holds T x P /
            ``blocks`` numbers at a time and costs further backwards. Default 1.
        chunk: number of tasks whose gradients one backward computes together (``torch.vmap``); it takes that many times
            the memory of a backward, and pays on some models, on GPUs most. ``"auto"`` tries 1, 8 and T in the first
            nine steps and keeps the fastest that fits into half of the memory at hand; the last bits of gradients then
            depend on the machine. Default 1.
        group: the processes that share a batch; None (the default): all of ``torch.distributed``; False: this one
            alone.
        learned: optimiser of the numbers that some methods learn: ``"own"`` (the default), the Balancer's Adam, once a
            step; or ``"yours"``, which is given ``balancer.parameters()``.
        learned_rate: learning rate of that Adam. Default 0.025.
        steps_per_epoch: number of steps in an epoch, for methods that count epochs; or set ``balancer.epoch``. Default:
            not known.
        check_first: number of first steps that are compared with gradients taken of the same graph one task at a time;
            a RunError is raised before the optimiser's step if they differ; see also :meth:`check`. Default 0.
        per: ``"task"`` (the default), or ``"sample"``: each sample is a task, ``backward`` takes losses (B,) or (B, T),
            and all parameters receive the weighted sum.
        **hyper: hyper-parameters of the method that is given by name. Default: those of its paper.

    Raises:
        RequestError: the method or an option is unknown, or the combination is not possible.

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
        chunk: int | str = 1,
        group: Any = None,
        learned: str = "own",
        learned_rate: float | None = None,
        steps_per_epoch: int | None = None,
        check_first: int = 0,
        per: str = "task",
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
        processes = Processes(group)
        options.check(method, processes.several)
        self.level, self.heads = level, options.heads
        self._by_gradients = method.needs >= Needs.GRAMIAN
        method_state = MethodState(method, every, tasks, seed, learned, learned_rate, steps_per_epoch)
        step = TrainingStep(method_state, options, processes)
        super().__init__(method_state, step, list(options.shared), processes)
        self._check_first = check_first
        self._samples = SampleStep(step, processes.several, check_first) if check_per(per) else None

    @undisturbed
    def backward(
        self,
        losses: Mapping[str, Loss] | Tensor,
        representation: Any = None,
        *,
        extra: Sequence[Mapping[str, Loss]] = (),
        final: bool = True,
        scaler: Any = None,
        counts: Mapping[str, float] | None = None,
    ) -> BackwardResult:
        """Add to ``.grad`` the combination of the losses that the method makes, in the memory layout of each parameter.

        Hooks on parameters fire once, on the combination; hooks inside the graph fire in the backward of each task.

        Args:
            losses: loss by task, a single number with its graph; None or left out: not in this batch. A plain number is
                a constant. With ``per="sample"`` a tensor (B,) or (B, T), as ``reduction="none"`` makes it.
            representation: for ``level="representation"``, the tensor or tensors between encoder and heads, in any
                container: the very ones that the heads were given. All paths from the encoder to the losses must pass
                through them. Default: none.
            extra: losses of further batches, for methods that use them (without, they do as they document).
            final: False for all micro-batches of a step but the last. Default True.
            scaler: a ``torch.amp.GradScaler``; give the unscaled losses, ``.grad`` is left scaled for ``scaler.step``.
                An overflow of gradients is left to it, and counted. Default: none.
            counts: number of samples by task that each loss averages in this process, if processes hold unequal
                numbers. Default: equal numbers.

        Returns:
            The weights (T,), the Gramian (T, T), and True in ``skipped`` if the step was skipped. With ``per="sample"``
            the weights have the shape of the losses, and the Gramian is (B T, B T).

        Raises:
            RequestError: the losses do not fit ``shared=`` or ``representation=``; nothing was written.
            RunError: something is not finite (see ``on_nonfinite``).

        Example:
            >>> import torch, scalarize
            >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> balancer = scalarize.Balancer("fixed", [w], weights=[0.25, 0.75])
            >>> used = balancer.backward({"a": w.sum(), "b": w.square().sum()})
            >>> used.weights.tolist(), w.grad.tolist()
            ([0.25, 0.75], [1.75, 3.25])
        """
        if self._samples is not None:
            return self._samples(losses, (representation, scaler, counts, *extra), self._intercept is not None)
        call = Call(cast(Mapping[str, Loss], losses), representation, extra, final, scaler, counts)
        if self._intercept is not None:
            return self._intercept(call)
        if self.step < self._check_first:
            return check_first(self, call)
        return self._backward(call)

    def _backward(self, call: Call) -> BackwardResult:
        """Run :meth:`backward` without a probe."""
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
