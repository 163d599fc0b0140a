"""Options that several commands share, and how they become a problem."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from scalarize.cli import table_options
from scalarize.cli.parameters import as_options
from scalarize.cli.table_options import named, words
from scalarize.utils import limits
from scalarize.utils.errors import RequestError

F = TypeVar("F", bound=Callable[..., Any])


def _stack(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")

problem_options = _stack(
    click.argument("workload", required=False),
    click.option("--csv", "csv", metavar="FILE", help="Your own table in place of a workload."),
    click.option("--targets", multiple=True, metavar="A,B", help="Its target columns; may be repeated."),
    *table_options.OPTIONS,
    click.option("--tasks", metavar="A,B", help="Only these tasks or domains."),
    click.option("--epochs", type=int, help="Length of a training."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe or model."),
    click.option("--data", metavar="DIR", help="Data root (default: SCALARIZE_DATA, else the user's cache)."),
    click.option("--device", default="cpu", show_default=True),
    click.option("--precision", default="float32", show_default=True, help="float32, bfloat16, float16 or float64."),
)

out_options = _stack(
    click.option("--out", metavar="DIR", help="Where to write (default: runs/<command>-<workload>-<digest>)."),
    click.option("--resume", is_flag=True, help="Go on with what --out holds."),
    json_option,
)

log_option = click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="NAME",
    help="Also show scalars in tensorboard (event files beside the records), wandb or mlflow; may be repeated.",
)
worker_options = _stack(
    click.option(
        "--workers",
        type=int,
        metavar="N",
        help="Trainings side by side (default: all cores by the threads of a training, or one a GPU; 1: this process).",
    ),
    click.option("--ray-address", metavar="A", help="Train on this Ray cluster; `local`: on Ray on this machine."),
    click.option("--devices", metavar="0,1,3", help="Numbers of the GPUs to train on (default: all)."),
    click.option("--gpus-per-member", "share", type=float, help="GPUs a training, may be a fraction (default: 1)."),
)
SCORE = "average, worst, gain, a=2,b=1, or one main target with auxiliaries: main=TARGET."
score_options = _stack(
    click.option("--score", default="average", show_default=True, help=SCORE),
    click.option("--reference", metavar="A=1,B=2", help="Single-task metrics, for --score gain."),
)


def _checked_seed(context: click.Context, parameter: click.Parameter, value: int) -> int:
    limits.check(parameter.opts[0], value, limits.SEED, -limits.SEED)
    return value


seed_option = click.option("--seed", default=0, show_default=True, type=int, callback=_checked_seed)


@contextlib.contextmanager
def logged(logs: tuple[str, ...]) -> Iterator[None]:
    """Log the runs inside with the tools that ``--log`` names."""
    from scalarize.runs import loggers
    from scalarize.runs.directory import observed, read_config

    open_ones = [
        loggers.create(
            name, lambda run: read_config(run)["request"], lambda line: click.echo(as_options(line), err=True)
        )
        for name in dict.fromkeys(logs)
    ]
    try:
        with observed(*open_ones):
            yield
    finally:
        for logger in open_ones:
            logger.close()


def parse_settings(items: Sequence[str], option: str = "--set") -> dict[str, Any]:
    """Read ``["optimizer.lr=1e-4"]`` as a dict.

    Args:
        items: KEY=VALUE each; values are YAML scalars.
        option: by which they were given, for messages.

    Returns:
        Values by key.

    Raises:
        RequestError: an item has no key or no ``=``.
    """
    from scalarize.utils import documents

    settings = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            example = "optimizer.lr=0.001" if option == "--set" else "c=0.4"
            raise RequestError(f"{option} {item}: write key=value, as in {option} {example}")
        try:
            value = documents.from_yaml(text, option)
        except RequestError:
            value = text
        if isinstance(value, str):  # YAML 1.1 reads 1e-4 as a word
            try:
                value = float(value)
            except ValueError:
                value = text
        settings[key.strip()] = value
    return settings


def problem_fields(
    workload: str | None,
    csv: str | None,
    targets: tuple[str, ...],
    tasks: str | None,
    epochs: int | None,
    settings: tuple[str, ...],
    data: str | None,
    device: str,
    precision: str,
    table: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the shared options as fields of a WorkloadRequest.

    Raises RequestError if neither workload nor table is given.
    """
    if workload and csv:
        raise RequestError(f"{workload} and --csv {csv} exclude each other: name a workload or a table")
    if not workload and not csv:
        raise RequestError("name a workload (see `scalarize workloads`), or a table with --csv FILE --targets A,B")
    if (targets or table) and not csv:
        option = "--targets" if targets else table_options.option_of(next(iter(table or {})))
        raise RequestError(f"{option} is about columns of a table: give it with --csv FILE")
    if epochs is not None:
        limits.check("--epochs", epochs, limits.EPOCHS)
    return {
        "workload": workload or "",
        "csv": str(Path(csv).resolve()) if csv else None,
        **({"table": table} if table else {}),
        "targets": named(targets, csv),
        "tasks": words(tasks),
        "epochs": epochs,
        "settings": parse_settings(settings),
        "data": data,
        "device": device,
        "precision": precision,
    }


