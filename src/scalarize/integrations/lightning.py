"""A LightningModule whose ``backward`` is a Balancer's: manual optimisation, without work for the user.

    class TwoTasks(BalancedLightningModule):
        def configure_balancer(self):
            return scalarize.Balancer("cagrad", shared=self.encoder.parameters())

        def compute_losses(self, batch, batch_idx):
            ...
            return {"slope": loss_1, "side": loss_2}

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

In manual optimisation Lightning refuses ``accumulate_grad_batches`` and ``gradient_clip_val`` of its Trainer and
steps no learning-rate scheduler; here the first two are arguments of the module, and schedulers are stepped.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.strategies import DeepSpeedStrategy

from scalarize.balancer.balancer import BackwardResult, Balancer
from scalarize.balancer.snapshot import needs_closure
from scalarize.integrations.task_losses import divided, split, total
from scalarize.utils.errors import RequestError


class BalancedLightningModule(LightningModule):
    """A LightningModule that gives losses by task to a Balancer.

    Hooks that a subclass overrides (``on_before_optimizer_step``, ``on_save_checkpoint``, ``on_load_checkpoint``,
    ``on_train_epoch_end``) call ``super()``.

    Args:
        accumulate: how many batches make a step; the last window of an epoch may be shorter, and is averaged over
            its own batches if the loader's length is known.
        clip: the largest gradient norm (or value), None for no clipping.
        clip_algorithm: ``"norm"`` or ``"value"``.

    Attributes:
        used: what the last ``backward`` did (weights, Gramian), None before it.
    """

    def __init__(self, accumulate: int = 1, clip: float | None = None, clip_algorithm: str = "norm") -> None:
        super().__init__()
        self.automatic_optimization = False
        self._accumulate, self._clip, self._clip_algorithm = accumulate, clip, clip_algorithm
        self._balancer: Balancer | None = None
        self._clipped = False
        self.used: BackwardResult | None = None

    # --- what a subclass says ------------------------------------------------------------------------------------
    def configure_balancer(self) -> Balancer:
        """Make the Balancer; called once, when first needed."""
        raise NotImplementedError(f"{type(self).__name__}.configure_balancer must return a scalarize.Balancer")

    def compute_losses(self, batch: Any, batch_idx: int) -> Any:
        """Compute the losses by task for a batch, each a mean over it: ``losses`` or ``(losses, representation)``."""
        raise NotImplementedError(f"{type(self).__name__}.compute_losses must return a dict of losses by task")

    @property
    def balancer(self) -> Balancer:
        """The Balancer of ``configure_balancer``."""
        if self._balancer is None:
            made = self.configure_balancer()
            if not isinstance(made, Balancer):
                raise RequestError(f"configure_balancer must return a scalarize.Balancer, got {type(made).__name__}")
            self._balancer = made
        return self._balancer

    @balancer.setter
    def balancer(self, made: Balancer) -> None:
        if not isinstance(made, Balancer):
            raise RequestError(f"balancer must be a scalarize.Balancer, got {type(made).__name__}")
        self._balancer = made

    # --- the step ------------------------------------------------------------------------------------------------
    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Run losses, the Balancer's ``backward``, and at the end of a window the step of every optimiser."""
        if self.used is None:
            self._refuse()
        losses, representation = split(self.compute_losses(batch, batch_idx), "compute_losses")
        last = (batch_idx + 1) % self._accumulate == 0 or self.trainer.is_last_batch
        if self.used is None or self.balancer.epoch != self.current_epoch:
            self.balancer.epoch = self.current_epoch
        parts, plugin = divided(losses, self._window(batch_idx)), self.trainer.precision_plugin
        summed = total(parts)
        Precision.pre_backward(plugin, summed, self)  # the hooks alone: a plugin's own would scale the loss
        self.used = self.balancer.backward(
            parts,
            representation=representation if self.balancer.level == "representation" else None,
            final=last,
            scaler=getattr(plugin, "scaler", None),
        )
        Precision.post_backward(plugin, summed, self)
        self._report(losses)
        if last:
            self._step()

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip, after a gradient scaler has unscaled."""
        if self._clip is not None:
            self.clip_gradients(optimizer, self._clip, self._clip_algorithm)
        self._clipped = True

    def on_train_epoch_end(self) -> None:
        """Step the schedulers whose interval is an epoch."""
        self._step_schedulers("epoch", self.current_epoch + 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the method's state with the checkpoint."""
        checkpoint["balancer"] = self.balancer.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue from the method's state in the checkpoint."""
        if "balancer" in checkpoint:
            self.balancer.load_state_dict(checkpoint["balancer"])

    def _refuse(self) -> None:
        if isinstance(self.trainer.strategy, DeepSpeedStrategy):
            raise RequestError("DeepSpeed runs backward itself: use another strategy of Lightning (ddp)")
        for optimizer in self.trainer.optimizers:
            if needs_closure(optimizer):
                raise RequestError(
                    f"{type(optimizer).__name__} evaluates the losses several times a step, by a closure: write the "
                    "loop by hand, or use another optimiser"
                )

    # --- small things --------------------------------------------------------------------------------------------
    def _window(self, batch_idx: int) -> int:
        """Return the number of batches in the window that ``batch_idx`` belongs to."""
        number = self.trainer.num_training_batches
        first = batch_idx - batch_idx % self._accumulate
        return int(min(self._accumulate, number - first)) if number != float("inf") else self._accumulate

    def _step(self) -> None:
        found = self.optimizers()
        optimizers = found if isinstance(found, list) else [found]
        for optimizer in optimizers:
            self._clipped = False
            optimizer.step()
            if not self._clipped:
                raise RequestError(f"{type(self).__name__}.on_before_optimizer_step must call super()")
            optimizer.zero_grad()
        self._step_schedulers("step", self.global_step // len(optimizers))  # Lightning counts each optimiser's steps

    def _step_schedulers(self, interval: str, count: int) -> None:
        for config in self.trainer.lr_scheduler_configs:
            if config.interval != interval or count % config.frequency:
                continue
            metric = self.trainer.callback_metrics.get(config.monitor) if config.reduce_on_plateau else None
            if config.reduce_on_plateau and metric is None:
                raise RequestError(f"the scheduler watches {config.monitor!r}, which nobody logs")
            self.lr_scheduler_step(config.scheduler, metric)

    def _report(self, losses: dict[str, Any]) -> None:
        self.log_dict({f"loss/{t}": x.detach() for t, x in losses.items() if x is not None}, batch_size=1)
        if self.used is not None and self.used.weights is not None:
            told = zip(self.used.tasks, self.used.weights, strict=True)
            self.log_dict({f"weight/{task}": weight for task, weight in told}, batch_size=1)
