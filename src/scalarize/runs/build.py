"""Construction of a request's workload, recipe, data, method and learners, each once."""

from __future__ import annotations

import contextlib
import functools
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalarize import workloads
from scalarize.learners.base import RunLearner
from scalarize.learners.recipe import Recipe
from scalarize.learners.rows import Row
from scalarize.learners.supervised import SupervisedLearner
from scalarize.methods import Method
from scalarize.runs.held_out import with_validation
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.tasks.task import Data
from scalarize.utils import optional
from scalarize.utils.errors import RequestError, ScalarizeError
from scalarize.utils.manifest import Manifest
from scalarize.workloads import Workload
from scalarize.workloads.models.fronts.build import condition

MOST_REPEATED = 100_000  # a batch may hold a sample several times, up to this many in all
PRECISIONS = ("float32", "bfloat16", "float16", "float64")


class Loader:
    """A reader of workloads and data for the runs of one command: data that several of them share are read once.

    kept: so many data sets are held in memory, those used last. A loader is made by a command and handed on; nothing
    outlives it.
    """

    def __init__(self, kept: int = 2) -> None:
        self.kept = kept
        self._tables: dict[str, Workload] = {}
        self._data: OrderedDict[str, Data] = OrderedDict()
        self._derived: OrderedDict[str, Data] = OrderedDict()
        self._problems: dict[str, WorkloadRequest] = {}

    def workload(self, request: WorkloadRequest) -> Workload:
        """Return the workload of ``request``, or the one made from its table.

        Raises:
            RequestError: there is no such workload, or the table cannot be used.
        """
        if request.csv is None:
            return workloads.get(request.workload)
        key = _table_key(request)
        if key not in self._tables:
            from scalarize.workloads.table.workload import from_file

            self._tables[key] = from_file(Path(request.csv), request.targets, request.table)
            self._problems[key] = request.problem()
        return self._tables[key]

    def data(self, request: WorkloadRequest, workload: Workload, recipe: Recipe) -> Data:
        """Return the data of ``workload`` under the recipe's data settings, restricted to the tasks asked for.

        Raises:
            RequestError: the data are not there or damaged, a setting does not fit, or a task is unknown.
        """
        root = workloads.data_root(request.data)
        source = _table_key(request) if request.csv else workload.name
        key = json.dumps([source, str(root), dict(recipe.data)], sort_keys=True, default=str)
        if key not in self._data:
            self._data[key] = _load(request, workload, recipe, root)
            while len(self._data) > self.kept:
                self._data.popitem(last=False)
        self._data.move_to_end(key)
        data = self._data[key]
        samples = sum(len(domain.splits["train"]) for domain in data.domains.values())
        if recipe.batch_size > max(samples, MOST_REPEATED):
            raise RequestError(f"`settings` batch_size={recipe.batch_size}: there are {samples} samples to train on")
        return data.restrict(request.tasks) if request.tasks else data

    def derived(self, prepared: PreparedRun, what: str, make: Callable[[], Data]) -> Data:
        """Return data made from those of ``prepared``, made once.

        Args:
            prepared: a problem.
            what: names what is made of its data.
            make: makes it.
        """
        asked = prepared.request
        source = _table_key(asked) if asked.csv else prepared.workload.name
        settings = [str(workloads.data_root(asked.data)), dict(prepared.recipe.data), asked.tasks, what]
        key = json.dumps([source, *settings], sort_keys=True, default=str)
        if key not in self._derived:
            self._derived[key] = make()
            while len(self._derived) > self.kept:
                self._derived.popitem(last=False)
        self._derived.move_to_end(key)
        return self._derived[key]

    def share(self, other: Loader) -> None:
        """Use the columns that another loader holds of the same tables, in place of copies of them."""
        for key, own in self._tables.items():
            theirs = other._tables[key].table if key in other._tables else None
            if own.table is not None and theirs is not None:
                own.table.share(theirs)

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels to another process: tables as the data made of them, not as they were read."""
        again = {k: replace(w, load=functools.partial(_read_again, self._problems[k])) for k, w in self._tables.items()}
        return self.__dict__ | {"_tables": again}


@dataclass(frozen=True)
class PreparedRun:
    """A request with its workload, recipe, data and method (None for a problem without weights)."""

    request: WorkloadRequest
    workload: Workload
    recipe: Recipe
    data: Data
    method: Method | None = None

    @property
    def fingerprint(self) -> Mapping[str, Any] | None:
        """The fingerprint of the user's own table, None for a workload."""
        return None if self.workload.table is None else self.workload.table.fingerprint

    def keep_table(self, out: Path) -> None:
        """Write what was fitted to the user's own table, if there is one, to ``table.json`` in ``out``."""
        if self.workload.table is not None:
            Manifest(out).write_json("table.json", self.workload.table.fitted(self.recipe.data).to_dict())

    def model(self, recipe: Recipe | None = None) -> nn.Module:
        """Make a fresh model, of the workload's kind and for these data.

        Raises:
            RequestError: settings of the model that were asked for do not fit.
        """
        settings = (recipe or self.recipe).model
        with _blamed(self.request, "model"):
            return condition(self.workload.build(settings, self.data), settings, len(self.data.names))

    def learner(
        self, seed: int, on_rows: Callable[[list[Row]], None] | None = None, recipe: Recipe | None = None
    ) -> RunLearner:
        """Make a fresh learner of the kind that the workload asks for.

        Args:
            seed: of everything random in its training.
            on_rows: receives tidy rows each epoch.
            recipe: in place of the request's, say with numbers that a search varies.

        Returns:
            The learner, at epoch 0.
        """
        used = recipe or self.recipe
        make: Callable[..., RunLearner] = self.workload.learner or SupervisedLearner
        asked = self.request
        return make(self.data, lambda: self.model(used), used, seed, asked.device, asked.precision, on_rows)


