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

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Run one micro-batch: losses, then the Balancer's ``backward``. Returns their sum, which the Trainer logs."""
        balancer = self._ready()
        model.train()
        if callable(getattr(self.optimizer, "train", None)):  # schedule-free optimisers have two modes
            self.optimizer.train()
        prepared = self._prepare_inputs(inputs)
        with self.compute_loss_context_manager():
            losses, representation = split(self.compute_losses(model, prepared), "compute_losses")
        losses = divided(losses, self.current_gradient_accumulation_steps)  # the last window may be shorter
        epoch = int(self.state.epoch or 0)
        if self.used is None or balancer.epoch != epoch:
            balancer.epoch = epoch
        self.used = balancer.backward(
            losses,
            representation=representation if balancer.level == "representation" else None,
            final=self.accelerator.sync_gradients,
            scaler=self.accelerator.scaler,
        )
        parts = self.current_gradient_accumulation_steps
        self._task_losses = {task: loss.detach() * parts for task, loss in losses.items() if loss is not None}
        return total(losses)

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
