"""Options of a table: all that a user may say about its columns and its splits, as plain data."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from scalarize.utils.errors import RequestError, unknown_name_error

# Kinds of a target, each with the loss that it is trained by; of an input; and the column that is neither.
TARGET_KINDS = {
    "regression": "squared error",
    "huber": "Huber's loss",
    "log": "squared error of log(1 + y)",
    "count": "Poisson likelihood",
    "ordinal": "cumulative logits",
    "binary": "cross-entropy",
    "classes": "cross-entropy",
}
INPUT_KINDS = ("number", "category", "date")
IGNORE = "ignore"
# Columns of text may hold words for missing numbers. In a column of numbers they are read as missing; in a column of
# text they stay what they are, since NA may be a region.
MISSING_WORDS = ("na", "n/a", "nan", "null", "none", "-", "--", "?", "#n/a", "missing", ".")
SPLITS = ("train", "validation", "test")


class TableOptions(BaseModel):
    """Choices about a table. All have defaults: nothing has to be said.

    types: column -> a kind of target or input, or ``ignore``. metrics: target -> name of the metric that it is judged
    by. class_weights: targets whose classes weigh the same in the loss, however rare they are. missing: target -> a
    value that stands for a missing label. inputs: the only inputs, empty for all; ignore: columns to leave out.
    groups: column whose rows are never split apart. time: column that orders the rows, so that the test rows are the
    last. split_column: column that holds train, validation or test. domain: column whose values are domains.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: dict[str, str] = {}
    metrics: dict[str, str] = {}
    class_weights: tuple[str, ...] = ()
    missing: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    groups: str | None = None
    time: str | None = None
    split_column: str | None = None
    domain: str | None = None

    @classmethod
    def read(cls, content: dict[str, Any]) -> Self:
        """Make options from plain data. Raises RequestError for an unknown field or a wrong kind of value."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise RequestError(f"options of the table: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def check(self, columns: list[str], targets: tuple[str, ...], where: str) -> None:
        """Check the options against the columns of a table.

        Args:
            columns: names of all columns.
            targets: names of the targets.
            where: words that name the table in messages.

        Raises:
            RequestError: an option names an unknown column or kind, or two options contradict each other.
        """
        single = {"groups": self.groups, "time": self.time, "split column": self.split_column, "domain": self.domain}
        named = [*self.types, *self.inputs, *self.ignore, *(c for c in single.values() if c is not None)]
        for name in named:
            if name not in columns:
                raise unknown_name_error("column", name, columns, where=f" in {where}")
        for name in [*self.metrics, *self.class_weights, *self.missing]:
            if name not in targets:
                raise unknown_name_error("target", name, targets)
        for name, kind in self.types.items():
            known = [*TARGET_KINDS] if name in targets else [*INPUT_KINDS, IGNORE]
            if kind not in known and not (name in targets and kind == IGNORE):
                raise unknown_name_error("kind", kind, known, where=f" of {name!r}")
        for what, column in single.items():
            if column in targets:
                raise RequestError(f"{column!r} is a target: it cannot be the {what}, too")
        given = [what for what in ("groups", "time", "split column") if single[what] is not None]
        if "split column" in given and len(given) > 1:
            raise RequestError(f"{' and '.join(given)} exclude each other: a split column decides alone")
        if "time" in given and "groups" in given:
            raise RequestError("groups and time exclude each other: a group may reach over the time of the split")
        for name in self.inputs:
            if name in targets or name in self.ignore:
                what = "a target" if name in targets else "to be ignored"
                raise RequestError(f"{name!r} is {what}: it cannot be an input, too")
