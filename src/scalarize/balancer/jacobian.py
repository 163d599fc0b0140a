"""The Jacobian of the tasks' losses, one row per task, summed over micro-batches and processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scalarize.balancer import fan_out, hooks
from scalarize.balancer.autograd import Grads, stack, weighted
from scalarize.balancer.chunk_choice import ChunkChoice
from scalarize.balancer.distributed import Processes
from scalarize.balancer.gramian.compact import Compact
from scalarize.balancer.losses import Losses, join
from scalarize.balancer.rows import Rows
from scalarize.balancer.torch_errors import explained
from scalarize.utils.errors import RequestError


class JacobianAccumulator:
    """The micro-batches of one step: rows of all tasks, the gradients of their own parameters, summed losses.

    Without accumulation a window is one batch. The rows' memory is kept from step to step. chunk: how many rows one
    backward makes.
    """

    def __init__(self, chunk: int | str = 1) -> None:
        self.chunks = ChunkChoice(chunk)
        self.rows = Rows()
        self.step: Losses | None = None
        self._places: tuple[tuple[tuple[int, ...], torch.device], Tensor] | None = None
        self.own: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}  # parameter -> gradient by place of the task

    def clear(self) -> None:
        """Forget the micro-batches of the last step."""
        self.step, self.own = None, {}

    def add(
        self,
        step: Losses,
        targets: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        keep: Sequence[bool],
        compact: Compact | None = None,
    ) -> None:
        """Run the backwards to ``targets`` and to the tasks' ``own`` parameters; ``keep`` the graphs of losses or not.

        Targets inside the graph, and several rows at once, leave the own parameters to a backward of their own:
        autograd walks down to the deepest target in each, and leaves are deepest. Hooks of users do not fire.
        ``compact`` takes the place of rows, for one batch.
        """
        with hooks.silenced([*targets, *(p for params in own for p in params)]):
            if compact is None:
                self._add(step, targets, own, keep)
            else:
                with compact.outputs.watch():
                    self._hold(step, compact, own, keep)
        self.step = step if self.step is None else join(self.step, step)

    def add_by_one(self, step: Losses, target: Tensor, fan: fan_out.FanOut) -> None:
        """Make all rows by one backward; ``fan``: the losses' graphs, which meet in ``target`` alone."""
        with hooks.silenced([target, *(p for params in fan.own for p in params)]):
            self._add_by_one(step, target, fan)
        self.step = step

    def _add_by_one(self, step: Losses, target: Tensor, fan: fan_out.FanOut) -> None:
        self.rows.prepare(len(step.tasks), [target])
        self.rows.forget()
        places = [step.tasks.index(name) for name in step.present]
        filled = set[int]()

        def arrive(t: int, g: Tensor) -> None:
            self.rows.write(places[t], [g], t in filled)
            filled.add(t)

        ones = torch.ones_like(step.values) if step.scales is None else step.scales
        for t, grads in enumerate(fan_out.backward(fan, step.losses, target, ones, arrive)):
            for p, g in zip(fan.own[t], grads, strict=True):
                self._keep_own(p, places[t], g)
            if t not in filled:
                self.rows.write(places[t], [None])

    def _add(
        self, step: Losses, targets: Sequence[Tensor], own: Sequence[Sequence[Tensor]], keep: Sequence[bool]
    ) -> None:
        self.rows.prepare(len(step.tasks), targets)
        if self.step is None:
            self.rows.forget()
        held = dict(self.own)

        def rows(chunk: int, again: bool) -> None:
            self.own = dict(held)
            self._rows(step, targets, own, [True] * len(keep) if again else keep, chunk)

        if self.step is None:
            self.chunks.make(len(step.losses), step.values.device, rows)
        else:
            rows(self.chunks.chosen or 1, False)

    def _rows(
        self,
        step: Losses,
        targets: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        keep: Sequence[bool],
        chunk: int,
    ) -> None:
        before = set() if self.step is None else set(self.step.present)
        nobody: list[list[Tensor]] = [[] for _ in own]
        apart = any(own) and (chunk > 1 or not any(t.is_leaf for t in targets))
        keeps = [True] * len(keep) if apart else list(keep)
        if chunk > 1 and not _inside(targets):
            self._rows_together(step, targets, before, keeps, chunk)
        else:
            self._rows_in_turn(step, targets, nobody if apart else own, before, keeps)
        if apart and len({id(p) for params in own for p in params}) == sum(map(len, own)):
            self._own_together(step, own, keep[-1])
        elif apart:
            self._rows_in_turn(step, [], own, before, keep)

    def _hold(self, step: Losses, compact: Compact, own: Sequence[Sequence[Tensor]], keep: Sequence[bool]) -> None:
        for t, (name, loss) in enumerate(zip(step.present, step.losses, strict=True)):
            scale = None if step.scales is None else step.scales[t]
            grads = gradient(loss, [*compact.inputs, *own[t]], scale, keep[t])
            compact.write(t, grads[: len(compact.inputs)])
            for p, g in zip(own[t], grads[len(compact.inputs) :], strict=True):
                self._keep_own(p, step.tasks.index(name), g)

    def _rows_in_turn(
        self,
        step: Losses,
        targets: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        before: set[str],
        keep: Sequence[bool],
    ) -> None:
        for t, (name, loss) in enumerate(zip(step.present, step.losses, strict=True)):
            place = step.tasks.index(name)
            scale = None if step.scales is None else step.scales[t]
            with hooks.cut(targets if _inside(targets) else ()) as seen:
                grads = gradient(loss, [*targets, *own[t]], scale, keep[t])
            grads = [seen.get(k, g) for k, g in enumerate(grads)]
            if targets:
                self.rows.write(place, grads[: len(targets)], name in before)
            for p, g in zip(own[t], grads[len(targets) :], strict=True):
                self._keep_own(p, place, g)

    def _rows_together(
        self, step: Losses, targets: Sequence[Tensor], before: set[str], keep: Sequence[bool], chunk: int
    ) -> None:
        number = len(step.losses)
        by = torch.eye(number, dtype=step.values.dtype, device=step.values.device)
        by = by if step.scales is None else by * step.scales.to(by)
        for start in range(0, number, chunk):
            more = start + chunk < number or keep[-1]
            several = gradients_of(step.losses, targets, by[start : start + chunk], more)
            for k, name in enumerate(step.present[start : start + chunk]):
                self.rows.write(step.tasks.index(name), [None if g is None else g[k] for g in several], name in before)

    def _own_together(self, step: Losses, own: Sequence[Sequence[Tensor]], keep: bool) -> None:
        ones = torch.ones_like(step.values) if step.scales is None else step.scales
        roots, by = weighted(step.losses, ones)
        leaves = [p for params in own for p in params]
        with explained():
            grads = iter(torch.autograd.grad(roots, leaves, by, retain_graph=keep, allow_unused=True))
        for name, params in zip(step.present, own, strict=True):
            for p in params:
                self._keep_own(p, step.tasks.index(name), next(grads))

    def _keep_own(self, p: Tensor, place: int, g: Tensor | None) -> None:
        if g is not None:
            of_task = self.own.setdefault(id(p), (p, {}))[1]
            of_task[place] = of_task[place] + g if place in of_task else g

    def matrix(self, processes: Processes, over_processes: bool, scale: Tensor | None) -> Tensor:
        """Return the rows (T', P) of the tasks that were seen: summed over processes if asked, without ``scale``."""
        assert self.step is not None
        matrix = self.rows.matrix if self.step.index is None else self.rows.matrix[self.step.index]
        if over_processes:
            matrix = processes.sum(matrix)
            self.rows.agree(processes)
        return matrix if scale is None else matrix.div_(scale.to(matrix))

    def norms(self, gramian: Tensor, processes: Processes) -> Tensor:
        """Return one number per task (T',), finite if all gradients of the task are."""
        assert self.step is not None
        own = torch.zeros(len(self.step.tasks), dtype=gramian.dtype, device=gramian.device)
        places = [(place, g) for _, of_task in self.own.values() for place, g in of_task.items()]
        if places:
            sizes = torch.stack(torch._foreach_norm([g for _, g in places]))
            own.index_add_(0, self._on_device(tuple(place for place, _ in places), own.device), sizes.to(own))
        own = own if self.step.index is None else own[self.step.index]
        return gramian.diagonal() + processes.sum(own)

    def _on_device(self, places: tuple[int, ...], device: torch.device) -> Tensor:
        """Return ``places`` as a tensor, kept from step to step: a copy to a GPU would wait for all of its work."""
        if self._places is None or self._places[0] != (places, device):
            self._places = ((places, device), torch.tensor(places, device=device))
        return self._places[1]

    def own_gradients(self, weights: Tensor | None) -> tuple[list[Tensor], Grads]:
        """Return the tasks' own parameters and their gradients, scaled by ``weights`` (T',) if given."""
        assert self.step is not None
        at = {self.step.tasks.index(t): k for k, t in enumerate(self.step.present)}
        params, grads = [], []
        for p, of_task in self.own.values():
            parts = [g if weights is None else g * weights[at[place]].to(g) for place, g in of_task.items()]
            params.append(p)
            grads.append(parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0))
        return params, list(grads)


