"""What is asked of a training, as plain data that a run directory keeps; and the learner that it describes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from scalarize import methods, workloads
from scalarize.learners.recipe import Recipe
from scalarize.learners.rows import Row
from scalarize.learners.supervised import RunLearner, SupervisedLearner
from scalarize.methods import Method
from scalarize.tasks.task import Data
from scalarize.utils import optional
from scalarize.utils.errors import RequestError, ScalarizeError
from scalarize.weights.policy import Policy
from scalarize.workloads import Workload

MOST_REPEATED = 100_000  # a batch may hold a sample several times, up to this many in all


class WorkloadRequest(BaseModel):
    """What is trained, apart from the weights: workload (or own table), restriction, settings, seed, device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = ""
    csv: str | None = None
    targets: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    epochs: int | None = Field(default=None, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str | None = None
    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def read(cls, content: Mapping[str, Any], where: str) -> Self:
        """From plain data. Raises RequestError, beginning with ``where``, for anything damaged."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise RequestError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def resolve(self) -> Workload:
        """The workload, or the one made from the given table."""
        if self.csv is None:
            return workloads.get(self.workload)
        from scalarize.workloads.own_table import from_csv

        return from_csv(Path(self.csv), self.targets)

    @property
    def label(self) -> str:
        """A short name for directories and tables."""
        return self.workload or Path(self.csv or "table").stem

    def recipe(self, workload: Workload) -> Recipe:
        """The workload's recipe with the request's settings."""
        changes = dict(self.settings) | ({"epochs": self.epochs} if self.epochs else {})
        return workload.recipe.override(changes)

    def load(self, workload: Workload, recipe: Recipe) -> Data:
        """The data, restricted to the tasks asked for."""
        root = workloads.data_root(self.data)
        if lacking := optional.absent(workload.packages):
            raise RequestError(f"{workload.name} {lacking}")
        try:
            with self._blamed("data"):
                data = workload.load(recipe.data, root)
        except RequestError as error:
            missing = workload.missing(root) or ""
            if missing.partition(": ")[0] != str(error).partition(": ")[0]:
                raise
            raise RequestError(missing) from None  # the same file, and what to put there or what fetches it
        samples = sum(len(domain.splits["train"]) for domain in data.domains.values())
        if recipe.batch_size > max(samples, MOST_REPEATED):
            raise RequestError(f"--set batch_size={recipe.batch_size}: there are {samples} samples to train on")
        return data.restrict(self.tasks) if self.tasks else data

    def build(self, workload: Workload, recipe: Recipe, data: Data) -> nn.Module:
        """A fresh model."""
        with self._blamed("model"):
            return workload.build(recipe.model, data)

    @contextlib.contextmanager
    def _blamed(self, part: str) -> Iterator[None]:
        """Where the request changed settings of ``part``, what goes wrong inside is laid to them."""
        given = [f"--set {key}={value}" for key, value in self.settings.items() if key.startswith(f"{part}.")]
        try:
            yield
        except ScalarizeError:
            raise
        except Exception as error:
            if not given:
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RequestError(f"{' '.join(given)}: no {part} can be made with this: {reason}") from error

    def check_device(self) -> None:
        """Raise RequestError for a device or precision that torch cannot serve here."""
        import torch

        if self.precision not in ("float32", "bfloat16", "float16", "float64"):
            raise RequestError(f"--precision {self.precision}: choose float32, bfloat16, float16 or float64")
        try:
            torch.zeros(1, device=self.device).item()  # which a device without numbers (meta) refuses
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
            usable = "cpu" if there is None else f"cpu or {there.type}"
            reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
            raise RequestError(f"--device {self.device}: choose {usable} here; torch says: {reason}") from None


class TrainRequest(WorkloadRequest):
    """A problem and where its task weights come from: one of a method, fixed weights or a policy's content.

    single: train on that task or domain alone. probe_every: count conflicting gradients at each k-th batch (None:
    never). norm_every: the norm of the summed gradient at each k-th batch. read_train: read the training split, too,
    with the selected weights, or with the "last" ones; of data that offer it, the split ``seen``, a sample of it.
    baselines: ``TASK/METRIC`` -> value of a single-task model, for selection=delta.
    """

    method: str | None = None
    hyper: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, float] | None = None
    policy: dict[str, Any] | None = None
    single: str | None = None
    seed: int = 0
    probe_every: int | None = Field(default=None, ge=1)
    norm_every: int | None = Field(default=None, ge=1)
    read_train: bool | Literal["last"] | None = None
    baselines: dict[str, float] | None = None

    def recipe(self, workload: Workload) -> Recipe:
        """As every problem's; recipe numbers that were searched with the policy stand where no setting does."""
        asked = super().recipe(workload)
        if self.policy is None:
            return asked
        found = {k: x for k, x in Policy.from_dict(self.policy).numbers.items() if k not in self.settings}
        try:
            return asked.with_numbers(found)
        except RequestError as error:
            raise RequestError(f"the policy's recipe numbers: {str(error).removeprefix('--set ')}") from None

    def source(self, names: Sequence[str], epochs: int) -> Method:
        """The method that weighs ``names``. Raises RequestError where a task is unnamed or unknown."""
        if self.policy is not None:
            return methods.replay(Policy.from_dict(self.policy).reorder(names).stretch(epochs))
        if self.weights is not None:
            for name in [*self.weights, *names]:
                if name not in names or name not in self.weights:
                    what = "is no task of this run" if name not in names else "is not named"
                    raise RequestError(f"--weights: {name!r} {what}; name all of {', '.join(names)}")
            return methods.constant([self.weights[n] for n in names])
        if self.method is None:
            raise RequestError("no weights were asked for: name a method, weights or a policy")
        return methods.create(self.method, **self.hyper)


def make_learner(
    problem: WorkloadRequest, seed: int, on_rows: Callable[[list[Row]], None] | None = None, data: Data | None = None
) -> RunLearner:
    """A fresh learner of the problem; ``data`` replaces the problem's own (a hold-out, one task alone)."""
    workload = problem.resolve()
    recipe = problem.recipe(workload)
    data = problem.load(workload, recipe) if data is None else data
    return learner_of(problem, workload, data, recipe, seed, on_rows)


def learner_of(
    problem: WorkloadRequest,
    workload: Workload,
    data: Data,
    recipe: Recipe,
    seed: int,
    on_rows: Callable[[list[Row]], None] | None = None,
) -> RunLearner:
    """The learner that ``workload`` asks for, of this data and recipe."""
    build = functools.partial(problem.build, workload, recipe, data)
    make: Callable[..., RunLearner] = workload.learner or SupervisedLearner
    return make(data, build, recipe, seed, problem.device, problem.precision, on_rows)
