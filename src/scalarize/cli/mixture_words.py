"""The options of ``mixture`` that several verbs share, and the values that words give."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

import click

from scalarize.utils.errors import RequestError

F = Any


def stack(*options: Any) -> Any:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


runs_options = stack(
    click.option("--runs", "tables", multiple=True, required=True, metavar="FILE",
                 help="CSV of weights and metrics, or a directory of trainings; given twice: weights, metrics, joined "
                      "by run or index."),
    click.option("--weights", metavar="A,B,*", help="Columns of weights, or patterns (default: found by name or sum)."),
    click.option("--metrics", metavar="A,B,*", help="Columns of metrics, or patterns."),
    click.option("--higher", metavar="A,B,*", help="Metrics that are better higher (default: told by name)."),
    click.option("--lower", metavar="A,B,*", help="Metrics that are better lower."),
    click.option("--size", metavar="COLUMN", help="Column of the model's size (60M, 1.3B)."),
    click.option("--tokens", metavar="COLUMN", help="Column of the tokens trained on."),
    click.option("--step", metavar="COLUMN", help="Column of the step at which metrics were taken."),
    click.option("--normalise", is_flag=True, help="Divide weights by their sum, whatever it is."),
)  # fmt: skip
score_options = stack(
    click.option("--score", default="mean", show_default=True, metavar="S", help="mean, worst, or a=2,b=1."),
    click.option("--target", metavar="METRIC", help="Minimise one metric in place of a score."),
)


def reading_of(o: dict[str, Any]) -> dict[str, Any]:
    return {k: o.pop(k) for k in ("weights", "metrics", "higher", "lower", "size", "tokens", "step", "normalise")}


def free(out: str | None) -> Path | None:
    if out is not None and Path(out).exists():
        raise RequestError(f"{out}: exists already; choose another --out")
    return Path(out) if out is not None else None


def number(text: str | None, option: str) -> float | None:
    """A number, with a unit as in 6T or 60M."""
    if text is None:
        return None
    from scalarize.search.mixture.runs import parse_number

    value = parse_number(text)
    if not (math.isfinite(value) and value > 0):
        raise RequestError(f"{option}: {text!r} is no number above 0 (units k, M, B, T may follow it)")
    return value


def numbers(text: str | None, option: str) -> dict[str, float] | None:
    if text is None:
        return None
    from scalarize.search.mixture.objective import parse_numbers

    return parse_numbers(text, option)


def prior_of(text: str | None) -> Any:
    """A file, or A=1,B=2."""
    if text is None or Path(text).exists() or "=" not in text:
        return text
    return numbers(text, "--prior")


def split_of(text: str) -> tuple[str, dict[str, float]]:
    from scalarize.search.mixture.objective import parse_numbers

    name, equals, parts = text.partition("=")
    if not equals:
        raise RequestError(f"--split: {text!r} is not A=B:0.3+C:0.7")
    return name, parse_numbers(parts.replace(":", "=").replace("+", ","), "--split")


def merge_of(text: str) -> tuple[str, list[str]]:
    name, equals, parts = text.partition("=")
    if not equals or "+" not in parts:
        raise RequestError(f"--merge: {text!r} is not A=B+C")
    return name, [p.strip() for p in parts.split("+")]


def group_of(text: str) -> tuple[str, tuple[float, float]]:
    names, _, ends = text.rpartition("=")
    low, dots, high = ends.partition("..")
    try:
        bounds = (float(low or 0.0), float(high or 1.0))
    except ValueError:
        dots = ""
    if not names or not dots:
        raise RequestError(f"--group: {text!r} is not A+B=LOW..HIGH, as in --group code+math=0.1..0.4")
    return names, bounds


def script(template: str, columns: dict[str, list[Any]]) -> str:
    """A shell script with ``template`` on a line for every run, its {run} and {weights} filled in.

    Raises RequestError if the template lacks one of them.
    """
    for field in ("{run}", "{weights}"):
        if field not in template:
            raise RequestError(f"--template: {template!r} lacks {field}")
    domains = [name.removeprefix("weight:") for name in columns if name != "run"]
    lines = ["set -e"]
    for run, *weights in zip(*columns.values(), strict=True):
        said = ",".join(f"{d}={w:.6f}" for d, w in zip(domains, weights, strict=True))
        lines.append(template.replace("{run}", str(run)).replace("{weights}", shlex.quote(said)))
    return "\n".join(lines) + "\n"
