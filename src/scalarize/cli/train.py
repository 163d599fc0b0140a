"""``train`` and ``policy``: one run, and the weights that it used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scalarize.cli import command_line, emit, say, show, unread
from scalarize.cli.announcing import announce
from scalarize.cli.options import (
    json_option,
    log_option,
    logged,
    out_options,
    parse_settings,
    problem_options,
    score_options,
    seed_option,
    take_problem,
    take_score,
    weights_of,
)
from scalarize.utils.errors import RequestError

DEFAULT_METHOD = "uniform"


@click.command()
@problem_options
@click.option("--method", metavar="M", help="Where the weights come from (default: uniform; see `scalarize methods`).")
@click.option("--hyper", multiple=True, metavar="KEY=VALUE", help="A hyper-parameter of the method.")
@click.option("--weights", metavar="A=1,B=2", help="Fixed weights, every task named.")
@click.option("--policy", metavar="FILE", help="Replay a policy.json, with recipe numbers searched beside it.")
@click.option("--single", metavar="TASK", help="Train on one task or domain alone.")
@click.option("--refit/--no-refit", default=True, help="Of a table: train once more on all rows, to predict with.")
@score_options
@seed_option
@log_option
@out_options
def train(
    method: str | None,
    hyper: tuple[str, ...],
    weights: str | None,
    policy: str | None,
    single: str | None,
    refit: bool,
    seed: int,
    logs: tuple[str, ...],
    out: str | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one model with a method, with fixed weights, with a policy, or on a single task."""
    given = [
        f"--{k}"
        for k, v in {"method": method, "weights": weights, "policy": policy, "single": single}.items()
        if v is not None
    ]
    if len(given) > 1:
        raise RequestError(f"{' and '.join(given)} exclude each other: name one source of weights")
    if given and given != ["--method"]:
        unread.refuse(["hyper"], f"the hyper-parameters of a method, and {given[0]} is none: give it with --method")
    if refit and (options["csv"] is None or single is not None):
        unread.refuse(["refit"], "trains a model of a table and all its targets once more: give it with --csv")
    from scalarize.runs import effects
    from scalarize.runs.build import Loader
    from scalarize.runs.comparison_rows import SPECIAL
    from scalarize.runs.directory import digest
    from scalarize.runs.request import TrainRequest
    from scalarize.runs.train import summary
    from scalarize.runs.train import train as run
    from scalarize.weights.policy import Policy

    if method in SPECIAL:
        raise RequestError(
            f"--method {method}: that is a row of `scalarize compare`; a training takes one of `scalarize methods`, "
            "or --weights, --policy or --single"
        )
    problem = take_problem(options)
    request = TrainRequest(
        **problem,
        **take_score(options),
        method=DEFAULT_METHOD if method is weights is policy is None else method,
        weights=None if weights is None else weights_of(weights),
        hyper=parse_settings(hyper, "--hyper"),
        policy=None if policy is None else Policy.load(policy),
        single=single,
        seed=seed,
        refit=refit and problem["csv"] is not None and single is None,
    )
    target = Path(out or f"runs/train-{request.label}-{digest(request.model_dump(mode='json'))}")
    loader = Loader()
    effects.check_request(request, loader)
    announce(request, loader)
    for key, value in (request.policy.numbers if request.policy else {}).items():
        if key not in request.settings:
            say(f"{key} = {value:g}, as the search of the policy had it in the end")
    with logged(logs):
        result = run(request, target, command_line(), resume, show, loader)
    emit(result, as_json, summary(result))
    if "diverged" in result:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("run", type=click.Path())
@click.option("--out", metavar="FILE", help="Where to write (default: policy.json in the run).")
@json_option
def policy(run: str, out: str | None, as_json: bool) -> None:
    """The weights that a run used, as policy.json."""
    from scalarize.runs.policy_from_run import policy_of_run
    from scalarize.utils import documents, signed

    found, clipped = policy_of_run(run)
    path = Path(out) if out else Path(run) / "policy.json"
    signed.write(path, documents.to_json(found.to_dict() | {"written": signed.BLANK}, indent=1) + "\n")
    result = {"policy": str(path), "epochs": found.epochs, "segments": len(found.segments), "clipped": clipped}
    text = f"{path}: {len(found.segments)} segments over {found.epochs} epochs, {clipped:.2%} clipped"
    if "diverged" in found.provenance:
        result["diverged"] = found.provenance["diverged"]
        text += f"\nthe run diverged, {found.provenance['diverged']}: the policy holds the epochs before"
    emit(result, as_json, text)
