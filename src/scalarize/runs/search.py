"""A search over a workload's task weights, from a request to a directory with a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from scalarize.runs.build import Loader, PreparedRun
from scalarize.runs.directory import claim, tell
from scalarize.runs.holdout import HOLDOUT, HoldoutFactory
from scalarize.runs.ranges import ranges
from scalarize.runs.request import PolicyField, WorkloadRequest
from scalarize.runs.workers import members
from scalarize.runs.workers.request import Workers
from scalarize.search.algorithms import registry
from scalarize.search.algorithms.base import Algorithm, Setting
from scalarize.search.driver import run_search
from scalarize.search.entry import center_of, default_spread
from scalarize.search.executors import storage
from scalarize.search.executors.base import Executor
from scalarize.search.progress import Progress
from scalarize.search.sampling import Spread
from scalarize.search.score import create as create_score
from scalarize.search.space import Space
from scalarize.tasks.task import Data
from scalarize.utils import files, limits
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest
from scalarize.weights import simplex


class SearchRequest(WorkloadRequest):
    """A problem and the settings of the search for its weights. Defaults: Royer et al. 2023, section 5 and table C.

    split: share of the training set that members train on; they are scored on the rest of it. start: the content of
    a policy around whose mean weights the search begins, in place of the weights that equalise the losses of the
    best constant predictor (uniform if tasks have none), and half as wide unless ``spread`` says how wide. also:
    recipe numbers searched beside the weights; one member begins with the recipe's own if they lie in their ranges.
    groups: tasks that share a weight. reference: single-task metrics, for the score ``gain``. asynchronous: without
    a barrier between generations.
    """

    algorithm: str
    hyper: dict[str, Any] = Field(default_factory=dict)
    population: int = Field(default=12, le=limits.POPULATION)
    ready: int = Field(default=3, le=limits.EPOCHS)
    quantile: float = 0.4
    split: float = 0.7
    score: str = "average"
    start: PolicyField | None = None
    also: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    reference: dict[str, float] | None = None
    spread: float | None = None
    seed: int = Field(default=0, le=limits.SEED)
    asynchronous: bool = False


def algorithm_of(request: SearchRequest, prepared: PreparedRun) -> Algorithm:
    """Make the algorithm that a request asks for, at its beginning.

    Args:
        request: the search.
        prepared: its problem, as :class:`HoldoutFactory` prepares it.

    Returns:
        The algorithm.

    Raises:
        RequestError: anything about the search is wrong.
    """
    data, recipe = prepared.data, prepared.recipe
    if len(data.names) < 2:
        raise RequestError(f"a search needs at least two tasks or domains, got {', '.join(data.names)}")
    inherits = registry.get(request.algorithm).inherits
    center = _balanced(data) if request.start is None else center_of(request.start, data.names)
    space = Space(tuple(data.names), center, request.groups, ranges(request.also, prepared, inherits))
    spread = default_spread(request.start) if request.spread is None else Spread(width=request.spread)
    setting = Setting(space, recipe.epochs, request.population, request.ready, request.quantile, request.seed, spread)
    create_score(request.score, data.names, request.reference)
    return registry.create(request.algorithm, setting, **request.hyper)


def _balanced(data: Data) -> tuple[float, ...]:
    """Return weights that equalise the losses of the best constant predictor; equal ones if a task knows none."""
    if any(o.task.constant_loss is None for o in data.objectives):
        return tuple(simplex.uniform(len(data.names)).tolist())
    losses = data.constant_losses()
    return tuple(simplex.inverse([losses[n] for n in data.names]).tolist())


def search(
    request: SearchRequest,
    out: Path,
    command: str,
    resume: bool = False,
    executor: Callable[[HoldoutFactory], Executor] | None = None,
    threads: int | None = None,
    workers: Workers | None = None,
    max_time: float | None = None,
    checkpoints: str | None = None,
    from_generation: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    loader: Loader | None = None,
) -> dict[str, Any]:
    """Search in ``out``. A finished search is read, not repeated.

    Args:
        request: what is searched, and how.
        out: the search's directory.
        command: how the search is made again, for its ``config.yaml``.
        resume: go on with what ``out`` holds.
        executor: makes what trains members, from the factory of learners; default: what ``workers`` ask for.
        threads: of torch a member, None for the recipe's number.
        workers: that train members side by side; default: this process.
        max_time: seconds after which the search stops with the best policy so far.
        checkpoints: a folder or URL for members' states, seen by all nodes; default below ``out``.
        from_generation: forget what was found from this generation on, and train it again. Default: nothing.
        progress: receives the state of the search after each member.
        loader: of the command, if several runs share tables and data; default a new one.

    Returns:
        The JSON of ``search``: the path of the policy, its score on the hold-out, counts and seconds.

    Raises:
        RequestError: the request is wrong, or ``out`` holds something else.
        RunError: no member has a finite score, or the disk is full.
    """
    loader = loader or Loader()
    if from_generation is not None and not resume:
        raise RequestError("`from_generation` goes back in a search that is there: give `resume`, too")
    if max_time is not None and not max_time > 0:
        raise RequestError(f"`max_time` must be a positive number of seconds, got {max_time}")
    if workers is not None:
        workers.check(request.device)
        if checkpoints is not None:
            cpus = threads or request.recipe(loader.workload(request)).threads
            if workers.address is not None or len(workers.places(request.device, cpus)) > 1:
                storage.check_shared(checkpoints)
    factory = HoldoutFactory(request.problem(), request.split, threads, loader)
    algorithm = algorithm_of(request, factory.prepared)
    if request.asynchronous and not algorithm.asynchronous:
        able = [name for name in registry.names() if registry.get(name).asynchronous]
        raise RequestError(
            f"`asynchronous`: {algorithm.name} decides for whole generations; choose {' or '.join(able)}"
        )
    asked = request.model_dump(mode="json")
    with held(out):
        there = claim(out, "search", asked, resume, command, table=factory.prepared.fingerprint)
        if there and (out / "result.json").exists():
            if from_generation is not None:
                raise RequestError(f"{out}: is finished: there is nothing to go back to with `from_generation`")
            done: dict[str, Any] = files.read_json(out / "result.json")
            return done
        make = executor or members.executor(workers, request, algorithm, out, loader, threads, checkpoints is not None)
        made = make(factory)
        factory.prepared.keep_table(out)
        found = run_search(
            algorithm,
            made,
            out,
            score=request.score,
            reference=request.reference,
            split=HOLDOUT,
            share=request.split,
            request={"problem": _content(request, factory.prepared.fingerprint)},
            resume=True,
            max_time=max_time,
            asynchronous=request.asynchronous,
            checkpoints=checkpoints,
            from_generation=from_generation,
            locked=True,
            progress=_observed(out, members.counted(made, progress)),
        )
        result: dict[str, Any] = found.to_dict()
        if found.finished:
            Manifest(out).write_json("result.json", result)
        return result


def _content(request: SearchRequest, table: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the part of the problem that decides the numbers: no paths, no device."""
    content = request.problem().model_dump(mode="json", exclude={"data", "device"})
    if content["csv"]:
        content["csv"] = Path(content["csv"]).name if table is None else table["sha256"]
    return content


def _observed(out: Path, progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    """Wrap ``progress`` so that observers get its numbers too, as rows over the epochs trained by all."""

    def pass_on(p: Progress) -> None:
        row: dict[str, Any] = {"step": p.epochs_done, "epoch": p.epochs_done, "split": HOLDOUT, "domain": "all"}
        values = {f"member-{p.member}": p.score, "best": p.best}
        tell(out, [row | {"task": k, "metric": "score", "value": v} for k, v in values.items()])
        if progress is not None:
            progress(p)

    return pass_on


def reporter(say: Callable[[str], None] | None, label: str) -> Callable[[Progress], None] | None:
    """Make a reporter of a search's progress in lines: running and remaining trainings, best score so far."""
    if say is None:
        return None

    def tell(p: Progress) -> None:
        say(
            f"{label}: {p.epochs_done}/{p.epochs_total} epochs, generation {p.generation}, member {p.member} "
            f"scored {p.score:.4f}, best {p.best:.4f}"
        )

    return tell
