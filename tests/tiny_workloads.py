"""A tiny fixture of every workload's own data, by the workload's name, and studies at toy size on it.

Files are in the published layouts. A study can be run on them (``reproduce``), planned on them at the paper's full size
(``context``), or tabulated of runs that nobody trained, with results as a test invents them (``pretended``).
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from scalarize.runs.build import prepare
from scalarize.runs.planned_run import FinishedRun, PlannedRun, complete, in_order
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.runs.search import SearchRequest
from scalarize.studies import budget, registry
from scalarize.studies.context import Context
from scalarize.studies.gather import StudyResults, gather
from scalarize.studies.study import Target
from scalarize.weights.policy import Policy
from scalarize.workloads.datasets import cifar, emoji
from scripts import load

Settings = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Fixture:
    """What writes a workload's files, settings that fit their size, and those of the smallest model.

    ``settings`` fix no axis that a study sweeps; ``smallest`` does, so it is for single trainings.
    """

    write: Callable[[Path], Any]
    settings: Settings
    smallest: Settings = dataclasses.field(default_factory=dict)


@functools.cache
def writers(path: str) -> ModuleType:
    """The module of a file below ``tests/workloads``: its writers of tiny data sets."""
    return load(f"tests/workloads/{path}.py")


def write_emoji(root: Path) -> None:
    root.mkdir(exist_ok=True)
    packages = writers("datasets/test_emoji")
    emoji.build({v: packages.write_package(root, v, k, faces=12) for k, v in enumerate(emoji.FREE)}, root / "emoji")


def write_cifar_stl(root: Path, layout: str = cifar.PYTHON) -> None:
    writers("fixtures").write_cifar(root, layout)
    writers("fixtures").write_stl(root)


def write_translation(root: Path, *languages: str) -> None:
    """The invented languages of ``test_translation``; one that it does not invent is its French under another name."""
    writers("test_translation").write(root)
    for language in set(languages) - {"fr", "zh"}:
        for path in sorted((root / "nmt" / "en-fr").iterdir()):
            copy = root / "nmt" / f"en-{language}" / path.name.replace(".fr", f".{language}")
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())


def write_nothing(root: Path) -> None:
    """The data come with an installed package."""


def _of(name: str) -> Callable[[Path], Any]:
    return lambda root: getattr(writers("fixtures"), name)(root)


def _digits(folder: str) -> Callable[[Path], Any]:
    return lambda root: writers("datasets/test_idx").write_mnist(root / folder / "raw")


VIT = {"model.depth": 3, "model.width": 0.25}
STREAMED = {"batch_size": 3, "data.side": 32, "data.workers": 0}
SENTENCES = {
    **{"model.width": 32, "model.hidden": 64, "model.heads": 4, "model.layers": 1, "model.tied": True},
    **{"data.pieces": 420, "data.length": 12, "data.epoch": 128, "data.measured": 20, "data.beams": 2},
    **{"batch_size": 32, "schedule.warmup": 1},
}
ACTING = {
    **{"model.widths": [16], "batch_size": 4, "data.steps": 4, "data.initial_steps": 2, "data.replay": 40},
    **{"data.goals": 2, "data.test": 1, "data.horizon": 5},
}
FIXTURES: dict[str, Fixture] = {
    "celeba": Fixture(_of("write_celeba"), {"batch_size": 8}, VIT),
    "celeba-8": Fixture(_of("write_celeba"), {"batch_size": 8}, VIT),
    "celeba-resnet": Fixture(_of("write_celeba"), {"batch_size": 8, "model.width": 0.0625}),
    "cifar-stl": Fixture(write_cifar_stl, {"batch_size": 8}, VIT),
    "concave-front": Fixture(write_nothing, {"batch_size": 16}),
    "cityscapes": Fixture(_of("write_cityscapes_arrays"), {"batch_size": 4, "data.workers": 0, "model.width": 0.0625}),
    "domainnet": Fixture(
        _of("write_domainnet"), {**STREAMED, "batch_size": 4}, {"model.depth": 26, "model.width": 0.25}
    ),
    "emoji": Fixture(write_emoji, {"batch_size": 4, "data.side": 32}),
    "emoji-tasks": Fixture(write_emoji, {"batch_size": 4, "data.side": 32}),
    "glyphs": Fixture(write_nothing, {"data.installed": False, "data.drawings": 1, "batch_size": 256}),
    "glyphs-tasks": Fixture(write_nothing, {"data.installed": False, "data.drawings": 1, "batch_size": 256}),
    "mt10": Fixture(write_nothing, ACTING),
    "mt50": Fixture(write_nothing, ACTING),
    "multi-fashion": Fixture(_digits("FashionMNIST"), {"batch_size": 20}),
    "multi-fashion-backbone": Fixture(
        _digits("FashionMNIST"), {"batch_size": 20}, {"model.depth": 26, "model.width": 0.0625}
    ),
    "multi-mnist": Fixture(_digits("MNIST"), {"batch_size": 20}),
    "nmt-en-fr-zh": Fixture(write_translation, SENTENCES),
    "nmt-en-fr-de": Fixture(lambda root: write_translation(root, "de"), SENTENCES),
    "nmt-en-fr-ro": Fixture(lambda root: write_translation(root, "ro"), SENTENCES),
    "rand-hie": Fixture(write_nothing, {"batch_size": 2048}),
    "rand-hie-sites": Fixture(write_nothing, {"batch_size": 2048}),
    "rendered-scenes": Fixture(_of("write_rendered"), {"batch_size": 8, "model.width": 0.05}),
    "taskonomy-tiny": Fixture(_of("write_taskonomy"), STREAMED, {"model.width": 0.25}),
}


def words(settings: Settings) -> tuple[str, ...]:
    """Settings as options of a command."""
    return tuple(word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}"))


def root_of(name: str, root: Path) -> Path:
    """``root``, in which a workload's files are; they are written if the folder is not there yet."""
    if not root.exists():
        FIXTURES[name].write(root)
    return root


