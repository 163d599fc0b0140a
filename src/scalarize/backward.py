"""The Balancer: losses in, evidence gathered, ``.grad`` out, in anybody's training loop.

    balancer = scalarize.Balancer("cagrad", shared=encoder.parameters())
    used = balancer.backward({"seg": loss_1, "depth": loss_2})
    optimizer.step()

No method is named here: what a method declares (needs, heads rule, hooks) decides what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scalarize import gradients, partial
from scalarize.errors import RequestError, RunError, one_of
from scalarize.methods import Evidence, Method, Needs, create

LEVELS = ("parameters", "representation")


@dataclass(frozen=True)
class Used:
    """What one call of ``backward`` did; all tensors detached, tasks in the order of the losses that were given.

    weights (T,), NaN for a task without a loss in this batch, None where the method has no weights; gramian (T, T),
    None where none was needed; skipped: the step was not finite and ``.grad`` was left empty.
    """

    tasks: tuple[str, ...]
    weights: Tensor | None
    gramian: Tensor | None = None
    skipped: bool = False


@dataclass(frozen=True)
class _Batch:
    given: tuple[str, ...]  # names in the caller's order
    present: tuple[str, ...]  # names with a loss, in the order of the method's tasks
    losses: list[Tensor]  # those losses
    index: Tensor | None  # their places among the method's tasks; None: all are there
    told: Tensor  # the losses' values (T',)


class Balancer:
    """Fills ``.grad`` as a method says.

    method: a name or a Method; ``hyper`` are its hyper-parameters. shared: the parameters that all tasks share.
    level: ``"parameters"`` compares gradients of the shared parameters, ``"representation"`` those of the tensors
    given to ``backward(representation=)`` and makes one backward of the encoder. every: take new weights at each
    k-th step only, with ordinary backwards between. on_nonfinite: ``"raise"`` a RunError naming task and step, or
    ``"skip"`` the step and count it in ``skipped_steps``. heads: ``"own"`` gives task-specific parameters their
    task's own gradient, ``"weighted"`` scales it by the task's weight; by default as the method declares. tasks:
    the names of all tasks, needed ahead of the first batch only for learned parameters and for batches that lack
    a task. seed: of the method's random choices.

    ``epoch`` may be set (a policy goes by it); ``step`` counts calls of ``backward``. Raises RequestError for a
    wrong combination, here and nowhere later.
    """

    def __init__(
        self,
        method: str | Method,
        shared: Iterable[Tensor] | None = None,
        level: str = "parameters",
        accumulate: Literal["micro", "full"] | None = None,
        every: int = 1,
        on_nonfinite: str = "raise",
        evidence_from: Iterable[Tensor] | None = None,
        heads: Literal["own", "weighted"] | None = None,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
        **hyper: Any,
    ) -> None:
        if isinstance(method, Method) and hyper:
            raise RequestError(f"hyper-parameters {sorted(hyper)} were given beside a finished method")
        self.method = method if isinstance(method, Method) else create(method, **hyper)
        self.shared = list(shared or [])
        if level not in LEVELS:
            raise one_of("level", level, LEVELS)
        if on_nonfinite not in ("raise", "skip"):
            raise one_of("on_nonfinite", on_nonfinite, ("raise", "skip"))
        if heads not in (None, "own", "weighted"):
            raise one_of("heads", str(heads), ("own", "weighted"))
        if every < 1:
            raise RequestError(f"every must be at least 1, got {every}")
        if every > 1 and (self.method.has_objective or self.method.has_combine):
            raise RequestError(f"every={every}: {self.method.name} has no weights that could be used again")
        self._from_gradients = self.method.needs >= Needs.GRAMIAN
        if self._from_gradients and level == "parameters" and not self.shared:
            raise RequestError(f"{self.method.name} compares gradients: shared= must name the shared parameters")
        self.level = level
        self.every = every
        self.on_nonfinite = on_nonfinite
        self.heads = heads or self.method.heads
        self.tasks: tuple[str, ...] | None = tuple(tasks) if tasks is not None else None
        self.step = 0
        self.skipped_steps = 0
        self.solver_failures = 0
        self._epoch = 0
        self._generator = torch.Generator()
        self.reseed(seed)
        self._rows = gradients.Rows()
        self._ready = False
        self._ahead: Tensor | None = None  # weights of the coming step, already drawn
        self._last: Tensor | None = None  # weights that every= uses again
        self._age = 0
        self._unseen = False  # the method looks at losses after the step and has not been shown any

    # --- what a training sets ------------------------------------------------------------------------------------
    @property
    def epoch(self) -> int:
        """The epoch that the method is told; counts from 0."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch, self._ahead = int(epoch), None

    def reseed(self, seed: int) -> None:
        """Start the method's random choices anew from ``seed``."""
        self._generator.manual_seed(seed)
        self._ahead = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """The method's learned parameters, for the training's optimiser. Needs ``tasks=`` where there are any."""
        if not self.method.learned:
            return []
        if self.tasks is None:
            raise RequestError(f"{self.method.name} has learned parameters: give the Balancer tasks=[...]")
        self._ensure(self.shared[0].device if self.shared else torch.device("cpu"))
        return self.method.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the coming steps depend on, as a flat dict of tensors."""
        state = {f"method.{k}": v.detach().clone() for k, v in self.method.state.items()}
        state["counters"] = torch.tensor([self.step, self._epoch, self.skipped_steps, self.solver_failures, self._age])
        state["unseen"] = torch.tensor(self._unseen)
        state["generator"] = self._generator.get_state()
        for key, held in (("ahead", self._ahead), ("last", self._last)):
            if held is not None:
                state[key] = held.clone()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from ``state``; learned parameters are filled in place, so an optimiser keeps them."""
        held = self.method.state
        for key in [k for k in held if f"method.{k}" not in state]:
            del held[key]
        for key, value in state.items():
            name = key.removeprefix("method.")
            if name == key:
                continue
            old = held.get(name)
            if isinstance(old, torch.nn.Parameter):
                with torch.no_grad():
                    old.copy_(value)
            else:
                held[name] = value.detach().clone()
        counters = [int(x) for x in state["counters"]]
        self.step, self._epoch, self.skipped_steps, self.solver_failures, self._age = counters
        self._unseen = bool(state["unseen"])
        self._generator.set_state(state["generator"].cpu())
        self._ahead, self._last = (state[k].clone() if k in state else None for k in ("ahead", "last"))
        self._ready = False

    # --- the step ------------------------------------------------------------------------------------------------
    def backward(
        self,
        losses: Mapping[str, Tensor | None],
        representation: Tensor | Sequence[Tensor] | None = None,
    ) -> Used:
        """Fill ``.grad`` from the task losses (scalars; None or left out: the task is not in this batch).

        representation: at that level, the tensor or tensors between encoder and heads. Adds to what ``.grad``
        holds, as an ordinary backward does. Raises RunError where something is not finite (see ``on_nonfinite``).
        """
        batch = self._read(losses)
        if self._unseen and self.method.observes:
            self._observe(batch.told, batch.index)
        weights = self._weights_at_hand(batch)
        if weights is not None or not self._from_gradients:
            return self._ordinary(batch, weights)
        if self.level == "representation":
            return self._by_representation(batch, representation)
        return self._by_parameters(batch)

    def weights_ahead(self, tasks: Sequence[str]) -> Tensor:
        """The coming step's weights (T,), before its batch is drawn: sampling rates, say.

        For methods that need nothing; the next ``backward`` or ``backward_mixed`` uses these very weights, and
        until then the answer stays the same. Raises RequestError for a method that looks at losses or gradients.
        """
        if self.method.needs > Needs.NOTHING:
            raise RequestError(f"{self.method.name} looks at losses or gradients: it has no weights before the batch")
        self._know(tasks)
        self._ensure(self.shared[0].device if self.shared else torch.device("cpu"))
        if self._ahead is None:
            self._ahead = self._last if self._reuses() else self._weigh(Evidence(**self._moment()), None)
        assert self._ahead is not None
        assert self.tasks is not None
        return self._ahead[[self.tasks.index(t) for t in tasks]].clone()

    def backward_mixed(self, loss: Tensor) -> Used:
        """One ordinary backward of a loss whose batch was mixed at the rates of :meth:`weights_ahead`."""
        if self.tasks is None:
            raise RequestError("backward_mixed: ask for weights_ahead(tasks) first, and draw the batch by them")
        weights = self.weights_ahead(self.tasks)
        loss.backward()  # type: ignore[no-untyped-call]
        mixed = _Batch(self.tasks, self.tasks, [loss], None, loss.detach().reshape(1))
        if self._broken(mixed, self._shared_norms()):
            return self._skip(mixed)
        self._finish(weights, None)
        return Used(self.tasks, weights.detach())

    def observe(self, losses: Mapping[str, Tensor | float]) -> None:
        """Show the method the losses that the step led to. Without it the next step's losses serve."""
        if self.method.observes:
            given = {k: torch.as_tensor(v) for k, v in losses.items()}
            batch = self._read(given)
            self._observe(batch.told, batch.index)

    # --- reading the batch ---------------------------------------------------------------------------------------
    def _know(self, names: Sequence[str]) -> tuple[str, ...]:
        if self.tasks is None:
            self.tasks = tuple(names)
        for name in names:
            if name not in self.tasks:
                raise one_of("task", name, self.tasks, where=" (name all in tasks=[...])")
        return self.tasks

    def _read(self, losses: Mapping[str, Tensor | None]) -> _Batch:
        tasks = self._know(list(losses))
        present = tuple(t for t in tasks if losses.get(t) is not None)
        if not present:
            raise RequestError("backward was given no losses")
        tensors = [x for t in present if (x := losses[t]) is not None]
        for name, x in zip(present, tensors, strict=True):
            if x.numel() != 1:
                raise RequestError(f"task {name!r}: its loss must be one number, got shape {tuple(x.shape)}")
        told = torch.stack([x.detach().reshape(()) for x in tensors])
        told = told if told.dtype in (torch.float32, torch.float64) else told.float()
        self._ensure(told.device)
        index = None if len(present) == len(tasks) else torch.tensor([tasks.index(t) for t in present])
        return _Batch(tuple(losses), present, tensors, index, told)

    def _ensure(self, device: torch.device) -> None:
        """Initialise the method's state for all tasks, on the device where the losses live."""
        if self._ready:
            return
        assert self.tasks is not None
        state = self.method.ensure(len(self.tasks))
        for key, value in state.items():
            if isinstance(value, torch.nn.Parameter):
                value.data = value.data.to(device)
            else:
                state[key] = value.to(device)
        self._ready = True

    # --- weighing ------------------------------------------------------------------------------------------------
    def _moment(self) -> dict[str, Any]:
        return {"step": self.step, "epoch": self._epoch, "generator": self._generator}

    def _state(self, index: Tensor | None) -> dict[str, Tensor]:
        state = self.method.state
        return state if index is None else partial.select(state, self.method.task_axes, index)

    def _keep(self, after: dict[str, Tensor], index: Tensor | None) -> None:
        """Make ``after`` the state; learned entries stay the parameters that the optimiser holds."""
        state = self.method.state
        if index is not None:
            after = partial.merge(state, after, self.method.task_axes, index)
        for key, value in after.items():
            if key not in self.method.learned:
                state[key] = value

    def _weigh(self, evidence: Evidence, index: Tensor | None) -> Tensor:
        weights, after = self.method.weigh(evidence, self._state(index))
        self._keep(after, index)
        return weights.detach()

    def _reuses(self) -> bool:
        return self._last is not None and 0 < self._age < self.every

    def _weights_at_hand(self, batch: _Batch) -> Tensor | None:
        """Weights (T',) that need no look at this batch: drawn ahead, or kept from an earlier step."""
        held = self._ahead if self._ahead is not None else self._last if self._reuses() else None
        if held is None or batch.index is None:
            return held
        part = held[batch.index.to(held.device)]
        return None if bool(part.isnan().any()) else part

    def _observe(self, told: Tensor, index: Tensor | None) -> None:
        self._keep(self.method.observe(told, self._state(index)), index)
        self._unseen = False

    # --- the three ways ------------------------------------------------------------------------------------------
    def _ordinary(self, batch: _Batch, weights: Tensor | None) -> Used:
        """One ordinary backward of the weighted losses."""
        if batch.told.device.type == "cpu" and self._broken(batch, None):
            return self._skip(batch)
        if weights is None and self.method.has_objective:
            weights = self._by_objective(batch)
        elif weights is None:
            weights = self._weigh(Evidence(losses=batch.told, **self._moment()), batch.index)
        if self.heads == "weighted" or not self.shared:
            gradients.weighted_backward(batch.losses, weights)
        else:
            own = {id(x): x for xs in gradients.leaves_of(batch.losses, without=self.shared) for x in xs}
            trained = [p for p in self.shared if p.requires_grad]
            ones = torch.ones_like(batch.told)
            gradients.weighted_backward(batch.losses, ones, list(own.values()), retain_graph=True)
            gradients.weighted_backward(batch.losses, weights, trained)
        if self._broken(batch, self._shared_norms()):
            return self._skip(batch)
        return self._done(batch, weights, None)

    def _by_objective(self, batch: _Batch) -> Tensor:
        """Weights as the objective's derivative by the losses; fills ``.grad`` of what the method learns."""
        at = batch.told.detach().clone().requires_grad_()
        objective = self.method.objective(at, self._state(batch.index))
        torch.autograd.backward([objective], inputs=[at, *self.method.parameters()])
        self._weigh(Evidence(losses=batch.told, **self._moment()), batch.index)
        assert at.grad is not None
        return at.grad

    def _by_parameters(self, batch: _Batch) -> Used:
        """T backward passes to the shared parameters, then the method's combination of the rows."""
        trained = [p for p in self.shared if p.requires_grad]
        return self._by_rows(batch, trained, gradients.leaves_of(batch.losses, without=self.shared))

    def _by_representation(self, batch: _Batch, representation: Tensor | Sequence[Tensor] | None) -> Used:
        """T backward passes through the heads alone, then one of the encoder."""
        given = [representation] if isinstance(representation, Tensor) else list(representation or [])
        tensors = [z for z in given if z.requires_grad]
        if not tensors:
            raise RequestError("level='representation': backward needs representation=, a tensor with a gradient")
        return self._by_rows(batch, tensors, gradients.leaves_of(batch.losses, stop=tensors, without=tensors))

    def _by_rows(self, batch: _Batch, targets: list[Tensor], own: list[list[Tensor]]) -> Used:
        if not targets:
            raise RequestError("no shared parameter requires a gradient")
        n = len(batch.losses)
        self._rows.prepare(n, targets)
        touched = [False] * len(targets)
        head_grads = []
        for t, loss in enumerate(batch.losses):
            grads = gradients.gradient(loss, [*targets, *own[t]], retain_graph=True)
            self._rows.write(t, grads[: len(targets)])
            touched = [a or g is not None for a, g in zip(touched, grads, strict=False)]
            head_grads.append(grads[len(targets) :])
        jacobian = self._rows.matrix
        gramian = jacobian @ jacobian.T
        if self._broken(batch, gramian.diagonal()):
            return self._skip(batch)
        evidence = Evidence(losses=batch.told, gramian=gramian, jacobian=jacobian, **self._moment())
        weights: Tensor | None
        if self.method.has_combine:
            combined, weights, after = self.method.combine(evidence, self._state(batch.index))
            self._keep(after, batch.index)
        else:
            weights = self._weigh(evidence, batch.index)
            combined = weights.to(jacobian) @ jacobian
        parts = [g if hit else None for g, hit in zip(self._rows.split(combined, targets), touched, strict=True)]
        if self.level == "representation":
            pairs = [(z, g.to(z.dtype)) for z, g in zip(targets, parts, strict=True) if g is not None]
            torch.autograd.backward([z for z, _ in pairs], [g for _, g in pairs])
        else:
            gradients.accumulate(targets, parts)
        for t, (params, grads) in enumerate(zip(own, head_grads, strict=True)):
            if self.heads == "weighted" and weights is not None:
                grads = [None if g is None else g * weights[t].to(g) for g in grads]
            gradients.accumulate(params, grads)
        return self._done(batch, weights, gramian)

    # --- finishing -----------------------------------------------------------------------------------------------
    def _shared_norms(self) -> Tensor | None:
        grads = [p.grad for p in self.shared if p.grad is not None]
        return torch.stack(torch._foreach_norm(grads)) if grads else None

    def _broken(self, batch: _Batch, norms: Tensor | None) -> bool:
        """Whether a loss or a gradient is not finite (one look at the device); raises if asked to."""
        seen = batch.told if norms is None else torch.cat([batch.told, norms.to(batch.told)])
        if bool(torch.isfinite(seen).all()):
            return False
        if self.on_nonfinite == "skip":
            return True
        bad = [t for t, x in zip(batch.present, batch.told.tolist(), strict=False) if not _finite(x)]
        what = "loss"
        if not bad and norms is not None:
            what = "gradient"
            per_task = norms.numel() == len(batch.present) and self._from_gradients
            bad = [t for t, x in zip(batch.present, norms.tolist(), strict=False) if not per_task or not _finite(x)]
        names = " or ".join(repr(t) for t in bad)
        raise RunError(f"step {self.step}: the {what} of task {names} is not finite")

    def _skip(self, batch: _Batch) -> Used:
        for leaves in gradients.leaves_of(batch.losses):
            for leaf in leaves:
                leaf.grad = None
        self.skipped_steps += 1
        self.step += 1
        self._ahead = None
        return Used(batch.given, torch.full((len(batch.given),), float("nan")), None, skipped=True)

    def _finish(self, weights: Tensor | None, index: Tensor | None) -> None:
        self._age = self._age % self.every + 1
        if self.every > 1 and self._age == 1 and weights is not None:
            assert self.tasks is not None
            self._last = weights if index is None else partial.spread(weights, len(self.tasks), index)
        self._unseen = self.method.observes
        self._ahead = None
        self.step += 1

    def _done(self, batch: _Batch, weights: Tensor | None, gramian: Tensor | None) -> Used:
        self._finish(weights, batch.index)
        assert self.tasks is not None
        out = []
        for values in (weights, gramian):
            if values is not None and batch.index is not None:
                values = partial.spread(values, len(self.tasks), batch.index)
            if values is not None and batch.given != self.tasks:
                order = torch.tensor([self.tasks.index(t) for t in batch.given], device=values.device)
                values = values[order] if values.ndim == 1 else values[order][:, order]
            out.append(None if values is None else values.detach())
        return Used(batch.given, out[0], out[1])


def _finite(x: float) -> bool:
    return x == x and abs(x) != float("inf")
