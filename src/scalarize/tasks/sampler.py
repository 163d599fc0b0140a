"""Sampling of training batches: domains are mixed by rate, reshuffled when exhausted, and read ahead from disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from scalarize.tasks.samples import Batch, Source, Streaming
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive


class Streams:
    """Endless streams of sample indices, one per domain; each pass over a domain is a fresh permutation of it.

    The position is the whole state: a permutation follows from the seed, the name of the domain and the number of the
    pass.

    Args:
        sizes: number of samples by domain.
        seed: seed of the permutations.

    Raises:
        RequestError: a domain has no samples.

    >>> streams = Streams({"a": 4}, seed=0)
    >>> sorted(streams.take("a", 4).tolist())
    [0, 1, 2, 3]
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
        """Continue from ``position``, samples drawn by domain. Raises ValueError if it does not fit these domains."""
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
        """Draw the next ``count`` indices, int64 (count,), of domain ``name``."""
        start = self.position[name]
        self.position[name] += count
        return self._at(name, start, count)

    def ahead(self, name: str, count: int) -> Iterator[Tensor]:
        """Yield what repeated calls of ``take`` with ``count`` would return, without end, and draw nothing."""
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
    """Share out ``total`` samples equally over ``names``, at least one each; the remainder rotates with ``step``."""
    share, rest = divmod(total, len(names))
    extra = {(step * rest + k) % len(names) for k in range(rest)}
    return {name: max(1, share + (k in extra)) for k, name in enumerate(names)}


def multinomial_counts(names: Sequence[str], rates: Tensor, total: int, generator: torch.Generator) -> dict[str, int]:
    """Draw the number of samples of each domain in a batch (Royer et al. 2023, eq. 2).

    If all rates are 0, because every domain was dropped, the draw is uniform: the loss then has weight 0.

    Args:
        names: names of the T domains.
        rates: sampling rates >= 0, shape (T,); they need not be normalised.
        total: size of the batch.
        generator: generator that is drawn from.

    Returns:
        Samples by domain, without the domains that have none.
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


class Reader:
    """Reads each domain's samples in the order of its stream, and advances the stream.

    The number of samples of a domain may be known only at each step (if weights are sampling rates), but their order is
    known ahead. A source that streams is therefore read in chunks, from which each step takes what it needs: the
    samples are the same with any number of workers. ``close`` ends the workers and discards what was read ahead; a
    later ``take`` starts them anew and reads it again.

    Args:
        sources: source by domain.
        streams: the streams of these domains.
        chunk: samples per chunk.
        rows: by domain the indices, int64 (N',), of its samples that the stream is over. Default: all of them.
    """

    def __init__(
        self, sources: Mapping[str, Source], streams: Streams, chunk: int, rows: Mapping[str, Tensor] | None = None
    ) -> None:
        self._sources, self._streams, self._chunk, self._rows = sources, streams, chunk, dict(rows or {})
        # Determined once: isinstance of a protocol takes as long as a small batch.
        self._streaming = {name: s for name, s in sources.items() if isinstance(s, Streaming)}
        self._ahead: dict[str, Iterator[Batch]] = {}
        self._rest: dict[str, Batch] = {}  # of the chunk that was begun

    def take(self, name: str, count: int) -> Batch:
        """Return the next ``count`` samples of domain ``name``."""
        if name not in self._streaming:
            return self._sources[name].batch(self._indices(name, self._streams.take(name, count)))
        if name not in self._ahead:
            ahead = (self._indices(name, drawn) for drawn in self._streams.ahead(name, self._chunk))
            self._ahead[name] = iter(self._streaming[name].stream(ahead))
        parts, wanted = [], count
        while wanted > 0:
            chunk = self._rest.pop(name) if name in self._rest else next(self._ahead[name])
            parts.append(chunk.part(slice(0, wanted)))
            if len(chunk) > wanted:
                self._rest[name] = chunk.part(slice(wanted, None))
            wanted -= len(parts[-1])
        self._streams.position[name] += count
        return Batch.concat(parts)

    def _indices(self, name: str, drawn: Tensor) -> Tensor:
        return self._rows[name][drawn] if name in self._rows else drawn

    def close(self) -> None:
        """Stop reading ahead."""
        self._ahead.clear()
        self._rest.clear()
