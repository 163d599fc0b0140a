"""The supervised learner: one model, trained on several tasks or domains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scalarize import methods
from scalarize.balancer.balancer import Balancer
from scalarize.learners import levels, rows
from scalarize.learners.base import Learner, RunLearner
from scalarize.learners.drawing import Drawing
from scalarize.learners.evaluation import View, measure
from scalarize.learners.forward import Precision, autocast
from scalarize.learners.gradient import StepGradient
from scalarize.learners.optimizer import make_optimizer
from scalarize.learners.preferences import Preferences
from scalarize.learners.probes import Probe
from scalarize.learners.recipe import Recipe
from scalarize.learners.rows import Row
from scalarize.learners.state import copy_state
from scalarize.methods import Method
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive, fork_rng
from scalarize.weights.policy import Policy

__all__ = ["Learner", "RunLearner", "SupervisedLearner"]


class SupervisedLearner:
    """One model, trained on several tasks or domains with any method (Royer et al. 2023, equation 1).

    data: what to read. build: makes the model, with ``encode``, ``decode`` and ``shared_parameters``. seed: of
    everything random. on_rows: receives tidy rows {step, epoch, split, domain, task, metric, value} each epoch. The
    attribute ``probes`` holds what sees each batch's losses and adds rows of its own.
    """

    def __init__(
        self,
        data: Data,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        seed: int = 0,
        device: str = "cpu",
        precision: Precision = "float32",
        on_rows: Callable[[list[Row]], None] | None = None,
    ) -> None:
        self.data, self.recipe, self.seed = data, recipe, seed
        self.tasks: Sequence[str] = data.names
        self.epoch = 0
        self.device, self.precision, self.on_rows = torch.device(device), precision, on_rows
        torch.set_num_threads(recipe.threads)
        with fork_rng(derive(seed, "init"), [self.device]):
            self.model: Any = build().to(self.device)
        if precision == "float64":
            self.model = self.model.double()
        self.drawing = Drawing(data, recipe, derive(seed, "streams"))
        self.streams, self.reader = self.drawing.streams, self.drawing.reader
        self.steps_per_epoch = max(1, data.epoch_size // recipe.batch_size)
        self.balancer: Balancer | None = None
        self.probes: list[Probe] = []
        self.optimizer: torch.optim.Optimizer | None = None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")
        self.gradient: StepGradient | None = None
        self.preferences: Preferences | None = None
        self._chosen: Policy | Method | None = None
        self._restored: dict[str, Any] | None = None
        self._blind = False  # the state loaded has views that only its method can give

    # --- the protocol -------------------------------------------------------------------------------------------
    def train(self, policy: Policy | Method, until_epoch: int) -> None:
        """Train until ``until_epoch`` epochs are finished, with the weights of a policy or of a method."""
        torch.set_num_threads(self.recipe.threads)
        self.use(policy)
        while self.epoch < until_epoch:
            self._train_epoch()

    def evaluate(self, split: str) -> dict[str, float]:
        """Return each task's metric on ``split``, negated if lower is better."""
        return {n: v["score"] for n, v in self.measure(split, losses_too=False).items()}

    def measure(self, split: str, losses_too: bool = True) -> dict[str, dict[str, float]]:
        """Return {"metric", "loss", "score"} by task on ``split``; score is the metric, negated if lower is better."""
        size = 4 * self.recipe.batch_size  # no gradients are kept, so more fits
        with autocast(self.device, self.precision):
            return measure(self.model, self.data, split, size, self.device, losses_too, self._view())

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that training depends on; it loads with ``weights_only=True``."""
        state = {"epoch": self.epoch, "model": self.model.state_dict(), "position": dict(self.streams.position)}
        if self.optimizer is not None and self.balancer is not None:
            state |= {"optimizer": self.optimizer.state_dict(), "method": self.balancer.state_dict()}
            state |= {"scaler": self.scaler.state_dict()} | ({"view": True} if self.balancer.method.has_view else {})
        copied: dict[str, Any] = copy_state(state)
        return copied

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``. Optimiser and method are restored when training goes on, or at once for views."""
        self.model.load_state_dict(state["model"])
        self.epoch = int(state["epoch"])
        self.streams.go_to(state["position"])
        self.reader.close()
        self._restored = copy_state(state) if "method" in state else None
        self._blind = bool(state.get("view"))
        chosen, self.balancer, self.optimizer, self._chosen = self._chosen, None, None, None
        if self._blind and isinstance(chosen, Method):
            self.use(chosen)

    # --- one epoch, one step ------------------------------------------------------------------------------------
    def use(self, policy: Policy | Method) -> None:
        """Set up balancer and optimiser, as ``train`` does; RequestError if this data does not allow the method."""
        if policy is self._chosen:
            return
        before = self.state_dict() if self.optimizer is not None else self._restored
        method = methods.replay(policy.reorder(self.tasks)) if isinstance(policy, Policy) else policy
        if method.same_samples and len(self.data.domains) > 1:
            raise RequestError(f"{method.name} compares tasks sample by sample: it cannot weigh domains")
        full = self.recipe.accumulate > 1
        self.balancer = Balancer(
            method,
            shared=self.model.shared_parameters(),
            level=levels.of(self.model, method, self.recipe),
            accumulate=self.recipe.accumulation if full else None,
            on_nonfinite=self.recipe.on_nonfinite,
            tasks=self.tasks,
            learned="yours",
        )
        self.preferences = Preferences.of(self.model, self.balancer, len(self.tasks))
        self.gradient = StepGradient(
            self.model, self.data, self.recipe, self.drawing, self.balancer, self.scaler, self.device, self.precision
        )
        self.optimizer = make_optimizer(self.recipe.optimizer, self.model.parameters(), self.balancer.parameters())
        if before is not None and "optimizer" in before:
            # Only its memory: the recipe's numbers are those of this learner, not those of a donor.
            own = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": before["optimizer"]["state"], "param_groups": own})
            self.scaler.load_state_dict(before["scaler"])
        if before is not None and not isinstance(policy, Policy):
            self.balancer.load_state_dict(before["method"])
        self._restored, self._chosen, self._blind = None, policy, False

    def _train_epoch(self) -> None:
        assert self.balancer is not None
        assert self.gradient is not None
        epoch, losses, weights, self.gradient.units = self.epoch, [], [], {}
        self.model.train()
        self.balancer.epoch = epoch
        self.balancer.reseed(derive(self.seed, "method", epoch))
        mixing = torch.Generator().manual_seed(derive(self.seed, "mixing", epoch))
        augment = torch.Generator(self.device).manual_seed(derive(self.seed, "augment", epoch))
        if self.preferences is not None:
            self.preferences.reseed(derive(self.seed, "preferences", epoch))
        noise = fork_rng(derive(self.seed, "epoch", epoch), [self.device])  # dropout, say
        with noise, contextlib.closing(self.reader):
            for step in range(self.steps_per_epoch):
                seen, used = self._step(step, mixing, augment)
                losses.append(seen)
                weights.append(used)
        if self.preferences is not None:
            self.preferences.rest()
        self.epoch += 1
        if self.on_rows is not None:
            first = epoch * self.steps_per_epoch
            end = first + self.steps_per_epoch
            probed = [row for p in self.probes for row in p.rows(end, self.epoch)]
            units = [float(self.gradient.units.get(n, float("nan"))) for n in self.tasks]
            counted = rows.tidy(self.data.objectives, end, self.epoch, "train", "units", units)
            self.on_rows(rows.epoch_rows(self.data.objectives, first, epoch, losses, weights) + counted + probed)

    def _step(self, step: int, mixing: torch.Generator, augment: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Make one update; return losses (T,), NaN for domains not drawn, and weights (T,), both on the device."""
        assert self.optimizer is not None
        assert self.gradient is not None
        at = self.epoch + step / self.steps_per_epoch
        rate = self.recipe.optimizer.lr * self.recipe.schedule.factor(at, self.recipe.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        if self.preferences is not None:
            self.preferences.draw()
        losses, used = self.gradient.fill(step, mixing, augment, self.probes)
        if not losses:  # no sample has a label
            return torch.full((len(self.tasks),), float("nan"), device=self.device), None
        if self.recipe.max_grad_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        empty = torch.full((), float("nan"), device=self.device)
        return torch.stack([losses[n].detach().float() if n in losses else empty for n in self.tasks]), used

    def _view(self) -> View | None:
        """Return the method's transform between representation and heads. Raises RequestError if it is not known."""
        if self._blind:
            raise RequestError("this state's heads see the representation through its method: call use(method) first")
        return self.balancer.view if self.balancer is not None and self.balancer.method.has_view else None

    @property
    def step(self) -> int:
        """The number of updates so far."""
        return self.epoch * self.steps_per_epoch

    def counts(self) -> dict[str, int]:
        """Return the numbers of skipped steps (not finite) and of failures of the method's solver."""
        if self.balancer is None:
            return {"skipped_steps": 0, "solver_failures": 0}
        return {"skipped_steps": self.balancer.skipped_steps, "solver_failures": self.balancer.solver_failures}
