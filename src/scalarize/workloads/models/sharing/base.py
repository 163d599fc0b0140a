"""The interface of an architecture: shared tensors, a path from them for each task, and who reaches which parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from scalarize.workloads.models.sharing.body import Body

Part = nn.Module | nn.Parameter


class Sharing(nn.Module, ABC):
    """A model whose tasks share parts of an encoder.

    ``encode`` goes as far as tasks share: it returns the last tensors that losses of several tasks come through, and
    what else their paths start from. ``path`` goes from there to a task's own representation, by its own parameters.
    So gradients can be compared at two levels: of :meth:`shared_parameters`, where the row of a task is 0 in what it
    does not reach, and of the tensors that ``encode`` returns. Those are the last that are shared, not the tasks' own
    representations, whose gradients would not meet in any number.

    If one task is learned on several domains (``by_domain``), each domain has a path and is passed through it alone;
    the task's head is shared by all.

    Args:
        body: the encoder's parts.
        heads: name of a task (or of a domain) -> module of its representation.
        by_domain: paths are those of domains.
    """

    options: ClassVar[Mapping[str, int]] = {}  # settings that it reads, and their defaults
    stages: ClassVar[int] = 1  # of the encoder that it needs at least
    common: ClassVar[bool] = True  # all that is shared lies before what ``encode`` returns

    def __init__(self, body: Body, heads: Mapping[str, nn.Module], by_domain: bool = False) -> None:
        super().__init__()
        self.names, self.by_domain = list(heads), by_domain
        self.prepare = body.prepare
        different = list(dict.fromkeys(heads.values()))
        self.heads = nn.ModuleList(different)
        self._head_of = {name: different.index(head) for name, head in heads.items()}

    @abstractmethod
    def encode(self, inputs: Any) -> list[Tensor]:
        """Return the last tensors that tasks share, and what their paths start from, of a batch."""

    @abstractmethod
    def path(self, shared: Sequence[Tensor], task: int) -> Tensor:
        """Return a task's own representation.

        Args:
            shared: as ``encode`` returns it.
            task: its place among ``names``.
        """

    @abstractmethod
    def parts(self) -> Iterator[tuple[Part, Sequence[str]]]:
        """Yield the parts between ``prepare`` and the heads, each with the tasks whose losses reach it."""

    def decode(self, representation: Sequence[Tensor], tasks: Sequence[str]) -> dict[str, Any]:
        """Return one prediction for each of ``tasks``."""
        return {t: self.head(t)(self.path(representation, self.names.index(t))) for t in tasks}

    def forward(self, inputs: Any) -> dict[str, Any]:
        """Return all tasks' predictions."""
        return self.decode(self.encode(inputs), self.names)

    def head(self, task: str) -> nn.Module:
        """Return the head of a task."""
        return self.heads[self._head_of[task]]

    def reach(self) -> dict[str, tuple[str, ...]]:
        """Return the tasks whose losses reach a parameter, by its name, for all parameters."""
        found: dict[int, set[str]] = {}
        for part, tasks in (*self.parts(), (self.prepare, self.names), *((self.head(t), [t]) for t in self.names)):
            for p in _parameters(part):
                found.setdefault(id(p), set()).update(tasks)
        return {n: tuple(t for t in self.names if t in found[id(p)]) for n, p in self.named_parameters()}

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that at least two tasks' gradients reach; of one task alone, all but its head's."""
        reached, heads = self.reach(), {id(p) for p in self.heads.parameters()}
        alone = len(self.names) == 1
        return [p for n, p in self.named_parameters() if len(reached[n]) > 1 or (alone and id(p) not in heads)]


def _parameters(part: Part) -> Iterable[nn.Parameter]:
    return [part] if isinstance(part, nn.Parameter) else part.parameters()
