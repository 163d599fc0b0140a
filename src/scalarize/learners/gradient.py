"""The gradient of a step: samples, losses, and the Balancer's backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.balancer import BackwardResult, Balancer
from scalarize.learners.drawing import Drawing, Labels, MicroBatch, Parts
from scalarize.learners.forward import Precision, autocast, forward
from scalarize.learners.passes import Passes
from scalarize.learners.probes import Probe
from scalarize.learners.recipe import Recipe
from scalarize.methods import Needs
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError


class StepGradient:
    """The filling of ``.grad`` in each step of a training; ``units`` adds up what losses were means over, if counted.

    Args:
        model: with ``encode``, ``decode`` and ``shared_parameters``.
        data: its objectives have the losses.
        recipe: of the training.
        drawing: of samples.
        balancer: with the method.
        scaler: a GradScaler, enabled or not.
        device: of the model.
        precision: of the forward pass.
    """

    def __init__(
        self,
        model: Any,
        data: Data,
        recipe: Recipe,
        drawing: Drawing,
        balancer: Balancer,
        scaler: torch.amp.GradScaler,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.model, self.data, self.recipe, self.drawing, self.balancer = model, data, recipe, drawing, balancer
        self.device, self.precision = device, precision
        self.passes = Passes(model, data, recipe, balancer, device)
        self.units: dict[str, Any] = {}
        self._scaler = scaler if scaler.is_enabled() else None
        self._view = balancer.view if balancer.method.has_view else None

    def fill(
        self, step: int, mixing: torch.Generator, augment: torch.Generator, probes: Sequence[Probe] = ()
    ) -> tuple[Mapping[str, Tensor], Tensor | None]:
        """Draw the micro-batches of a step and add their gradient to ``.grad`` as the method says.

        Args:
            step: its number in the epoch.
            mixing: draws the domains, if weights are sampling rates.
            augment: changes the samples.
            probes: see the losses.

        Returns:
            Losses and weights of the last micro-batch; no losses if no sample has a label.
        """
        parts, extra = self.recipe.accumulate, self.balancer.method.extra_batches
        numbers = range(step * parts, step * parts + parts)
        losses: Mapping[str, Tensor] = {}
        used: BackwardResult | None = None
        if self._sampled:
            for number in numbers:
                rates = self.balancer.weights_ahead(self.data.names)
                drawn = self.drawing.micro_batch(number, rates, mixing)
                losses, used = self._mixed(drawn, rates, augment, probes, final=number == numbers[-1])
            return losses, None if used is None else used.weights
        whole = [self.drawing.micro_batch(number, None, mixing, extra) for number in numbers]
        whole = [drawn for drawn in whole if drawn.has_labels(self.data)]
        labels = Labels(whole, self.data)
        for part, drawn in enumerate(whole):
            losses, used = self._weighed(drawn, labels, part, augment, probes, final=part + 1 == len(whole))
        return losses, None if used is None else used.weights

    def _weighed(
        self,
        drawn: MicroBatch,
        labels: Labels,
        part: int,
        augment: torch.Generator,
        probes: Sequence[Probe],
        final: bool,
    ) -> tuple[dict[str, Tensor], BackwardResult]:
        """Add the gradient of a micro-batch, with weights on losses or gradients."""
        losses, representation = self.losses(drawn.parts, augment)
        for probe in probes:
            probe.look(losses, self.model.shared_parameters())
        further = [self.losses(parts, augment)[0] for parts in drawn.extra]
        needed = labels.tasks if self.recipe.accumulation == "full" else list(losses)
        used = self.balancer.backward(
            labels.scaled(losses, part),
            representation=representation,
            extra=[{n: found[n] for n in needed} for found in further if found.keys() >= set(needed)],
            final=final,
            scaler=self._scaler,
            counts=labels.totals,
        )
        return losses, used

    def _mixed(
        self, drawn: MicroBatch, rates: Tensor, augment: torch.Generator, probes: Sequence[Probe], final: bool
    ) -> tuple[dict[str, Tensor], BackwardResult]:
        """Add the gradient of a micro-batch whose domains were drawn at the rates ``rates``."""
        losses, _ = self.losses(drawn.parts, augment)
        for probe in probes:
            probe.look(losses, self.model.shared_parameters())
        if not losses:
            raise RequestError("no sample of a batch has a label: a source must not hold samples without any")
        shares = {
            o.name: len(drawn.parts[o.domain]) / self.drawing.size for o in self.data.objectives if o.name in losses
        }
        mixed = torch.stack([shares[n] * loss for n, loss in losses.items()]).sum() * rates.sum()
        return losses, self.balancer.backward_mixed(mixed / self.recipe.accumulate, final=final, scaler=self._scaler)

    @property
    def _sampled(self) -> bool:
        """True if weights act as sampling rates: asked for, possible with this data, and known before the batch."""
        known_ahead = self.balancer.method.needs == Needs.NOTHING
        return self.recipe.mixing == "sampling" and self.data.separate and known_ahead

    def losses(self, drawn: Parts, augment: torch.Generator) -> tuple[dict[str, Tensor], Any]:
        """Return the loss of each objective on its own samples, and the representation if all share one."""
        parts = {}
        for name, batch in drawn.items():
            change = self.data.domains[name].augment
            parts[name] = batch.to(self.device) if change is None else change(batch.to(self.device), augment)
            if batch.labelled and parts[name].labelled is None:
                raise RequestError(
                    f"augment of {name!r} loses what is labelled: change its batch by dataclasses.replace"
                )
        losses: dict[str, Tensor] = {}
        representation: Any = None
        divided = self.passes.divide(parts)
        with autocast(self.device, self.precision):
            for own, objectives in divided:
                found = forward(self.model, objectives, own, self.precision == "float64", self._view)
                losses |= found.losses
                representation = found.representation if len(divided) == 1 else None
                for name, units in found.units.items():
                    self.units[name] = self.units.get(name, 0) + units
        return {n: losses[n] for n in self.data.names if n in losses}, representation
