"""A model for all preferences from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.fronts.conditioned import Conditioned
from scalarize.workloads.models.fronts.palora import PaLoRA
from scalarize.workloads.models.fronts.phn import PHN
from scalarize.workloads.models.fronts.settings import FRONT


def condition(model: nn.Module, settings: Mapping[str, Any], n_tasks: int) -> nn.Module:
    """Make a model for all preferences of a model for one, if the settings ask for it.

    Args:
        model: with ``encode``, ``decode`` and ``shared_parameters``.
        settings: of the model; ``front`` names the network.
        n_tasks: number T of tasks or domains that preferences are over.

    Returns:
        The :class:`Conditioned` model, or ``model`` itself if there is no ``front``.

    Raises:
        RequestError: the network does not suit the model, or there is one task alone.
    """
    name = settings.get(FRONT)
    if name is None:
        return model
    if n_tasks < 2:
        raise RequestError(f"`settings` model.{FRONT}={name}: a front needs two tasks or more")
    made: Conditioned
    if name == "palora":
        made = PaLoRA(model, n_tasks, settings["front_concentration"], settings["front_rank"])
    else:
        made = PHN(model, n_tasks, settings["front_concentration"], settings["front_width"])
    return made
