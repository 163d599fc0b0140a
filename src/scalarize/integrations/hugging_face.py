"""The Trainer of Hugging Face, with ``backward`` given to a Balancer.

    trainer = BalancedTrainer(
        model, args, train_dataset=data,
        balancer=scalarize.Balancer("cagrad", shared=model.encoder.parameters()),
    )
    trainer.train()

The model's outputs hold ``losses``, a dict of losses by task (and ``representation``, at that level); otherwise
override ``compute_losses``. Everything else is the Trainer's: accumulation, clipping, precision, schedules, resume.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn
from transformers import Trainer

from scalarize.balancer.balancer import BackwardResult, Balancer
from scalarize.integrations.task_losses import divided, split, total
from scalarize.utils.errors import RequestError

STATE_FILE = "balancer.pt"  # beside the Trainer's optimizer.pt
ELSEWHERE = (
    "makes its loss or backward itself, past compute_loss and accelerator.backward: tasks cannot be weighed there"
)


if TYPE_CHECKING:  # a mixin has no base of its own; a type checker is told what it is mixed into
    _Base = Trainer
else:
    _Base = object


class BalancedTrainerMixin(_Base):  # type: ignore[misc, valid-type]
    """A mixin that adds ``balancer=`` to a Trainer: ``class Mine(BalancedTrainerMixin, Seq2SeqTrainer): ...``.

    Args:
        balancer: a Balancer over parameters of the model, or a function that makes one of the model, which is called
            as each training starts (needed with ``model_init``).
        arguments, options: those of the Trainer.

    Attributes:
        balancer: the Balancer; None before the first training if a function was given.
        used: what the last ``backward`` did (weights, Gramian), None before it.
    """

    def __init__(self, *arguments: Any, balancer: Balancer | Callable[[nn.Module], Balancer], **options: Any) -> None:
        if not isinstance(balancer, Balancer) and not callable(balancer):
            raise RequestError("balancer= must be a Balancer or a function that makes one of the model")
        self._make_balancer = None if isinstance(balancer, Balancer) else balancer
        self.balancer = balancer if isinstance(balancer, Balancer) else None
        self.used: BackwardResult | None = None
        self._task_losses: dict[str, Tensor] = {}
        self._stepping = False
        self._computed: tuple[dict[str, Tensor | None], Any] | None = None
        self._summed: Tensor | None = None
        super().__init__(*arguments, **options)

    def compute_losses(self, model: nn.Module, inputs: dict[str, Any]) -> Any:
        """Compute the losses by task for a batch, each a mean over it: ``losses`` or ``(losses, representation)``.

        By default what the model's outputs hold under these names. None, or a task left out: not in this batch.
        """
        outputs = model(**inputs)
        losses = outputs.get("losses") if hasattr(outputs, "get") else getattr(outputs, "losses", None)
        if losses is None:
            raise RequestError("the model's outputs hold no 'losses' (a dict by task): override compute_losses")
        found = outputs.get("representation") if hasattr(outputs, "get") else getattr(outputs, "representation", None)
        return losses, found

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        """Return the sum of ``compute_losses`` in a training step; elsewhere, within ``compute_losses`` too, the
        Trainer's own loss."""
        if not self._stepping:
            return super().compute_loss(model, inputs, *arguments, **options)
        self._stepping = False
        losses, representation = split(self.compute_losses(model, inputs), "compute_losses")
        self._computed = losses, representation
        return total(losses)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Tensor:
        """Run one micro-batch as the Trainer does, with the Balancer's ``backward`` in place of accelerate's. Returns
        the sum of the losses, which the Trainer logs."""
        self._ready()
        self._computed, self._summed, self._stepping = None, None, True
        self.accelerator.backward = self._backward  # an attribute of this one object, over the method of its class
        try:
            super().training_step(model, inputs, *arguments, **options)
        finally:
            del self.accelerator.backward
            self._computed, self._stepping = None, False
        if self._summed is None:
            raise RequestError(f"{type(self).__name__}.training_step {ELSEWHERE}")
        return self._summed

    def _backward(self, *_: Any, **__: Any) -> None:
        if self._computed is None:
            raise RequestError(f"{type(self).__name__}.training_step {ELSEWHERE}")
        (losses, representation), self._computed, balancer = self._computed, None, self._ready()
        parts = self.current_gradient_accumulation_steps  # the last window may be shorter
        losses = divided(losses, parts)
        epoch = int(self.state.epoch or 0)
        if self.used is None or balancer.epoch != epoch:
            balancer.epoch = epoch
        self.used = balancer.backward(
            losses,
            representation=representation if balancer.level == "representation" else None,
            final=self.accelerator.sync_gradients,
            scaler=self.accelerator.scaler,
        )
        self._task_losses = {task: loss.detach() * parts for task, loss in losses.items() if loss is not None}
        self._summed = total(losses)

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        """Log each task's last loss and weight beside the training's loss."""
        if "loss" in logs and self.used is not None:
            logs |= {f"loss/{task}": loss.item() for task, loss in self._task_losses.items()}
            if self.used.weights is not None:
                logs |= {f"weight/{t}": w for t, w in zip(self.used.tasks, self.used.weights.tolist(), strict=True)}
        super().log(logs, *arguments, **options)

    # --- the Trainer's own hooks ---------------------------------------------------------------------------------
    def _ready(self) -> Balancer:
        if self.balancer is None:
            assert self._make_balancer is not None
            made = self._make_balancer(self.model)
            if not isinstance(made, Balancer):
                raise RequestError(f"balancer= made {type(made).__name__} of the model, not a scalarize.Balancer")
            self.balancer = made
        if self.used is None:
            self._refuse()
        return self.balancer

    def _refuse(self) -> None:
        accelerator, parallel = self.accelerator, getattr(self.accelerator, "parallelism_config", None)
        if accelerator.distributed_type in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
            raise RequestError("DeepSpeed and Megatron run backward themselves: train with torchrun alone, or FSDP2")
        if self.args.n_gpu > 1:
            raise RequestError("nn.DataParallel splits the losses: start one process per GPU with torchrun")
        if any(getattr(parallel, f"{kind}_enabled", False) for kind in ("tp", "cp", "sp")):
            raise RequestError("tensor, context and sequence parallelism split single losses: use data parallelism")
        if getattr(self, "compute_loss_func", None) is not None:
            raise RequestError("compute_loss_func= makes one loss of a batch: override compute_losses in its place")
        if self.args.label_smoothing_factor and type(self).compute_losses is BalancedTrainerMixin.compute_losses:
            raise RequestError(
                "label_smoothing_factor= smooths a loss that is not used here: smooth the model's losses, or override "
                "compute_losses"
            )
        if "lomo" in str(self.args.optim):
            raise RequestError("LOMO steps inside backward, before the tasks are combined: use another optimiser")

    def _inner_training_loop(self, *arguments: Any, **options: Any) -> Any:
        if self._make_balancer is not None:
            self.balancer = None  # model_init made another model
        self.used = None
        return super()._inner_training_loop(*arguments, **options)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            torch.save(self._ready().state_dict(), os.path.join(output_dir, STATE_FILE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        path = os.path.join(checkpoint, STATE_FILE)
        if os.path.isfile(path):
            self._ready().load_state_dict(torch.load(path, weights_only=True))
        else:
            warnings.warn(f"{checkpoint} has no {STATE_FILE}: the method starts afresh", stacklevel=2)


class BalancedTrainer(BalancedTrainerMixin, Trainer):
    """The :class:`transformers.Trainer` with ``balancer=``; see :class:`BalancedTrainerMixin`."""
