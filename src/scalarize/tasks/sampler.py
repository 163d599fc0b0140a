"""Which samples a training step sees: domains are mixed by rate, each is reshuffled when exhausted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive


class Streams:
    """Endless streams of indices, one a domain; each pass over a domain is a fresh permutation of it.

    The position is the whole state; the permutations follow from ``seed``, the domain's name and the pass. Raises
    RequestError for a domain without samples.
    """

    def __init__(self, sizes: Mapping[str, int], seed: int) -> None:
        empty = next((name for name, size in sizes.items() if size < 1), None)
        if empty is not None:
            raise RequestError(f"the training split of {empty!r} holds no samples")
        self.sizes = dict(sizes)
        self.seed = seed
        self.position = dict.fromkeys(sizes, 0)  # samples drawn so far
        self._order: dict[str, tuple[int, Tensor]] = {}

    def go_to(self, position: Mapping[str, int]) -> None:
        """Go on from ``position``. Raises ValueError where it is not one of these domains."""
        known = isinstance(position, dict) and set(position) == set(self.sizes)
        if not known or not all(type(drawn) is int and drawn >= 0 for drawn in position.values()):
            raise ValueError(f"no numbers of samples drawn from {', '.join(self.sizes)}: {str(position)[:80]}")
        self.position = dict(position)

    def _permutation(self, name: str, turn: int) -> Tensor:
        if self._order.get(name, (-1,))[0] != turn:
            generator = torch.Generator().manual_seed(derive(self.seed, "order", name, turn))
            self._order[name] = (turn, torch.randperm(self.sizes[name], generator=generator))
        return self._order[name][1]

    def take(self, name: str, count: int) -> Tensor:
        """The next ``count`` indices (count,) of domain ``name``."""
        start = self.position[name]
        self.position[name] += count
        return self._at(name, start, count)

    def ahead(self, name: str, count: int) -> Iterator[Tensor]:
        """What ``take`` would answer, asked for ``count`` indices again and again without end; nothing is taken."""
        start = self.position[name]
        while True:
            yield self._at(name, start, count)
            start += count

    def _at(self, name: str, start: int, count: int) -> Tensor:
        size, found = self.sizes[name], []
        while count > 0:
            turn, offset = divmod(start, size)
            part = self._permutation(name, turn)[offset : offset + count]
            found.append(part)
            start += len(part)
            count -= len(part)
        return found[0] if len(found) == 1 else torch.cat(found or [torch.zeros(0, dtype=torch.long)])


def equal_counts(names: Sequence[str], total: int, step: int) -> dict[str, int]:
    """``total`` samples in equal shares; what is left over goes round with ``step``. At least one each."""
    share, rest = divmod(total, len(names))
    extra = {(step * rest + k) % len(names) for k in range(rest)}
    return {name: max(1, share + (k in extra)) for k, name in enumerate(names)}


def multinomial_counts(names: Sequence[str], rates: Tensor, total: int, generator: torch.Generator) -> dict[str, int]:
    """How many of ``total`` samples come from each domain, drawn at ``rates`` (T,) >= 0 (Royer et al. 2023, eq. 2).

    Where all rates are 0 (every domain was dropped) the draw is uniform: the loss then counts nothing.
    """
    positive = rates.double().clamp_min(0)
    drawn = torch.multinomial(
        positive if bool(positive.sum() > 0) else torch.ones_like(positive),
        total,
        replacement=True,
        generator=generator,
    )
    counts = torch.bincount(drawn, minlength=len(names)).tolist()
    return {name: n for name, n in zip(names, counts, strict=True) if n}
