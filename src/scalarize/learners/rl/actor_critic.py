"""Multi-task soft actor-critic as a learner, with the same policies, methods, searches and records as all others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scalarize import methods
from scalarize.learners.probes import Probe
from scalarize.learners.recipe import Recipe
from scalarize.learners.rl import acting, sac, settings
from scalarize.learners.rl.balanced_optimizer import BalancedOptimizer
from scalarize.learners.rl.environments import Array, Environments
from scalarize.learners.rl.epoch_statistics import EpochStatistics
from scalarize.learners.rl.networks import ActorCritic
from scalarize.learners.rl.replay import Replay, Transitions
from scalarize.learners.rows import Row
from scalarize.methods import Method, Needs
from scalarize.tasks.task import Data
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive, fork_rng
from scalarize.weights.policy import Policy


class ActorCriticLearner:
    """One actor and one pair of critics, trained on several environments with any method at parameter level.

    Actor and critics are balanced each on its own, by the same method with its own state: a task's loss is that of
    its transitions (Kurin et al. 2022, section 4.2). The temperature is no task's gradient and is not balanced.

    data: objectives are environments; ``data.info["environments"]`` makes them from the tasks' names, and
    ``data.epoch_size`` steps of all of them are an epoch. Each epoch begins with new episodes, so that a training
    goes on exactly from a state without that of any simulator. recipe: ``model`` and ``data`` as in
    :class:`scalarize.learners.rl.settings.Settings`; ``batch_size`` transitions of each task make an update; the
    optimiser's weight decay is l2 of the actor alone (as in the paper).
    The rest is as in :class:`scalarize.learners.supervised.SupervisedLearner`.
    """

    def __init__(
        self,
        data: Data,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        seed: int = 0,
        device: str = "cpu",
        precision: str = "float32",
        on_rows: Callable[[list[Row]], None] | None = None,
    ) -> None:
        settings.check(recipe, precision)
        self.settings = settings.Settings.of(recipe.model, recipe.data)
        self.data, self.recipe, self.seed, self.on_rows = data, recipe, seed, on_rows
        self.tasks: Sequence[str] = data.names
        self.epoch = 0
        self.device, self.dtype = torch.device(device), getattr(torch, precision)
        torch.set_num_threads(recipe.threads)
        with fork_rng(derive(seed, "init")):
            built = build()
        assert isinstance(built, ActorCritic)
        self.model = built.to(self.device, self.dtype)
        self.probes: list[Probe] = []
        self.times: list[dict[str, float]] = []
        self.replay = self._empty()
        self.halves: dict[str, BalancedOptimizer] = {}
        self._temperature = torch.optim.Adam([self.model.log_temperature], recipe.optimizer.lr)
        self._environments: Environments | None = None
        self._chosen: Policy | Method | None = None
        self._restored: dict[str, Any] = {}
        self._counts = {"environment_steps": 0, "updates": 0}

    def train(self, policy: Policy | Method, until_epoch: int) -> None:
        """Train until ``until_epoch`` epochs are finished, with the weights of a policy or of a method."""
        torch.set_num_threads(self.recipe.threads)
        self.use(policy)
        while self.epoch < until_epoch:
            self._train_epoch()

    def evaluate(self, split: str) -> dict[str, float]:
        """Return each task's success rate over the episodes of ``split``."""
        return {name: seen["score"] for name, seen in self.measure(split).items()}

    def measure(self, split: str) -> dict[str, dict[str, float]]:
        """Return by task "metric" and "score" (success rate), "return" (mean of an episode) and "loss" (minus that).

        One episode from each goal of ``split`` with the policy's mean action.
        """
        return acting.measured(self.environments, lambda seen: self._act(seen, None), self._goals(split), self.tasks)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that training depends on, and the times so far; loads with ``weights_only=True``."""
        state = {"epoch": self.epoch, "model": self.model.state_dict(), **self._memory()}
        copied: dict[str, Any] = copy.deepcopy(state | {"times": self.times, "counts": self._counts})
        if self.replay.size and self.settings.save_replay:
            copied["replay"] = self.replay.state_dict()
        return copied

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``. Optimisers and method are restored when training goes on."""
        self.model.load_state_dict(state["model"])
        self.epoch = int(state["epoch"])
        self.times, self._counts = list(state.get("times", [])), dict(state.get("counts", self._counts))
        self.replay = self._empty()
        if "replay" in state:
            self.replay.load_state_dict(state["replay"])
        self._restored = copy.deepcopy({key: state[key] for key in ("halves", "temperature") if key in state})
        self._chosen, self.halves = None, {}

    def _memory(self) -> dict[str, Any]:
        """Return the states of optimisers and method: those in use, else those loaded."""
        if not self.halves:
            return self._restored
        halves = {name: half.state_dict() for name, half in self.halves.items()}
        return {"halves": halves, "temperature": self._temperature.state_dict()}

    def use(self, policy: Policy | Method) -> None:
        """Set up balancers and optimisers, keeping memory over a change of policy; ``train`` begins with it.

        Raises RequestError for a method that compares tasks sample by sample or knows no parameter level.
        """
        if policy is self._chosen:
            return
        method = methods.replay(policy.reorder(self.tasks)) if isinstance(policy, Policy) else policy
        if method.same_samples:
            raise RequestError(f"{method.name} compares tasks sample by sample: environments share none")
        before, decay = copy.deepcopy(self._memory()), self.recipe.optimizer.weight_decay
        self.halves = {
            "critic": BalancedOptimizer(self.model.critics, method, self.recipe, self.tasks, 0.0),
            "actor": BalancedOptimizer(self.model.actor, copy.deepcopy(method), self.recipe, self.tasks, decay),
        }
        if before:
            for name, half in self.halves.items():
                half.restore(before["halves"][name], method_too=not isinstance(policy, Policy))
            own = self._temperature.state_dict()["param_groups"]
            self._temperature.load_state_dict({"state": before["temperature"]["state"], "param_groups": own})
        self._restored, self._chosen = {}, policy

    def _train_epoch(self) -> None:
        epoch, own = self.epoch, self.settings
        draws = {key: torch.Generator().manual_seed(derive(self.seed, key, epoch)) for key in ("act", "update")}
        for half in self.halves.values():
            half.begin(epoch, derive(self.seed, "method", epoch))
        if self.replay.size == 0 and self.step > 0:  # the state that training goes on from had none
            self.fill(max(1, own.initial_steps))
        seen = EpochStatistics(len(self.tasks))
        observations = self.environments.reset(self._goals("train"), derive(self.seed, "goals", epoch))
        for number in range(self.data.epoch_size):
            at_random = self.step + number < own.initial_steps
            with seen.timed("acting"):
                observations = self._interact(observations, draws["act"], at_random, seen)
            if not at_random:
                with seen.timed("updating"):
                    for _ in range(own.updates):
                        self.update(draws["update"], seen)
        self.epoch += 1
        self._counts["environment_steps"] += self.data.epoch_size * len(self.tasks)
        self._counts["updates"] += seen.updates
        self.times.append({"epoch": self.epoch, "updates": seen.updates, **seen.seconds})
        if self.on_rows is not None:
            probed = [row for p in self.probes for row in p.rows(self.step, self.epoch)]
            temperature = self.model.temperature().tolist()
            first = epoch * self.data.epoch_size
            self.on_rows(seen.rows(self.data.objectives, first, self.step, self.epoch, temperature) + probed)

    def _interact(
        self, observations: Array, draw: torch.Generator, at_random: bool, seen: EpochStatistics | None
    ) -> Array:
        """Act once in every environment and keep what followed; the observations to act on next."""
        shape = (len(self.tasks), self.model.actions)
        actions = 2 * torch.rand(shape, generator=draw).numpy() - 1 if at_random else self._act(observations, draw)
        step = self.environments.step(actions)
        kept = [observations, actions, step.rewards, step.successors, step.terminated]
        self.replay.add(Transitions(*(torch.from_numpy(np.asarray(x)).unsqueeze(1) for x in kept)))
        if seen is not None:
            seen.step(step)
        return step.observations

    def fill(self, steps: int, at_random: bool = False) -> None:
        """Fill the replay with ``steps`` steps of the policy, or random ones, and learn nothing from them."""
        draw = torch.Generator().manual_seed(derive(self.seed, "fill", self.epoch))
        observations = self.environments.reset(self._goals("train"), derive(self.seed, "fill", self.epoch))
        for _ in range(steps):
            observations = self._interact(observations, draw, at_random, None)

    def _act(self, observations: Array, draw: torch.Generator | None) -> Array:
        """Return actions (T, A) of the policy; its mean if nothing is drawn. Raises DivergedError naming the task."""
        inputs = torch.from_numpy(observations).to(self.device, self.dtype)
        noise = None if draw is None else self._noise(1, draw)
        return acting.actions(self.model, inputs, noise, self.tasks, self.epoch)

    def update(self, draw: torch.Generator, seen: EpochStatistics | None = None) -> None:
        """Make one update of critics, actor, temperature and targets, on batches drawn from the replay."""
        critic, actor = self.halves["critic"], self.halves["actor"]
        # T gradients of T small graphs cost about one backward; of one large graph T.
        apart = critic.balancer.method.needs > Needs.LOSSES
        size, count = self.recipe.batch_size, 1 + critic.balancer.method.extra_batches
        batches = [self.replay.sample(size, draw).to(self.device, self.dtype) for _ in range(count)]
        own = self.settings
        most = self.replay.largest_returns(own.discount) if own.target_clip == "rewards" else None
        losses = [sac.critic_losses_by_task(self.model, b, self._noise(size, draw), own, apart, most) for b in batches]
        for probe in self.probes:
            probe.look(dict(zip(self.tasks, losses[0], strict=True)), list(self.model.shared_parameters()))
        first = critic.update(losses)
        with sac.frozen(self.model.critics):
            pairs = [sac.actor_losses_by_task(self.model, b, self._noise(size, draw), apart) for b in batches]
            second = actor.update([of_tasks for of_tasks, _ in pairs])
        if not (first.skipped or second.skipped):
            self._temperature.zero_grad()
            sac.temperature_loss(self.model.temperature(), pairs[0][1], -float(self.model.actions)).backward()  # type: ignore[no-untyped-call]
            self._temperature.step()
            self.model.follow(own.target_rate)
        if seen is not None:
            seen.update(losses[0], pairs[0][0], first, second)

    @property
    def environments(self) -> Environments:
        """The environments, one per task, made at their first use."""
        if self._environments is None:
            self._environments = self.data.info["environments"](tuple(self.tasks))
        return self._environments

    @property
    def step(self) -> int:
        """The number of steps of all environments in finished epochs."""
        return self.epoch * self.data.epoch_size

    def counts(self) -> dict[str, Any]:
        """Return skipped steps, failures of solvers, counts so far, and speed: a row per epoch in ``times``."""
        skipped = sum(half.balancer.skipped_steps for half in self.halves.values())
        failures = sum(half.balancer.solver_failures for half in self.halves.values())
        return {"skipped_steps": skipped, "solver_failures": failures, **self._counts, "times": self.times}

    def _goals(self, split: str) -> list[list[int]]:
        sources: list[Any] = [self.data.domains[o.domain].splits[split] for o in self.data.objectives]
        return [source.numbers.tolist() for source in sources]

    def _noise(self, number: int, draw: torch.Generator) -> Tensor:
        """Draw standard normal numbers (T, ``number``, A)."""
        shape = (len(self.tasks), number, self.model.actions)
        return torch.randn(shape, generator=draw).to(self.device, self.dtype)

    def _empty(self) -> Replay:
        own, info = self.settings, self.data.info
        return Replay(
            len(self.tasks), own.replay, info["observation"], self.model.actions, own.rewards, own.reward_rate
        )
