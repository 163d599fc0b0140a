"""An advice on a workload or a table: even weights, a rule, or a search? A race of trainings at a stated budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field as Described

from scalarize.analysis import race
from scalarize.analysis.advice import Advice, decide
from scalarize.analysis.race_budget import Field, allocate
from scalarize.runs import advise_contenders, advise_result
from scalarize.runs.advise_contenders import Contenders
from scalarize.runs.build import Loader
from scalarize.runs.directory import claim
from scalarize.runs.plan import FinishedRun, PlannedRun, Say, Workers, execute
from scalarize.runs.request import ScoredRequest
from scalarize.runs.row_values import RowValue
from scalarize.runs.search import SearchRequest
from scalarize.utils import limits
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held

Answer = Callable[[Any], Mapping[str, Any]]
Late = Callable[[float], bool]
TRAININGS = 60


class AdviseRequest(ScoredRequest):
    """A problem, and the budget of the race that answers if its weights deserve work.

    trainings: the budget, counted as ``compare`` counts them. margin: the gain that matters, in units of the score;
    None for half a percent of even weights'. seed: of the first training; the others count on.
    """

    LATER: ClassVar[dict[str, Any]] = ScoredRequest.LATER | {"margin": None}

    trainings: float = TRAININGS
    margin: float | None = None
    seed: int = Described(default=0, ge=-limits.SEED, le=limits.SEED - 1_000_000)

    def check(self) -> None:
        """Check the numbers. Raises RequestError that names one."""
        if not math.isfinite(self.trainings):
            raise RequestError(f"`trainings` must be a number of trainings, got {self.trainings}")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise RequestError(f"`margin` must be above 0 and finite, in units of the score, got {self.margin}")


def advise(
    request: AdviseRequest,
    out: Path,
    command: str,
    resume: bool,
    say: Say | None = None,
    loader: Loader | None = None,
    workers: Workers | None = None,
    max_time: float | None = None,
    train_with: Callable[[str, str], str] = lambda kind, value: f"{kind} {value}".strip(),
) -> dict[str, Any]:
    """Race in ``out`` and answer; finished trainings are read.

    Args:
        request: the problem, the score and the budget.
        out: directory of the race, below which each run has its own.
        command: how it is made again, for ``config.yaml``.
        resume: go on with what ``out`` holds.
        say: receives lines of progress.
        loader: of the command, if it reads tables and data besides; default a new one.
        workers: that train side by side; default: this process.
        max_time: seconds of this call after which nothing more is begun. Default: none.
        train_with: (kind, value) -> the command that trains with a ``policy`` (its path), a ``method``, a ``single``
            task, or one model a task (``models``).

    Returns:
        The content of ``advice.json``.

    Raises:
        RequestError: the request is wrong, the budget too small, or ``out`` holds something else.
        RunError: a run failed, or even weights diverged.
    """
    if workers is not None:
        workers.check(request.device)
    Pace(max_time)
    request.check()
    loader = loader or Loader()
    contenders = advise_contenders.of(request, request.seed, loader)
    field = contenders.field
    allocate(field, request.trainings)
    with held(out):
        asked = request.model_dump(mode="json")
        claim(out, "advise", asked, resume, command, table=contenders.prepared.fingerprint)
        contenders.prepared.keep_table(out)
        members: dict[str, int] = {}
        values: dict[tuple[str, int], RowValue] = {}
        finished: dict[str, FinishedRun] = {}

        def answered(wish: race.Train | race.Search) -> Mapping[str, Any]:
            if isinstance(wish, race.Search):
                members.update(wish.members)
                runs = [contenders.search(name, count) for name, count in members.items()]
            else:
                new = {
                    (n, s): contenders.value(n, request.seed + s, members)
                    for n, own in wish.wanted.items()
                    for s in own
                }
                values.update(new)
                runs = list({run.name: run for value in new.values() for run in value.runs}.values())
            pace.trained += sum(_cost(run) for run in runs if not (out / str(run.directory) / "result.json").exists())
            finished.update(execute(runs, out, command, say, loader, keep_diverged=True, workers=workers))
            if isinstance(wish, race.Search):
                return {name: float(finished[name].result["score"]) for name in wish.members}
            return {
                n: {s: contenders.scored(values[n, s], finished, "validation") for s in own}
                for n, own in wish.wanted.items()
            }

        pace = Pace(max_time)
        course = follow(field, request.trainings, answered, request.margin, pace.late, say)
        advice, splits = concluded(contenders, course, values, finished, request.margin)
        return advise_result.write(out, request, contenders, course, advice, splits, values, finished, train_with)


def concluded(
    contenders: Contenders,
    course: race.Course,
    values: Mapping[tuple[str, int], RowValue],
    finished: Mapping[str, FinishedRun],
    margin: float | None,
) -> tuple[Advice, list[race.Scores]]:
    """Judge a race that is over, now by the test split, too, if there is one."""
    splits = [course.scores]
    if contenders.tested:
        seen: race.Scores = {name: {} for name in course.scores}
        for (name, seed), value in values.items():
            seen[name][seed] = contenders.scored(value, finished, "test")
        splits.append(seen)
    return decide(contenders.field, course, splits, margin), splits


def _cost(run: PlannedRun) -> float:
    request = run.request
    return request.population * request.split if isinstance(request, SearchRequest) else 1.0


class Pace:
    """The time of a race: it says what would be over too late, from the time of the trainings so far.

    Args:
        max_time: seconds from now. Default None: nothing is late.

    Raises:
        RequestError: it is not above 0.
    """

    def __init__(self, max_time: float | None) -> None:
        if max_time is not None and not max_time > 0:
            raise RequestError(f"`max_time` must be a positive number of seconds, got {max_time}")
        self.max_time, self.begun = max_time, time.monotonic()
        self.trained = 0.0  # in this time: what was read was trained before

    def late(self, trainings: float) -> bool:
        """Return True if so many further trainings would be over too late."""
        spent = time.monotonic() - self.begun
        expected = spent / self.trained * trainings if self.trained else 0.0
        return self.max_time is not None and spent + expected > self.max_time


def follow(
    field: Field,
    budget: float,
    answer: Answer,
    margin: float | None = None,
    late: Late | None = None,
    say: Say | None = None,
) -> race.Course:
    """Race until all is decided, or it is too late for what is wanted next.

    Args:
        field: the contenders.
        budget: trainings.
        answer: answers a wish, see :func:`scalarize.analysis.race.run`.
        margin: the gain that matters. Default: half a percent of even weights'.
        late: trainings -> True if they cannot be over in time. Default: never.
        say: receives a line a stage.

    Returns:
        The course of the race.
    """
    course = race.Course()
    going = race.run(field, budget, course, margin)
    reply: Mapping[str, Any] | None = None
    while True:
        try:
            wish = going.send(reply)  # type: ignore[arg-type]
        except StopIteration:
            return course
        cost = race.cost_of(field, wish)
        if late is not None and late(cost):
            course.look = course.looks - 1  # there is no later one to keep a share of the error for
            going.close()
            return course
        if say is not None:
            names = ", ".join(wish.wanted if isinstance(wish, race.Train) else wish.members)
            say(f"{wish.stage}: {names} ({cost:g} trainings)")
        reply = answer(wish)
