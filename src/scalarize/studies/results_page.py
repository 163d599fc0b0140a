"""Results pages: the studies of a paper at sizes that fit a workstation, and one Markdown page of all they found.

A paper has a page by defining ``PAGE`` in ``studies/PAPER/results_page.py``; `scalarize reproduce PAPER --page FILE.md`
writes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalarize import workloads
from scalarize.report import study_page
from scalarize.runs.plan import Say, Workers
from scalarize.studies import registry, study
from scalarize.studies.study import StudyRequest
from scalarize.utils import files
from scalarize.utils.errors import RequestError


@dataclass(frozen=True)
class Trial:
    """A target on a workload, and the question that it answers.

    target: without its paper. budget, epochs, seeds, tasks, settings, methods: see :class:`StudyRequest`. minutes: of
    one core, allocated before anything was run. optional: run only if its workload is asked for. sweeps: keys of the
    recipe that are the target's own axis, so that settings asked for do not fix them. least_seeds: fewer would leave
    the question open. fixed_size: budget and seeds stay, whatever is asked for. model: in a word, where several
    families of models are tried on one workload.
    """

    target: str
    workload: str
    question: str
    budget: str
    epochs: int
    seeds: int = study.FEWEST_SEEDS
    tasks: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    minutes: int | None = None
    optional: bool = False
    sweeps: tuple[str, ...] = ()
    least_seeds: int = 1
    fixed_size: bool = False
    model: str = ""

    @property
    def data(self) -> str:
        """Its workload, tasks and model, in a word or two."""
        named = [self.workload, " + ".join(self.tasks), self.model]
        return ", ".join(word for word in named if word)

    @property
    def place(self) -> str:
        """The folder of its study and of the runs that it shares with others."""
        return f"{self.workload}-{self.model}".lower() if self.model else self.workload


@dataclass(frozen=True)
class ResultsPage:
    """The page of a paper. document: makes its text of results, in the order of ``trials``."""

    paper: str
    trials: tuple[Trial, ...]
    document: Callable[[Sequence[Mapping[str, Any]]], str]

    def chosen(self, target: str | None = None, workload: str | None = None) -> list[Trial]:
        """The trials of one target, or on one workload; by default all that are not optional.

        Raises:
            RequestError: the page has no such trial.
        """
        found = [t for t in self.trials if target in (None, f"{self.paper}/{t.target}")]
        found = [t for t in found if t.workload == workload or (workload is None and not t.optional)]
        if not found:
            known = ", ".join(f"{t.target} on {t.workload}" for t in self.trials)
            asked = " on ".join(x for x in (target or self.paper, workload) if x)
            raise RequestError(f"the page of {self.paper} has nothing of {asked}; it has {known}")
        return found


@dataclass(frozen=True)
class Changes:
    """Sizes and settings in place of each trial's own; None: its own. settings: beside its own, or in their place."""

    budget: str | None = None
    epochs: int | None = None
    seeds: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    device: str = "cpu"


def request_of(paper: str, trial: Trial, changes: Changes) -> StudyRequest:
    """The study of a trial, with what is asked for in place of its own sizes and settings."""
    free = not trial.fixed_size
    seeds = (changes.seeds if free else None) or trial.seeds
    settings = {k: v for k, v in {**trial.settings, **changes.settings}.items() if k not in trial.sweeps}
    return StudyRequest(
        target=f"{paper}/{trial.target}",
        workload=trial.workload,
        tasks=trial.tasks or None,
        budget=(changes.budget if free else None) or trial.budget,
        seeds=max(seeds, trial.least_seeds),
        epochs=changes.epochs or trial.epochs,
        settings=settings,
        methods=trial.methods,
        data=changes.data,
        device=changes.device,
    )


def command_of(request: StudyRequest) -> str:
    """The command that runs this one study again, wherever the data are."""
    words = ["scalarize", "reproduce", request.target, "--workload", str(request.workload)]
    words += ["--tasks", ",".join(request.tasks)] if request.tasks else []
    words += ["--budget", request.budget, "--epochs", str(request.epochs), "--seeds", str(request.seeds)]
    words += [word for key, value in request.settings.items() for word in ("--set", f"{key}={value}")]
    words += ["--methods", ",".join(request.methods)] if request.methods else []
    return shlex.join(words)


def write(
    page: ResultsPage,
    trials: Sequence[Trial],
    changes: Changes,
    path: Path,
    out: Path,
    resume: bool = False,
    say: Say | None = None,
    workers: Workers | None = None,
) -> list[dict[str, Any]]:
    """Run what is missing of ``trials`` and write the page, anew after each of them: the next may take hours.

    Args:
        page: the paper's.
        trials: the ones to run, of :meth:`ResultsPage.chosen`.
        changes: what is asked for in place of their own sizes.
        path: of the page.
        out: a directory; the studies of each workload lie in one of its own.
        resume: go on with what ``out`` holds.
        say: receives lines of progress.
        workers: that train side by side; default: this process.

    Returns:
        Each study's result, with the command that runs it again and its question.

    Raises:
        RequestError: a request is wrong, data are missing, or ``out`` holds something else.
        RunError: a run failed.
    """
    for trial in trials:  # before the first of them takes its hour
        absent = workloads.get(trial.workload).missing(workloads.data_root(changes.data))
        if absent:
            raise RequestError(f"{trial.target} on {trial.workload}: the data are not here: {absent}")
    found: list[dict[str, Any]] = []
    for trial in trials:
        request = request_of(page.paper, trial, changes)
        (target,) = registry.get(request.target)
        command = command_of(request)
        result = study.run(target, request, out / trial.place, command, resume, say, workers)
        study_page.build(Path(result["out"]))
        shown = {"command": command, "question": trial.question, "data": trial.data, "minutes": trial.minutes}
        found.append(result | shown)
        files.write_text(path, page.document(found))
    return found