@dataclasses.dataclass(frozen=True)
class Study:
    """What a study left: its JSON, and its tables by their kind."""

    result: Mapping[str, Any]
    tables: Mapping[str, list[pd.DataFrame]]

    def table(self, kind: str) -> pd.DataFrame:
        """The only table of this kind."""
        (frame,) = self.tables[kind]
        return frame


def reproduce(command: Any, target: str, name: str, place: Path, *more: object, epochs: int = 1) -> Study:
    """Run a target on the fixture of a workload, at the smallest budget; everything lies below ``place``.

    ``command`` is the fixture of that name; ``more`` are further words of the command.
    """
    root, out = root_of(name, place / f"data-{name}"), place / f"studies-{name}"
    asked = ("--workload", name, "--data", root, "--budget", "tiny", "--epochs", epochs)
    answer = command("reproduce", target, *asked, *words(FIXTURES[name].settings), *more, "--out", out, "--json")
    assert answer.status == 0, answer.out + answer.err
    result, tables = answer.json, dict[str, list[pd.DataFrame]]()
    for entry in result["tables"]:
        tables.setdefault(entry["kind"], []).append(pd.read_csv(Path(result["out"]) / entry["file"]))
    return Study(result, tables)


def target_of(name: str) -> Target:
    """The target ``PAPER/TARGET``."""
    (found,) = registry.get(name)
    return found


def context(name: str, root: Path, size: str = "full", seeds: int | None = None, **settings: Any) -> Context:
    """The context of a plan on the fixture of a workload, without a training; by default at the paper's size.

    Only settings of the data are the fixture's: all that a study may sweep is as the paper has it. ``settings`` have
    ``__`` in place of the dot.
    """
    fitting = {k: v for k, v in FIXTURES[name].settings.items() if k.startswith("data.")}
    asked = {key.replace("__", "."): value for key, value in settings.items()}
    problem = WorkloadRequest(workload=name, settings=fitting | asked, data=str(root_of(name, root)))
    found = prepare(problem)
    return Context(problem, found.workload, found.data, budget.parse(size), seeds)


Score = Callable[[TrainRequest, str, str], float]  # of a training, a task and a split, as the task's metric
Rows = Callable[[TrainRequest], Iterable[Mapping[str, Any]]]


def pretended(here: Context, plan: Sequence[PlannedRun], place: Path, score: Score, rows: Rows | None = None) -> Any:
    """Results of a plan as if it had been run: each training has the metrics of ``score`` and the records ``rows``.

    Searches find even weights, and have cost one training a member.
    """
    finished: dict[str, FinishedRun] = {}
    for number, planned in enumerate(in_order(plan)):
        folder = place / f"{number}"
        folder.mkdir(parents=True)
        request = planned.request
        if isinstance(request, SearchRequest):
            result = _searched(here, request, folder)
        else:
            request = complete(planned, finished)
            assert isinstance(request, TrainRequest)
            result = _trained(here, request, score)
            lines = rows(request) if rows else ()
            (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
        finished[planned.name] = FinishedRun(planned, request, folder, result)
    return gather(here, [finished[p.name] for p in plan])


def _searched(here: Context, request: SearchRequest, folder: Path) -> dict[str, Any]:
    names = list(request.tasks or here.data.names)
    weights = [1 / len(names)] * len(names)
    (folder / "policy.json").write_text(json.dumps(Policy.constant(dict.fromkeys(names, 1.0)).to_dict()))
    line = {"generation": 0, "member": 0, "parent": None, "epoch": 1, "weights": weights, "score": 0.5}
    (folder / "lineage.jsonl").write_text(json.dumps(line) + "\n")
    return {"out": str(folder), "trainings": request.population, "seconds_training": 1.0}


def _trained(here: Context, request: TrainRequest, score: Score) -> dict[str, Any]:
    names = [request.single] if request.single else list(request.tasks or here.data.names)
    wanted = {
        "validation": here.data.has("validation") or bool(getattr(request, "split", None)),
        "test": not getattr(request, "split", None),
        "train": bool(request.read_train),
    }
    metrics = {o.name: [*o.task.measures, "loss"] for o in here.data.objectives}
    result: dict[str, Any] = {"epoch": 1, "seconds": 1.0, "measures": {}}
    for split, there in wanted.items():
        seen = {name: score(request, name, split) for name in names} if there else {}
        result[split] = seen
        if seen:
            result["measures"][split] = {name: dict.fromkeys(metrics[name], v) for name, v in seen.items()}
    return result


def tabulated(here: Context, target: str, place: Path, score: Score, rows: Rows | None = None) -> StudyResults | Any:
    """The tables of a target at the context's size, of runs with invented results; by kind, in order."""
    asked = target_of(target)
    found = asked.tabulate(pretended(here, asked.plan(here), place, score, rows))
    tables: dict[str, list[Any]] = {}
    for table in found:
        tables.setdefault(table.kind, []).append(table)
    return tables