def prepare(request: WorkloadRequest, loader: Loader | None = None) -> PreparedRun:
    """Find and make the workload, recipe, data and method of ``request``.

    Args:
        request: a training, or a problem alone.
        loader: of the command, if several runs share tables and data; default a new one.

    Returns:
        The prepared run. Its data are those of one task if a training asks for ``single``.

    Raises:
        RequestError: anything in the request is wrong or missing.
    """
    check_device(request)
    loader = loader or Loader()
    workload = loader.workload(request)
    recipe = request.recipe(workload)
    data = loader.data(request, workload, recipe)
    if not isinstance(request, TrainRequest):
        return PreparedRun(request, workload, recipe, data)
    if (share := request.split) is not None:
        whole = PreparedRun(request, workload, recipe, data)
        data = loader.derived(whole, f"validation {share}", lambda: with_validation(whole.data, share))
    if request.single is not None:
        data = data.restrict([request.single])
    return PreparedRun(request, workload, recipe, data, request.source(data.names, recipe.epochs))


def _table_key(request: WorkloadRequest) -> str:
    options = None if request.table is None else request.table.model_dump(mode="json")
    return json.dumps([request.csv, request.targets, options], sort_keys=True)


def check_device(request: WorkloadRequest) -> None:
    """Raise RequestError for a device or precision that torch cannot serve here."""
    if request.precision not in PRECISIONS:
        raise RequestError(f"`precision` {request.precision}: choose float32, bfloat16, float16 or float64")
    try:
        torch.zeros(1, device=request.device).item()  # which a device without numbers (meta) refuses
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        usable = "cpu" if there is None else f"cpu or {there.type}"
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise RequestError(f"`device` {request.device}: choose {usable} here; torch says: {reason}") from None


def _read_again(problem: WorkloadRequest, settings: Any, root: Path) -> Data:
    """Read a table again, in a process that was given other data of it."""
    return Loader().workload(problem).load(settings, root)


def _load(request: WorkloadRequest, workload: Workload, recipe: Recipe, root: Path) -> Data:
    if lacking := optional.absent(workload.packages):
        raise RequestError(f"{workload.name} {lacking}")
    try:
        with _blamed(request, "data"):
            return workload.load(recipe.data, root)
    except RequestError as error:
        missing = workload.missing(root) or ""
        if missing.partition(": ")[0] != str(error).partition(": ")[0]:
            raise
        raise RequestError(missing) from None  # the same file, and what to put there or what fetches it


@contextlib.contextmanager
def _blamed(request: WorkloadRequest, part: str) -> Iterator[None]:
    """Attribute an error inside to the settings of ``part`` that the request changed, if there are any."""
    given = [f"`settings` {key}={value}" for key, value in request.settings.items() if key.startswith(f"{part}.")]
    try:
        yield
    except ScalarizeError:
        raise
    except Exception as error:
        if not given:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"{' '.join(given)}: no {part} can be made with this: {reason}") from error
