"""Losses by task from a user's hook, and their share in a window of micro-batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scalarize.balancer.arguments import Loss, read_losses
from scalarize.utils.errors import RequestError

TaskLosses = Mapping[str, Loss]


def split(found: Any, hook: str) -> tuple[dict[str, Tensor | None], Any]:
    """Split ``losses`` or ``(losses, representation)`` into losses and representation.

    Args:
        found: what the user's ``hook`` returned.
        hook: its name, for the error.

    Returns:
        The losses by task, and the representation (None if there is none).

    Raises:
        RequestError: if ``found`` is neither of the two, or a loss is not one number.
    """
    losses, representation = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(losses, Mapping) or not losses:
        raise RequestError(
            f"{hook} must return a dict of losses by task, or a pair of it and the representation, "
            f"got {type(losses).__name__}"
        )
    return read_losses(losses, torch.device("cpu")), representation


def divided(losses: TaskLosses, parts: int) -> dict[str, Tensor | None]:
    """Divide ``losses`` by ``parts``, so that the micro-batches of a window add up to their mean; None stays None.

    Raises:
        RequestError: a loss is not one number.
    """
    read = read_losses(losses, torch.device("cpu"))
    return {task: None if loss is None else loss / parts for task, loss in read.items()}


def total(losses: TaskLosses) -> Tensor:
    """Return the plain sum of the losses that are present, detached, as a loop logs it."""
    here = [x for x in losses.values() if isinstance(x, Tensor)]
    return torch.stack([x.detach().float().reshape(()) for x in here]).sum()
