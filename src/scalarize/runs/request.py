"""Requests: the description of a training, as plain data that a run directory keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from scalarize import methods
from scalarize.learners.recipe import Recipe
from scalarize.methods import Method
from scalarize.methods.preference import KEY as PREFERENCE
from scalarize.methods.preference import MAIN, by_name, position
from scalarize.utils import limits
from scalarize.utils.errors import RequestError
from scalarize.weights.policy import Policy
from scalarize.workloads import Workload
from scalarize.workloads.models.fronts import settings as fronts
from scalarize.workloads.models.fronts.settings import FRONT
from scalarize.workloads.models.sharing.names import override
from scalarize.workloads.table.options import TableOptions


def _parsed(content: Any) -> Policy:
    return content if isinstance(content, Policy) else Policy.from_dict(content)


# A policy is parsed where it enters a request, and written as the content of policy.json.
PolicyField = Annotated[Policy, PlainValidator(_parsed), PlainSerializer(Policy.to_dict, return_type=dict[str, Any])]


class WorkloadRequest(BaseModel):
    """A problem: workload (or the user's own table), restriction to some tasks, settings, device; no task weights.

    csv and targets: path of a table and its target columns, in place of ``workload``; table: what was said about its
    columns and splits, None for nothing. tasks: only these tasks or domains, all if empty. epochs: of a training, None
    for the recipe's. settings: dotted keys of the recipe and their values. data: the data root, None for the default
    one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    # Fields that earlier versions did not have, and the value that leaves everything as it was then.
    LATER: ClassVar[dict[str, Any]] = {"table": None}

    workload: str = ""
    csv: str | None = None
    targets: tuple[str, ...] = ()
    table: TableOptions | None = None
    tasks: tuple[str, ...] = ()
    epochs: int | None = Field(default=None, ge=1, le=limits.EPOCHS)
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str | None = None
    device: str = "cpu"
    precision: str = "float32"

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what a request without it does not say: digests and directories of earlier versions stay right."""
        content: dict[str, Any] = serialize(self)
        return {key: value for key, value in content.items() if key not in self.LATER or not self._was(key, value)}

    def _was(self, key: str, value: Any) -> bool:
        """Return True if ``value`` leaves everything as it was before ``key`` came; as JSON, a tuple is a list."""
        before = self.LATER[key]
        return bool(value == before or (isinstance(before, tuple) and value == list(before)))

    @classmethod
    def read(cls, content: Mapping[str, Any], where: str) -> Self:
        """Make a request from plain data, say of a ``config.yaml``.

        Args:
            content: the fields.
            where: what the message of an error begins with.

        Returns:
            The request.

        Raises:
            RequestError: a field is unknown, missing or has the wrong kind of value.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise RequestError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    @property
    def label(self) -> str:
        """A short name for directories and tables."""
        return self.workload or Path(self.csv or "table").stem

    def problem(self) -> WorkloadRequest:
        """The problem alone, without what is to be done with it."""
        return WorkloadRequest(**self.fields())

    def fields(self) -> dict[str, Any]:
        """The fields of the problem, by name."""
        return {name: getattr(self, name) for name in WorkloadRequest.model_fields}

    def recipe(self, workload: Workload) -> Recipe:
        """Return the recipe of ``workload`` with the request's settings.

        Raises:
            RequestError: a setting is unknown or has the wrong kind of value.
        """
        asked = dict(self.settings) | ({"epochs": self.epochs} if self.epochs else {})
        recipe, changes = fronts.override(workload.recipe, asked)
        if FRONT in recipe.model:
            self._check_front(workload, recipe)
        return override(recipe, changes, workload.sharing, workload.name)

    def _check_front(self, workload: Workload, recipe: Recipe) -> None:
        """Raise RequestError if no model for all preferences can be trained."""
        given = f"`settings` model.{FRONT}={recipe.model[FRONT]}"
        if not isinstance(self, TrainRequest):
            raise RequestError(f"{given}: one model for all preferences is made by `scalarize train` alone")
        if workload.learner is not None:
            raise RequestError(f"{given}: {workload.name} is not learned from batches")
        for key in ("weights", "policy", "single"):
            if getattr(self, key) is not None:
                raise RequestError(f"{given}: the weights are drawn anew in each step; leave out `{key}`")


class ScoredRequest(WorkloadRequest):
    """A problem and the score by which its models are compared: epochs of a training, rows of a comparison.

    score: as of a search (see :func:`scalarize.search.score.create`), such as ``main=price``. reference: single-task
    metrics, for the score ``gain``.
    """

    LATER: ClassVar[dict[str, Any]] = WorkloadRequest.LATER | {"score": "average", "reference": None}

    score: str = "average"
    reference: dict[str, float] | None = None


class TrainRequest(ScoredRequest):
    """A problem and the source of its task weights: one of a method, fixed weights or a policy.

    hyper: hyper-parameters of ``method``. single: train on that task or domain alone. probe_every: count conflicting
    gradients at each k-th batch (None: never). norm_every: the norm of the summed gradient at each k-th batch.
    read_train: measure on the training split, too, with the selected weights, or with the "last" ones; of data that
    offer it, on the split ``seen``, a sample of it. baselines: ``TASK/METRIC`` -> value of a single-task model, for
    selection=delta. refit: of a table, train once more on all rows, for as many steps as were selected, once the test
    split has been read: that model predicts. split: train on this share of the training set; the rest is the validation
    split, and there is no test.
    """

    LATER: ClassVar[dict[str, Any]] = ScoredRequest.LATER | {"refit": False, "split": None}

    method: str | None = None
    hyper: dict[str, Any] = Field(default_factory=dict)
    weights: dict[str, float] | None = None
    policy: PolicyField | None = None
    single: str | None = None
    seed: int = Field(default=0, ge=-limits.SEED, le=limits.SEED)
    probe_every: int | None = Field(default=None, ge=1)
    norm_every: int | None = Field(default=None, ge=1)
    read_train: bool | Literal["last"] | None = None
    baselines: dict[str, float] | None = None
    refit: bool = False
    split: float | None = Field(default=None, gt=0, lt=1)

    def recipe(self, workload: Workload) -> Recipe:
        """Return the recipe of the problem, with recipe numbers that were searched with the policy unless a setting
        says else.

        Raises:
            RequestError: a setting, or a recipe number of the policy, is unknown or has the wrong kind of value.
        """
        asked = super().recipe(workload)
        if self.policy is None:
            return asked
        found = {k: x for k, x in self.policy.numbers.items() if k not in self.settings}
        try:
            return asked.with_numbers(found)
        except RequestError as error:
            raise RequestError(f"the policy's recipe numbers: {str(error).removeprefix('`settings` ')}") from None

    def source(self, names: Sequence[str], epochs: int) -> Method:
        """Make the method that weighs ``names``.

        Args:
            names: the tasks or domains that the weights are over, in their order.
            epochs: length of the training; a policy is stretched to it.

        Returns:
            The method asked for, or one that replays the fixed weights or the policy.

        Raises:
            RequestError: a task is unnamed or unknown, nothing gives weights, or the method refuses a hyper-parameter.
        """
        if self.policy is not None:
            return methods.replay(self.policy.reorder(names).stretch(epochs))
        if self.weights is not None:
            for name in [*self.weights, *names]:
                if name not in names or name not in self.weights:
                    what = "is no task of this run" if name not in names else "is not named"
                    raise RequestError(f"`weights`: {name!r} {what}; name all of {', '.join(names)}")
            return methods.constant([self.weights[n] for n in names])
        if self.method is None:
            raise RequestError("no weights were asked for: name a method, weights or a policy")
        hyper, known = dict(self.hyper), methods.get(self.method).defaults()
        if PREFERENCE in known and PREFERENCE in hyper:
            hyper[PREFERENCE] = by_name(hyper[PREFERENCE], names)
        if MAIN in known and MAIN in hyper:
            hyper[MAIN] = position(hyper[MAIN], names)
        return methods.create(self.method, **hyper)


def train_request(problem: WorkloadRequest, **more: Any) -> TrainRequest:
    """Make a request for a training of ``problem``; ``more``: further fields of :class:`TrainRequest`, or others for
    the problem's."""
    return TrainRequest(**(problem.fields() | more))