def _inside(targets: Sequence[Tensor]) -> bool:
    """Return True if there are several targets inside the graph, which may depend on each other."""
    return len(targets) > 1 and not any(t.is_leaf for t in targets)


def gradient(loss: Tensor, inputs: Sequence[Tensor], scale: Tensor | None = None, keep: bool = True) -> Grads:
    """Return the gradient of ``loss`` (times ``scale``) by each of ``inputs``; None if it does not reach one."""
    if not inputs or not loss.requires_grad:
        return [None] * len(inputs)
    roots = None if scale is None else [scale.to(loss).reshape(loss.shape)]
    with explained():
        return list(torch.autograd.grad([loss], inputs, roots, retain_graph=keep, allow_unused=True))


def gradients_of(losses: Sequence[Tensor], inputs: Sequence[Tensor], by: Tensor, keep: bool) -> Grads:
    """Return by each of ``inputs`` the gradients (K, ...) of the K sums ``by @ losses``, ``by`` (K, T), in one pass."""
    if not any(x.requires_grad for x in losses):
        return [None] * len(inputs)
    joined = stack(losses)
    try:
        return list(
            torch.autograd.grad(
                [joined], inputs, [by.to(joined)], retain_graph=keep, allow_unused=True, is_grads_batched=True
            )
        )
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise RequestError(
            f"chunk= makes several tasks' gradients together by torch.vmap, which this model does not allow "
            f"({str(error).strip().splitlines()[0]:.80}): use chunk=1"
        ) from error