def take_problem(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the shared options from ``options`` and return them as fields of a WorkloadRequest."""
    names = ("workload", "csv", "targets", "tasks", "epochs", "settings", "data", "device", "precision")
    return problem_fields(**{name: options.pop(name) for name in names}, table=table_options.take(options))


def begin_workers(options: dict[str, Any]) -> None:
    """Let workers import what they need while this process imports and reads, for a set that is large for sure."""
    import os

    from scalarize.runs.workers import PRELOAD
    from scalarize.utils.workers import machine, processes

    default = os.environ.get("SCALARIZE_WORKERS", "")
    count = options["workers"] or (int(default) if default.isdigit() else machine.cores())
    if count > 1 and options["ray_address"] is None and processes.ABLE:
        processes.prepare(PRELOAD)


def take_workers(options: dict[str, Any]) -> Any:
    """Remove the options of workers from ``options``; return them as :class:`scalarize.runs.workers.request.Workers`.

    Raises RequestError if one of them is out of range.
    """
    from scalarize.runs.workers.request import Workers

    count, address, devices, share = (options.pop(k) for k in ("workers", "ray_address", "devices", "share"))
    if count is not None:
        limits.check("--workers", count, limits.WORKERS)
    if share is not None and not 0 <= share <= limits.WORKERS:
        raise RequestError(f"--gpus-per-member must be at least 0 and at most {limits.WORKERS}, got {share:g}")
    numbers = words(devices)
    if devices is not None and (not numbers or not all(n.isdecimal() for n in numbers)):
        raise RequestError(f"--devices {devices}: write numbers of GPUs, as in 0,1,3")
    return Workers(count, tuple(map(int, numbers)) or None, share, address)


def take_score(options: dict[str, Any]) -> dict[str, Any]:
    """Remove ``--score`` and ``--reference`` from ``options`` and return them as fields of a request."""
    score, reference = options.pop("score"), options.pop("reference")
    if reference is not None and score != "gain":
        raise RequestError(f"--reference is for --score gain, not for --score {score}")
    return {"score": score, "reference": None if reference is None else weights_of(reference, "--reference")}


def weights_of(text: str, option: str = "--weights") -> dict[str, float]:
    """Read ``"a=1,b=2"`` as a dict. Raises RequestError for anything that is not NAME=NUMBER."""
    weights: dict[str, float] = {}
    for part in words(text):
        name, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise RequestError(f"{option}: {part!r} is not NAME=NUMBER, as in {option} a=1,b=2")
        if name in weights:
            raise RequestError(f"{option} names {name!r} twice")
        weights[name] = value
    return weights
