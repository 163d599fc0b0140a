"""A partition of several sources in two that keeps groups of samples together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalarize.tasks.samples import Source, split_groups, split_indices


def split_sources(sources: Mapping[str, Source], share: float, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Partition several sources in two, keeping groups together over all of them.

    Args:
        sources: source by domain.
        share: share of the groups in the first part.
        seed: seed of the shuffle.

    Returns:
        The indices (int64) of both parts by domain, in increasing order.

    >>> from scalarize.tasks.samples import TensorTable
    >>> table = TensorTable(torch.zeros(10, 1), {"a": torch.zeros(10)})
    >>> [len(part) for part in split_sources({"all": table}, 0.7, seed=0)["all"]]
    [7, 3]
    """
    groups = [g for source in sources.values() if (g := source.groups) is not None]
    distinct = torch.unique(torch.cat(groups)) if groups else None
    parts = {}
    for position, (name, source) in enumerate(sources.items()):
        if source.groups is None:
            first, second = split_indices(source, (share, 1 - share), seed * 1009 + position)
        else:
            first, second = split_groups(source.groups, (share, 1 - share), seed * 1009, distinct)
        parts[name] = first, second
    return parts
