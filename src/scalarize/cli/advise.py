"""``advise``: do the weights of these tasks deserve work?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from scalarize.cli import command_line, emit, show
from scalarize.cli.announcing import announce
from scalarize.cli.options import (
    log_option,
    logged,
    out_options,
    problem_options,
    score_options,
    seed_option,
    take_problem,
    take_score,
    take_workers,
    worker_options,
)

NOT_OF_A_TRAINING = (
    *("trainings", "margin", "max_time", "seed", "logs", "out", "resume", "as_json"),
    *("workers", "ray_address", "devices", "share"),
)


@click.command()
@problem_options
@click.option("--trainings", default=60.0, show_default=True, type=float, help="The budget.")
@click.option(
    "--margin", type=float, help="The gain that matters, in units of the score (default: 0.5 % of even weights')."
)
@click.option("--max-time", type=float, metavar="SECONDS", help="Begin nothing that would end later than this.")
@score_options
@seed_option
@worker_options
@log_option
@out_options
def advise(
    trainings: float,
    margin: float | None,
    max_time: float | None,
    seed: int,
    logs: tuple[str, ...],
    out: str | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Even weights, a rule, or a search? A race that answers for these tasks, and the policy to use."""
    from scalarize.runs import effects
    from scalarize.runs.advise import AdviseRequest
    from scalarize.runs.advise import advise as run
    from scalarize.runs.advise_result import summary
    from scalarize.runs.build import Loader
    from scalarize.runs.directory import digest

    workers = take_workers(options)
    request = AdviseRequest(
        **take_problem(options), **take_score(options), trainings=trainings, margin=margin, seed=seed
    )
    loader = Loader()
    effects.check_request(request, loader)
    announce(request, loader)
    target = Path(out or f"runs/advise-{request.label}-{digest(request.model_dump(mode='json'))}")
    with logged(logs):
        result = run(request, target, command_line(), resume, show, loader, workers, max_time, _train_with)
    emit(result, as_json, summary(result, target))


def _train_with(kind: str, value: str) -> str:
    """Return the command that trains the problem of this call with a policy, a method or a single task."""
    if kind == "models":
        return shlex.join(["scalarize", "compare", *_problem(("score", "reference")), "--methods", "single"])
    alone = ("score", "reference") if kind == "single" else ()
    return shlex.join(["scalarize", "train", *_problem(alone), f"--{kind}", value])


def _problem(without: tuple[str, ...]) -> list[str]:
    """Return the words of this call that say what is trained, as they were typed."""
    context = click.get_current_context()
    words: list[str] = []
    for parameter in context.command.params:
        name, value = str(parameter.name), context.params[str(parameter.name)]
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not typed or name in (*NOT_OF_A_TRAINING, *without) or value is None:
            continue
        if isinstance(parameter, click.Argument):
            words.append(str(value))
            continue
        option = max(parameter.opts, key=len)
        words += [w for v in (value if parameter.multiple else [value]) for w in (option, str(v))]
    return words
