"""The interface of a workload: tasks and domains, a model, a recipe, and the provenance of its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from scalarize.learners.recipe import Recipe
from scalarize.tasks.task import Data
from scalarize.utils import optional
from scalarize.workloads.models.sharing.names import ONE
from scalarize.workloads.sizes import ONLY, Size

if TYPE_CHECKING:
    from scalarize.workloads.table.own_table import OwnTable


def _nothing_missing(root: Path) -> str | None:
    return None


@dataclass(frozen=True)
class Workload:
    """A benchmark: its data, model and recipe. One file defines one of these, or a few that share their data.

    Args:
        name: name of the workload.
        kind: multi-task or multi-domain.
        objectives: names of the objectives that the weights are over, known without the data.
        size: size of the data set, in words.
        provenance: source and licence of the data, in a sentence.
        recipe: default recipe.
        load: (data settings of the recipe, data root) -> Data; raises RequestError that names a missing folder and
            file.
        build: (model settings of the recipe, data) -> a model with ``encode``, ``decode``, ``shared_parameters``.
        shape: data settings -> data of random samples in the shape and number of the published ones, which need not be
            there. Default None: unknown without the data.
        missing: data root -> None if everything needed is there, else what is missing and how to get it.
        get: (data root, options) fetches or builds the data set.
        reference: domain whose training split sets the length of an epoch. Default: none.
        packages: packages of extras that it needs, by the names they are imported under.
        sizes: sizes of the model, the largest last.
        table: the user's own table that it was made of. Default: none.
        sharing: names of the architectures that suit its encoder. Default: hard sharing alone.
        learner: (data, build, recipe, seed, device, precision, on_rows) -> the learner. Default None: the supervised
            one.
    """

    name: str
    kind: Literal["multi-task", "multi-domain"]
    objectives: tuple[str, ...]
    size: str
    provenance: str
    recipe: Recipe
    load: Callable[[Mapping[str, Any], Path], Data]
    build: Callable[[Mapping[str, Any], Data], nn.Module]
    missing: Callable[[Path], str | None] = _nothing_missing
    shape: Callable[[Mapping[str, Any]], Data] | None = None
    get: Callable[[Path, Mapping[str, Any]], Path] | None = None
    reference: str | None = None
    sizes: tuple[Size, ...] = ONLY
    learner: Callable[..., Any] | None = None
    packages: tuple[str, ...] = ()
    table: OwnTable | None = None
    sharing: tuple[str, ...] = ONE

    def absent(self, root: Path) -> str | None:
        """Say what is not there, of packages and of data, and how to get it; None if nothing is missing."""
        return optional.absent(self.packages) or self.missing(root)
