"""Options about the columns and splits of a user's own table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from scalarize.utils.errors import RequestError

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--types",
        multiple=True,
        metavar="COLUMN=KIND",
        help="Kind of a target (regression, huber, log, count, ordinal, binary, classes), of an input (number, "
        "category, date), or ignore; several with commas.",
    ),
    click.option("--metrics", multiple=True, metavar="TARGET=METRIC", help="Metric that a target is judged by."),
    click.option("--class-weights", multiple=True, metavar="A,B", help="Targets whose classes weigh the same."),
    click.option("--missing", multiple=True, metavar="TARGET=VALUE", help="Value that stands for a missing label."),
    click.option("--inputs", multiple=True, metavar="A,B", help="The only inputs (default: all that can be)."),
    click.option("--ignore", multiple=True, metavar="A,B", help="Columns to leave out."),
    click.option("--groups", "group_column", metavar="COLUMN", help="Rows of one value stay in one split."),
    click.option("--time", metavar="COLUMN", help="Split in this order: the last rows are the test."),
    click.option("--split-column", metavar="COLUMN", help="Holds train, validation or test."),
    click.option("--domain", metavar="COLUMN", help="Its values are domains, with weights of their own."),
)
LISTS = ("class_weights", "inputs", "ignore")
PAIRS = ("types", "metrics", "missing")
SINGLE = ("groups", "time", "split_column", "domain")


def words(text: str | None) -> tuple[str, ...]:
    """Split ``"a, b"`` into ("a", "b"); names are UTF-8, as in tables, whatever the locale says."""
    with contextlib.suppress(UnicodeError):
        text = os.fsencode(text or "").decode()
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def option_of(field: str) -> str:
    """Return the option that sets a field."""
    return "--" + field.replace("_", "-")


def named(items: Sequence[str], csv: str | None = None) -> tuple[str, ...]:
    """Return the columns that options name: each ``A,B``, or one column whose own name holds a comma.

    Args:
        items: values of the option.
        csv: path of the table, whose header says if a name with a comma is one column.
    """
    found: list[str] = []
    for item in items:
        parts = words(item)
        whole = len(parts) > 1 and csv is not None and item.strip() in _header(csv)
        found += [item.strip()] if whole else parts
    return tuple(found)


def take(options: dict[str, Any]) -> dict[str, Any] | None:
    """Remove the options of tables from ``options``; return those that were given, by field, or None."""
    csv = options.get("csv")
    found: dict[str, Any] = {}
    for field in LISTS:
        if given := options.pop(field, ()):
            found[field] = named(given, csv)
    for field in PAIRS:
        if given := options.pop(field, ()):
            found[field] = _pairs(given, option_of(field))
    for field in SINGLE:
        name = "group_column" if field == "groups" else field  # `search --group` is about weights
        if (given := options.pop(name, None)) is not None:
            found[field] = given
    return found or None


def _pairs(items: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in (part for item in items for part in words(item)):
        name, equals, value = part.rpartition("=")
        if not equals or not name or not value.strip():
            example = {"--types": "visits=count", "--metrics": "price=r2"}.get(option, "clicked=-1")
            raise RequestError(f"{option}: {part!r} is not COLUMN=VALUE, as in {option} {example}")
        if name.strip() in pairs:
            raise RequestError(f"{option} names {name.strip()!r} twice")
        pairs[name.strip()] = value.strip()
    return pairs


def _header(path: str) -> list[str]:
    import csv

    from scalarize.utils import files

    try:
        files.check_regular(path)
        with open(path, encoding="utf-8-sig", newline="") as handle:
            return [name.strip() for name in next(csv.reader(handle))]
    except (OSError, ValueError, StopIteration, csv.Error):
        return []  # said when the table is read
