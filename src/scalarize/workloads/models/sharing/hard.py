"""Hard parameter sharing (Caruana 1997): one encoder for all tasks, and a head for each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from scalarize.workloads.models.multihead import MultiHead, SharedHead

NAME = "hard"


def hard(encoder: nn.Module, heads: Mapping[str, nn.Module], one_task: bool = False) -> MultiHead:
    """Build the model.

    Args:
        encoder: inputs -> representation.
        heads: task -> module of the representation.
        one_task: the head is shared too, as when one task is learned on several domains. Default False.

    Returns:
        The model.

    >>> [p.shape[0] for p in hard(nn.Linear(3, 4), {"a": nn.Linear(4, 1)}).shared_parameters()]
    [4, 4]
    """
    return (SharedHead if one_task else MultiHead)(encoder, heads)
