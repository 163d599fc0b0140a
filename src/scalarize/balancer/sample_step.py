"""A step whose tasks are single samples: their Gramian, the method's weights, and one ordinary backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.autograd import accumulate
from scalarize.balancer.backward_pass import trained
from scalarize.balancer.gramian.samples import SampleGramian
from scalarize.balancer.method_state import MethodState
from scalarize.balancer.result import BackwardResult
from scalarize.balancer.silence import Decision
from scalarize.balancer.torch_errors import explained
from scalarize.balancer.training_step import TrainingStep
from scalarize.methods import Evidence, Needs, preference
from scalarize.utils.errors import DivergedError, RequestError, unknown_name_error


def check_per(per: str) -> bool:
    """Return True if each sample is a task. Raises RequestError for anything but ``"task"`` and ``"sample"``."""
    if per not in ("task", "sample"):
        raise unknown_name_error("per", per, ("task", "sample"))
    return per == "sample"


class SampleStep:
    """The step, and the count of those that were skipped.

    Args:
        step: holds the method, its state, the Balancer's options and that count.
        several: other processes share the batch.
        check_first: the Balancer's.

    Raises:
        RequestError: the method or an option has no meaning if each sample is a task.
    """

    def __init__(self, step: TrainingStep, several: bool, check_first: int) -> None:
        self._step, self._options, self._gramian = step, step.options, SampleGramian()
        method = self._state.method
        if method.needs != Needs.GRAMIAN or method.has_combine or method.extra_batches or method.has_objective:
            raise RequestError(f"per='sample' is for methods of the Gramian alone, which {method.name} is not")
        given = [key for key in method.task_axes if key != preference.KEY or getattr(method, key) is not None]
        if given:
            raise RequestError(f"per='sample': {method.name} remembers each task, and no sample comes again")
        options = step.options
        if options.level != "parameters" or step.full or max(options.every, options.blocks) > 1 or check_first:
            raise RequestError(
                "per='sample' needs level='parameters', and no accumulate='full', every, blocks or check_first"
            )
        if several:
            raise RequestError("per='sample' works in one process: use group=False, or one process")

    @property
    def _state(self) -> MethodState:
        return self._step.method_state

    def __call__(self, losses: Any, others: Sequence[Any], probed: bool) -> BackwardResult:
        """Add to ``.grad`` the weighted sum of ``losses`` (B,) or (B, T); weights of the same shape, NaN for a sample
        whose gradient is exactly 0."""
        if probed or any(x is not None for x in others):
            raise RequestError("per='sample': backward takes losses alone, and check() is for losses of tasks")
        matrix = read_samples(losses)
        source = self._options.evidence_from or self._options.shared
        params = trained(source)
        if not params:
            raise RequestError("none of the parameters that gradients are compared on requires a gradient")
        gramian, combine = self._gramian(matrix, params)
        names = tuple(str(k) for k in range(matrix.numel()))
        values = matrix.detach().reshape(-1)
        values = values if values.dtype == torch.float64 else values.float()
        if not bool(torch.isfinite(values).all() & torch.isfinite(gramian).all()):
            return self._stop(values, gramian, names, losses.shape)
        weights, told, after = self._weigh(values, gramian)
        if combine is None:
            with explained(single=False):
                torch.autograd.backward([losses], [weights.to(losses).view(losses.shape)])
        else:
            found = combine(weights.view(matrix.shape))
            accumulate([p for p, _ in found], [g for _, g in found], fresh=True)
        self._state.advance(Decision(None, None, after), None)
        return BackwardResult(names, told.view(losses.shape), gramian)

    def _weigh(self, values: Tensor, gramian: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the weights, those for people, and the method's next state. A sample whose gradient is 0 has no say:
        its weight is 1, and NaN for people."""
        method = self._state.method
        silent = gramian.diagonal() <= 0
        acting = (~silent).nonzero().flatten()
        if not len(acting):
            raise RequestError("no loss depends on shared=: give the parameters of the model that made them")
        seen = Evidence(
            losses=values[acting],
            gramian=gramian[acting][:, acting],
            step=self._state.step,
            epoch=self._state.epoch,
            generator=self._state.generator,
        )
        found, after = method.weigh(seen, {**method.init(len(acting)), **method.state})
        weights = found.new_ones(len(values)).index_put((acting,), found.detach())
        return weights, weights.masked_fill(silent, float("nan")), after

    def _stop(self, values: Tensor, gramian: Tensor, names: tuple[str, ...], shape: torch.Size) -> BackwardResult:
        bad = ~torch.isfinite(values)
        what = "loss" if bool(bad.any()) else "gradient"
        bad = bad if what == "loss" else ~torch.isfinite(gramian.diagonal())
        if self._options.on_nonfinite == "raise":
            places = bad.nonzero().flatten().tolist()
            raise DivergedError(f"step {self._state.step}: the {what} of sample {places[:5]} is not finite")
        self._state.skip()
        self._step.skipped += 1
        return BackwardResult(names, torch.full(shape, float("nan"), device=values.device), skipped=True)


def read_samples(losses: Any) -> Tensor:
    """Return losses of single samples as (B, T).

    Raises:
        RequestError: they are no tensor (B,) or (B, T) of real numbers with a graph.
    """
    if not isinstance(losses, Tensor) or losses.ndim not in (1, 2) or not losses.numel():
        kind = f"a tensor of shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise RequestError(
            f"per='sample': losses must be a tensor (B,) or (B, T), made with reduction='none', not {kind}"
        )
    if not losses.is_floating_point() or not losses.requires_grad:
        raise RequestError("per='sample': the losses need real numbers and a graph: not under no_grad, not detached")
    return losses if losses.ndim == 2 else losses[:, None]
