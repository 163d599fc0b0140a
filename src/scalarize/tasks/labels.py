"""Rows with a label: of a batch for one task, and of a source for any of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scalarize.utils.errors import RequestError, unknown_name_error

Labelled = Mapping[str, Tensor]


def check(labelled: Labelled | None, targets: Mapping[str, Tensor]) -> None:
    """Raise RequestError unless each mask is bool (N,) and belongs to one of ``targets`` (N, ...)."""
    for task, mask in (labelled or {}).items():
        if task not in targets:
            raise unknown_name_error("task", task, list(targets), where=" in labelled=")
        if mask.dtype != torch.bool or mask.shape != targets[task].shape[:1]:
            shape = tuple(mask.shape)
            raise RequestError(
                f"labelled= of task {task!r} must be bool of shape ({len(targets[task])},), got {mask.dtype} {shape}"
            )


def at(labelled: Labelled | None, place: Any) -> Labelled | None:
    """Return the masks of the rows at ``place``, an index or a slice."""
    return None if labelled is None else {task: mask[place] for task, mask in labelled.items()}


def concat(masks: Sequence[Labelled | None], sizes: Sequence[int]) -> Labelled | None:
    """Return the masks of concatenated samples, ``sizes`` of them each; what has no mask is labelled throughout."""
    tasks = dict.fromkeys(task for own in masks for task in own or {})
    if not tasks:
        return None
    every = [torch.ones(n, dtype=torch.bool) for n in sizes]
    return {t: torch.cat([(own or {}).get(t, ones) for own, ones in zip(masks, every, strict=True)]) for t in tasks}


def rows(labelled: Labelled | None, task: str) -> Tensor | None:
    """Return the indices, int64 (N',), of the rows with a label of ``task``; None if all have one."""
    mask = None if labelled is None else labelled.get(task)
    return None if mask is None or bool(mask.all()) else mask.nonzero().flatten()


def rows_of_any(labelled: Labelled | None, tasks: Iterable[str]) -> Tensor | None:
    """Return the indices, int64 (N',), of the rows with a label of any of ``tasks``; None if all have one."""
    found: Tensor | None = None
    for task in tasks:
        mask = None if labelled is None else labelled.get(task)
        if mask is None:
            return None
        found = mask if found is None else found | mask
    return None if found is None or bool(found.all()) else found.nonzero().flatten()
