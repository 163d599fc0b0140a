"""The settings of soft actor-critic, from ``model`` and ``data`` of a workload's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from scalarize.learners.recipe import Recipe
from scalarize.utils.errors import RequestError


class Settings(BaseModel):
    """The settings. Counts of steps are steps of all tasks' environments together, T environment steps each.

    widths: of actor and critics; observation_scale: multiplies what both see. temperature: at the beginning;
    temperatures: one for all tasks or one per task. popart: rate at which critics' values are normalised task by task
    (see :mod:`scalarize.learners.rl.popart`), None: they are not.
    initial_steps: acted at random before the first update. updates: a step. replay: transitions of each task that are
    kept; save_replay: whether checkpoints hold them (else a training that goes on first fills it again, with
    ``initial_steps`` of the policy's). rewards, reward_rate: see :class:`scalarize.learners.rl.replay.Replay`.
    discount, target_rate: of the critics' targets; target_clip: bound of their size, or ``rewards``: never above the
    return of the largest reward of their task seen so far, for ever (Kurin et al. 2022, scripts).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    widths: tuple[PositiveInt, ...] = (400, 400, 400)
    observation_scale: float = Field(default=1.0, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    temperatures: Literal["shared", "per-task"] = "shared"
    popart: Annotated[float, Field(gt=0, lt=1)] | None = None
    initial_steps: NonNegativeInt = 1500
    updates: PositiveInt = 1
    replay: PositiveInt = 400_000
    save_replay: bool = True
    rewards: Literal["sampling", "moving-average", "none"] = "sampling"
    reward_rate: float = Field(default=1e-3, gt=0, le=1)
    discount: float = Field(default=0.99, ge=0, lt=1)
    target_rate: float = Field(default=0.005, gt=0, le=1)
    target_clip: Annotated[float, Field(gt=0)] | Literal["rewards"] | None = None

    @classmethod
    def of(cls, model: Mapping[str, Any], data: Mapping[str, Any]) -> Settings:
        """Read a recipe's ``model`` and ``data``. Raises RequestError that names a value out of range."""
        try:
            return cls.model_validate({**model, **data})
        except ValidationError as error:
            first = error.errors()[0]
            where = str(first["loc"][0])
            prefix = "model" if where in model else "data"
            raise RequestError(f"`settings` {prefix}.{where}={first['input']}: {first['msg']}") from None


def check(recipe: Recipe, precision: str) -> None:
    """Raise RequestError for a recipe's options that only supervised training has."""
    if recipe.level not in (None, "parameters"):
        raise RequestError(f"`settings` level={recipe.level}: actor and critics are balanced at level=parameters")
    if recipe.accumulate != 1:
        raise RequestError(f"`settings` accumulate={recipe.accumulate}: a batch of transitions is drawn whole; use 1")
    if precision not in ("float32", "float64"):
        raise RequestError(f"`precision` {precision}: soft actor-critic is trained in float32 or float64")
