"""A model from its settings: the architecture by name, on an encoder that it suits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from scalarize.utils.errors import RequestError
from scalarize.workloads.models.sharing.adatt import AdaTT
from scalarize.workloads.models.sharing.base import Sharing
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.cgc import CGC
from scalarize.workloads.models.sharing.cross_stitch import CrossStitch
from scalarize.workloads.models.sharing.dselect_k import DSelectK
from scalarize.workloads.models.sharing.hard import hard
from scalarize.workloads.models.sharing.ltb import LTB
from scalarize.workloads.models.sharing.mmoe import MMoE
from scalarize.workloads.models.sharing.mtan import MTAN
from scalarize.workloads.models.sharing.names import HARD
from scalarize.workloads.models.sharing.ple import PLE

ARCHITECTURES: dict[str, type[Sharing]] = {
    "cross-stitch": CrossStitch,
    "mmoe": MMoE,
    "cgc": CGC,
    "ple": PLE,
    "dselect-k": DSelectK,
    "mtan": MTAN,
    "ltb": LTB,
    "adatt": AdaTT,
}


def share(
    settings: Mapping[str, Any],
    encoder: Callable[[], nn.Module],
    body: Callable[[], Body],
    heads: Callable[[], Mapping[str, nn.Module]],
    paths: Sequence[str] | None = None,
) -> nn.Module:
    """Build a model with the architecture that ``settings`` name.

    Args:
        settings: of the model; ``sharing`` is the architecture, ``hard`` if there is none, and further ones are read as
            the architecture's ``options`` say.
        encoder: makes the whole encoder, for hard sharing.
        body: makes its parts, for any other architecture.
        heads: makes task -> module of its representation, after the encoder.
        paths: names of the domains that one task is learned on, whose head is shared. Default None: several tasks.

    Returns:
        A model with ``encode``, ``decode`` and ``shared_parameters``.

    Raises:
        RequestError: the encoder does not suit the architecture, or a setting does not.
    """
    name = settings.get("sharing") or HARD
    if name == HARD:
        made = encoder()
        return hard(made, heads(), paths is not None)
    kind, parts = ARCHITECTURES[name], body()
    if len(parts.stages) < kind.stages:
        raise RequestError(
            f"`settings` model.sharing={name}: needs an encoder of {kind.stages} stages, this one has "
            f"{len(parts.stages)}: make it deeper"
        )
    own = heads()
    if paths is not None:
        (head,) = own.values()
        own = dict.fromkeys(paths, head)
    chosen = {key: settings[key] for key in kind.options if settings.get(key) is not None}
    return kind(parts, own, paths is not None, **chosen)
