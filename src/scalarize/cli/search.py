"""``search`` and ``retrain``: find a policy, train with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scalarize.cli import command_line, emit, say, show, unread
from scalarize.cli.announcing import announce
from scalarize.cli.options import (
    SCORE,
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
    take_workers,
    weights_of,
    worker_options,
)
from scalarize.cli.table_options import words
from scalarize.utils import limits
from scalarize.utils.errors import RequestError


@click.command()
@problem_options
@click.option("--algorithm", default="pbt", show_default=True, help="How weights are searched.")
@click.option("--population", default=12, show_default=True, type=int, help="Members, or trainings.")
@click.option("--ready", default=3, show_default=True, type=int, help="Epochs between decisions.")
@click.option("--quantile", default=0.4, show_default=True, type=float, help="Share replaced, in (0, 0.5].")
@click.option("--split", default=0.7, show_default=True, type=float, help="Share of the training set to train on.")
@score_options
@click.option("--start", metavar="POLICY", help="Begin around the mean of this policy, half as wide.")
@click.option("--also", multiple=True, metavar="KEY=log:LO:HI", help="A recipe number searched beside the weights.")
@click.option("--group", "groups", multiple=True, metavar="A,B", help="Tasks that share one weight.")
@click.option("--hyper", multiple=True, metavar="KEY=VALUE", help="A hyper-parameter of the algorithm.")
@click.option("--spread", type=float, help="Width of the initial weights, in log space (0.7; 0.35 with --start).")
@click.option("--runs", "table", metavar="FILE.csv", help="Weights and metrics measured elsewhere, in place of W.")
@worker_options
@click.option("--threads-per-member", "threads", type=int, help="Threads of torch a member.")
@click.option("--checkpoints", metavar="DIR|URL", help="Where workers keep members' states, seen by all nodes.")
@click.option("--asynchronous", is_flag=True, help="No barrier between generations: nobody waits for the slowest.")
@click.option("--from-generation", type=int, metavar="G", help="With --resume: train again from this generation on.")
@click.option("--max-time", type=float, metavar="SECONDS", help="Stop cleanly with the best policy so far.")
@seed_option
@log_option
@out_options
def search(
    algorithm: str,
    population: int,
    ready: int,
    quantile: float,
    split: float,
    start: str | None,
    also: tuple[str, ...],
    groups: tuple[str, ...],
    hyper: tuple[str, ...],
    spread: float | None,
    table: str | None,
    threads: int | None,
    checkpoints: str | None,
    asynchronous: bool,
    from_generation: int | None,
    max_time: float | None,
    seed: int,
    logs: tuple[str, ...],
    out: str | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search task weights; writes policy.json and lineage.jsonl."""
    from scalarize.runs import effects, found_weights
    from scalarize.runs.build import Loader
    from scalarize.runs.directory import digest
    from scalarize.runs.search import SearchRequest, reporter
    from scalarize.runs.search import search as run
    from scalarize.search.algorithms import registry
    from scalarize.weights.policy import Policy

    if threads is not None:
        limits.check("--threads-per-member", threads, limits.THREADS)
    for name, value, most in (("--population", population, limits.POPULATION), ("--ready", ready, limits.EPOCHS)):
        limits.check(name, value, most)
    workers = take_workers(options)
    if table is not None:
        if algorithm != "regression":
            raise RequestError(f"--runs is read by --algorithm regression, not by {algorithm}")
        if options["workload"] is not None or options["csv"] is not None:
            raise RequestError("--runs takes the place of a workload: give one of them")
        read = ("algorithm", "table", "score", "reference", "epochs", "seed", "out", "resume", "as_json")
        unread.refuse_all_but(read, "says nothing of a table: --runs is read, and nothing is trained")
        from scalarize.runs import regression

        asked = take_score(options)
        found = regression.search(
            table, **asked, epochs=options["epochs"], seed=seed, out=out, command=command_line(), resume=resume
        )
        emit(found, as_json, regression.summary(found))
        return
    for option in unread.typed(registry.get(algorithm).unused):
        say(f"{option}: not read by --algorithm {algorithm}")
    request = SearchRequest(
        **take_problem(options),
        algorithm=algorithm,
        hyper=parse_settings(hyper, "--hyper"),
        population=population,
        ready=ready,
        quantile=quantile,
        split=split,
        **take_score(options),
        start=Policy.load(start) if start else None,
        also=also,
        groups=tuple(words(g) for g in groups),
        spread=spread,
        seed=seed,
        asynchronous=asynchronous,
    )
    loader = Loader()
    effects.check_request(request, loader)
    if request.csv is not None:
        announce(request, loader)
    target = Path(out or f"runs/search-{request.label}-{digest(request.model_dump(mode='json'))}")
    with logged(logs):
        result = run(
            request,
            target,
            command_line(),
            resume,
            workers=workers,
            threads=threads,
            max_time=max_time,
            checkpoints=checkpoints,
            from_generation=from_generation,
            progress=reporter(show, request.algorithm),
            loader=loader,
        )
    workload = loader.workload(request)
    fitted = workload.table.fitted(request.recipe(workload).data) if workload.table is not None else None
    text = (
        f"{result['algorithm']}: score {result['score']:.4f} on the hold-out; {result['configurations']} "
        f"configurations explored by {round(result['trainings'], 1):g} trainings in {result['seconds']:.0f} s\n"
        + "\n".join([*found_weights.lines(Policy.load(result["policy"]), fitted), str(result["policy"])])
    )
    emit(result, as_json, text)


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--history", default="full", show_default=True, help="full, last or mean.")
@click.option("--seeds", default=1, show_default=True, type=int, help="How many fresh models.")
@seed_option
@click.option("--score", help=f"{SCORE} Default: the search's own.")
@click.option("--reference", metavar="A=1,B=2", help="Single-task metrics, for --score gain.")
@click.option("--epochs", type=int, help="Another length; the policy is stretched.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another size or setting.")
@click.option("--data", metavar="DIR", help="Data root.")
@click.option("--device", help="Another device.")
@click.option("--out", metavar="DIR", help="Where to write (default: <DIR>/retrain-<history>-<digest>).")
@click.option("--resume", is_flag=True)
@worker_options
@log_option
@json_option
def retrain(
    directory: str,
    history: str,
    seeds: int,
    seed: int,
    score: str | None,
    reference: str | None,
    epochs: int | None,
    settings: tuple[str, ...],
    data: str | None,
    device: str | None,
    out: str | None,
    resume: bool,
    logs: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Retrain with the policy of a search, on the whole training set."""
    from scalarize.runs.retrain import retrain as run
    from scalarize.runs.retrain import summary

    if epochs is not None:
        limits.check("--epochs", epochs, limits.EPOCHS)
    changes = {"epochs": epochs, "data": data, "device": device}
    with logged(logs):
        result = run(
            Path(directory),
            history,
            seeds,
            seed,
            {k: v for k, v in changes.items() if v is not None},
            parse_settings(settings),
            Path(out) if out else None,
            command_line(),
            resume,
            show,
            score,
            weights_of(reference, "--reference") if reference is not None else None,
            take_workers(options),
        )
    emit(result, as_json, summary(result))
