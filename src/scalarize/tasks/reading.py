"""The samples of each domain in order, any number at a time; sets that stay on disk are decoded ahead of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from scalarize.tasks.sampler import Streams
from scalarize.tasks.samples import Batch, Source, Streaming


class Reader:
    """Takes each domain's samples in the order of ``streams``, whose positions it moves.

    How many samples of a domain a step wants may be known only then (weights as sampling rates), but their order is
    known ahead. So a source that streams is read in chunks of ``chunk`` samples, from which each step takes what it
    wants: the same samples with any number of workers. What was read ahead and not taken is read again after
    ``close``, which ends the workers; a later ``take`` starts them anew.
    """

    def __init__(self, sources: Mapping[str, Source], streams: Streams, chunk: int) -> None:
        self._sources, self._streams, self._chunk = sources, streams, chunk
        # Looked for once: asking a protocol of an object takes as long as a small batch.
        self._streaming = {name: s for name, s in sources.items() if isinstance(s, Streaming)}
        self._ahead: dict[str, Iterator[Batch]] = {}
        self._rest: dict[str, Batch] = {}  # of the chunk that was begun

    def take(self, name: str, count: int) -> Batch:
        """The next ``count`` samples of domain ``name``."""
        if name not in self._streaming:
            return self._sources[name].batch(self._streams.take(name, count))
        if name not in self._ahead:
            self._ahead[name] = iter(self._streaming[name].stream(self._streams.ahead(name, self._chunk)))
        parts, wanted = [], count
        while wanted > 0:
            chunk = self._rest.pop(name) if name in self._rest else next(self._ahead[name])
            parts.append(_part(chunk, slice(0, wanted)))
            if len(chunk) > wanted:
                self._rest[name] = _part(chunk, slice(wanted, None))
            wanted -= len(parts[-1])
        self._streams.position[name] += count
        return Batch.concat(parts)

    def close(self) -> None:
        """Stop reading ahead."""
        self._ahead.clear()
        self._rest.clear()


def _part(batch: Batch, place: slice) -> Batch:
    return replace(batch, inputs=batch.inputs[place], targets={k: v[place] for k, v in batch.targets.items()})
