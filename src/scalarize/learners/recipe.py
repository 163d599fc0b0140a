"""The recipe of a training: every number that is not data, model code or task weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from scalarize.utils import limits
from scalarize.utils.errors import RequestError, unknown_name_error


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_Share = Annotated[float, Field(ge=0, lt=1)]
_Epochs = Annotated[int, Field(ge=1, le=limits.EPOCHS)]


class OptimizerRecipe(_Frozen):
    """lr and weight_decay a step; momentum for sgd; betas for adam and adamw. ``adam`` adds decay as l2."""

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    betas: tuple[_Share, _Share] = (0.9, 0.999)


class ScheduleRecipe(_Frozen):
    """The learning rate over training: a factor of ``optimizer.lr``. Warm-up is linear, in epochs.

    exponential: times ``decay`` after each ``every`` epochs.
    """

    name: Literal["constant", "cosine", "exponential", "inverse-sqrt"] = "constant"
    warmup: float = Field(default=0.0, ge=0)
    decay: float = Field(default=0.95, gt=0, le=1)
    every: PositiveInt = 1

    def factor(self, epoch: float, epochs: int) -> float:
        """Return the factor at a fractional ``epoch`` of ``epochs``."""
        if epoch < self.warmup:
            return (epoch + 1e-9) / self.warmup
        if self.name == "cosine":
            span = max(epochs - self.warmup, 1e-9)
            return 0.5 * (1 + math.cos(math.pi * min((epoch - self.warmup) / span, 1.0)))
        if self.name == "exponential":
            return float(self.decay ** (math.floor(epoch) // self.every))
        if self.name == "inverse-sqrt":
            return math.sqrt(max(self.warmup, 1e-9) / max(epoch, 1e-9)) if self.warmup else 1 / math.sqrt(1 + epoch)
        return 1.0


class Recipe(_Frozen):
    """One training. ``model`` and ``data`` hold the workload's own settings.

    batch_size: samples a step; accumulate: micro-batches it is made of. selection: the epoch whose weights are
    tested: the best average on validation (early stopping), the best for each metric on its own, the best average
    gain over given baselines (Delta_m), the last, or the best skill, 1 - loss / that of constants. patience: a
    training ends when its best epoch is so many epochs old; None: never before ``epochs``. mixing: what weights mean
    over domains, sampling rates or loss weights. level: at which gradients are compared, None for the first that the
    method declares. passes: of a method that compares gradients of parameters: all samples of a batch share one
    forward pass, or each domain (or task, if few samples have its label) has its own, a fraction of the cost; ``auto``
    is separate if no module couples samples. threads: of torch, since the last bits of a sum depend on it.
    """

    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    epochs: _Epochs = 10
    batch_size: PositiveInt = 128
    accumulate: PositiveInt = 1
    accumulation: Literal["micro", "full"] = "full"
    selection: Literal["best", "per-metric", "delta", "last", "skill"] = "best"
    patience: PositiveInt | None = None
    mixing: Literal["sampling", "loss"] = "sampling"
    level: Literal["parameters", "representation"] | None = None
    passes: Literal["auto", "mixed", "separate"] = "auto"
    max_grad_norm: float | None = Field(default=None, gt=0)
    on_nonfinite: Literal["raise", "skip"] = "raise"
    threads: Annotated[int, Field(ge=1, le=limits.THREADS)] = 1
    model: Mapping[str, Any] = Field(default_factory=dict)
    data: Mapping[str, Any] = Field(default_factory=dict)

    def value(self, key: str) -> Any:
        """Return the value under a dotted key.

        Raises:
            RequestError: the key is unknown; the nearest is named.
        """
        content: Any = self.model_dump()
        known = _keys(content)
        if key not in known:
            raise unknown_name_error("setting", key, known, where=" in `settings`")
        for part in key.split("."):
            content = content[part]
        return content

    def has(self, key: str) -> bool:
        """Return True if the recipe has a setting of this dotted key.

        >>> Recipe().has("optimizer.lr"), Recipe().has("model.dropout")
        (True, False)
        """
        return key in _keys(self.model_dump())

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """Return the recipe with some values replaced.

        Args:
            changes: values by dotted key, as in ``{"optimizer.lr": 1e-4, "model.width": 128}``.

        Returns:
            A new recipe.

        Raises:
            RequestError: a key is unknown (the nearest is named), or a value has the wrong kind or is out of range.

        >>> Recipe().override({"optimizer.lr": 0.01}).optimizer.lr
        0.01
        """
        content: dict[str, Any] = self.model_dump()
        known = _keys(content)
        for key, value in changes.items():
            if key not in known:
                raise unknown_name_error("setting", key, known, where=" in `settings`")
            *path, last = key.split(".")
            holder = content
            for part in path:
                holder = holder[part]
            if path and path[0] in ("model", "data"):
                value = _like(key, value, holder[last])
            holder[last] = value
        try:
            recipe = Recipe.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(p) for p in first["loc"])
            raise RequestError(f"`settings` {where}={str(first['input'])[:100]}: {first['msg']}") from None
        if recipe.accumulate > recipe.batch_size:
            raise RequestError(
                f"`settings` accumulate={recipe.accumulate}: a batch of {recipe.batch_size} samples has at most that "
                "many micro-batches"
            )
        return recipe

    def with_numbers(self, numbers: Mapping[str, float]) -> Recipe:
        """Return :meth:`override` by numbers, rounded if the recipe's own is whole."""
        return self.override({k: round(x) if type(self.value(k)) is int else x for k, x in numbers.items()})


def _keys(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            keys += _keys(value, f"{prefix}{key}.")
        else:
            keys.append(f"{prefix}{key}")
    return keys


def _like(key: str, value: Any, default: Any) -> Any:
    """Convert ``value`` to the type of ``default``: a whole number may stand for a real one, nothing else."""
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"`settings` {key}={value}: expected a finite number")
    if default is None:
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, int) and not isinstance(default, bool) and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return list(value)
    if type(value) is not type(default):
        raise RequestError(f"`settings` {key}={value}: expected a value like {default!r}")
    return value
