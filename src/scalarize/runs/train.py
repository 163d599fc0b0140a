"""One training, from a request to a run directory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalarize.learners import rows
from scalarize.learners.base import RunLearner
from scalarize.learners.evaluation import Measurements
from scalarize.learners.probes import Conflicts, SummedGradient
from scalarize.runs import model_selection
from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.directory import Records, claim, read_config
from scalarize.runs.last_checkpoint import LastCheckpoint, forget_last
from scalarize.runs.model_selection import Selection
from scalarize.runs.refit import refit
from scalarize.runs.request import TrainRequest
from scalarize.runs.task_score import TaskScore, task_score
from scalarize.tasks.task import Data
from scalarize.utils import files
from scalarize.utils.errors import DivergedError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest

Progress = Callable[[str], None]
CHECKPOINT_SECONDS = 5.0  # at most this much training is repeated after a crash, an epoch apart


def train(
    request: TrainRequest,
    out: Path,
    command: str,
    resume: bool = False,
    say: Progress | None = None,
    loader: Loader | None = None,
) -> Any:
    """Run ``request`` in ``out``. A finished run is read, not repeated.

    Selection reads the validation split after each epoch; the test split is read once, at the end. A training that
    diverges after its first epoch ends there: its result has ``diverged``, and is that of what was selected before.

    Args:
        request: what is trained, and with which weights.
        out: the run's directory.
        command: how the run is made again, for its ``config.yaml``.
        resume: go on with what ``out`` holds.
        say: receives a line of progress an epoch.
        loader: of the command, if several runs share tables and data; default a new one.

    Returns:
        The content of ``result.json``: metrics by task of each split read, the epoch selected, seconds, counts.

    Raises:
        RequestError: the request is wrong, or ``out`` holds something else.
        DivergedError: losses or gradients were not finite before the first epoch was over.
    """
    prepared = prepare(request, loader)
    recipe = prepared.recipe.model_dump(mode="json")
    score = task_score(request, prepared.data)
    select = score.of_measurements if score else None
    wanted = model_selection.criteria(prepared.recipe.selection, prepared.data, request.baselines, select)
    with held(out):
        asked, table = request.model_dump(mode="json"), prepared.fingerprint
        there = claim(out, "train", asked, resume, command, recipe=recipe, table=table)
        if there and (out / "result.json").exists():
            forget_last(Manifest(out))
            return files.read_json(out / "result.json")
        if there and "passes" not in read_config(out).get("recipe", {}):  # begun when there was no choice
            prepared = replace(prepared, recipe=prepared.recipe.override({"passes": "mixed"}))
        prepared.keep_table(out)
        return _run(request, prepared, Selection(wanted, prepared.recipe.selection == "last"), score, out, say)


def _run(
    request: TrainRequest,
    prepared: PreparedRun,
    chosen: Selection,
    score: TaskScore | None,
    out: Path,
    say: Progress | None,
) -> dict[str, Any]:
    recipe, data, method = prepared.recipe, prepared.data, prepared.method
    assert method is not None
    started, log = time.perf_counter(), Records(out)
    states = LastCheckpoint(out, request.seed, log)
    learner = prepared.learner(request.seed, log.append)
    learner.use(method)
    if request.norm_every is not None:
        learner.probes.append(SummedGradient(request.norm_every))
    if request.probe_every is not None:
        names = {id(p): name for name, p in learner.model.named_parameters()}
        layers = [names[id(p)] for p in learner.model.shared_parameters()]
        learner.probes.append(Conflicts(data.names, request.probe_every, layers))
    split = "validation" if data.has("validation") else None
    saved = started
    spent, trained = states.go_on(learner, method, chosen, recipe.epochs)
    diverged: dict[str, str] = {}
    while learner.epoch < recipe.epochs and not chosen.is_stale(learner.epoch, recipe.patience):
        begun = time.perf_counter()
        try:
            learner.train(method, learner.epoch + 1)
        except DivergedError as error:
            if not chosen.states:
                raise  # no epoch was finished: there is nothing to report
            diverged = {"diverged": f"epoch {learner.epoch}: {error}"}
            break
        trained += time.perf_counter() - begun
        seen = _validate(learner, split, log) if split else None
        state = learner.state_dict()
        chosen.offer(seen, state)
        if time.perf_counter() - saved > CHECKPOINT_SECONDS:
            saved = time.perf_counter()
            states.save(state, chosen, trained, spent + saved - started)
        if say:
            judge = score.of_measurements if score else model_selection.average
            found = f"  validation {judge(seen):.4f}" if seen else ""
            say(f"epoch {learner.epoch}/{recipe.epochs}{found}")
    label = method.name if request.single is None else "single"
    result: dict[str, Any] = {"out": str(out), "workload": request.label, "method": label, "seed": request.seed}
    trained_on = "seen" if data.has("seen") else "train"
    splits = {"validation": "validation", "test": "test"} | (
        {"train": trained_on} if request.read_train is True else {}
    )
    last = learner.measure(trained_on) if request.read_train == "last" else {}
    result |= _finish(learner, splits, last, chosen, log)
    if score is not None:
        seen_by = {split: score.shown(result[split]) for split in ("validation", "test") if result[split]}
        result["score"] = score.to_dict() | seen_by
    units = sum(row["value"] for row in log.read() if row["metric"] == "units")
    result |= {"units_per_second": units / trained} if units else {}
    result |= {"seconds": spent + time.perf_counter() - started, **diverged}
    selected = chosen.state_of(chosen.primary)
    states.keep("selected", selected["model"])
    if request.refit and prepared.workload.table is not None and "diverged" not in result:
        if say:
            say(f"refit on all rows, {result['epoch']} epochs")
        again = request.source(data.names, recipe.epochs)
        states.keep("final", refit(prepared, again, request.seed, result["epoch"]))
    if method.has_view:  # without it the model is not what was measured
        states.keep("selected-method", selected["method"])
    states.finish(result)
    return result


def _validate(learner: RunLearner, split: str, log: Records) -> Measurements:
    """Measure ``split``, and add the measurements to the records."""
    seen = learner.measure(split)
    log.append(rows.measured(learner.data.objectives, learner.step, learner.epoch, split, seen))
    return seen


def _finish(learner: RunLearner, splits: Mapping[str, str], last: Measurements, chosen: Selection, log: Records) -> Any:
    """Read the splits (by the name that the result gives them), the test split for the first time, with the selected
    weights: each metric with its own. last: what was read of the training split with the last weights, if anything.
    """
    data, counts, epochs = learner.data, learner.counts(), chosen.epochs()
    found = {name: _measured(learner, s, chosen) for name, s in splits.items()} | ({"train": last} if last else {})
    learner.load_state_dict(chosen.state_of(chosen.primary))
    if found["test"]:
        log.append(rows.measured(data.objectives, learner.step, learner.epoch, "test", found["test"]))
    result: dict[str, Any] = {"epoch": learner.epoch}
    for name, seen in found.items():
        values = {task: v["metric"] for task, v in seen.items()}
        mean = {"average": sum(values.values()) / len(values)} if values and data.has_average else {}
        result[name] = values | mean
    result["measures"] = {name: _by_task(data, seen) for name, seen in found.items() if seen}
    return result | ({"epochs": epochs} if len(epochs) > 1 else {}) | counts


def _measured(learner: RunLearner, split: str, chosen: Selection) -> Measurements:
    """Measure every metric on ``split`` with the weights that its own criterion prefers; nothing if there is no
    split."""
    if not learner.data.has(split):
        return {}
    at: dict[int, Measurements] = {}
    merged: Measurements = {}
    for name, (objective, key, sign) in model_selection.measures(learner.data).items():
        state = chosen.state_of(name)
        epoch = int(state["epoch"])
        if epoch not in at:
            learner.load_state_dict(state)
            at[epoch] = learner.measure(split)
        values = merged.setdefault(objective, {})
        if key not in at[epoch][objective]:
            continue  # of the test alone
        values[key] = at[epoch][objective][key]
        if key == "metric":
            values["score"] = sign * values[key]
    return merged


def _by_task(data: Data, seen: Measurements) -> dict[str, dict[str, float | None]]:
    """Return the metrics, the loss among them, by task and name; None if a value is no number."""
    found: dict[str, dict[str, float | None]] = {}
    for name, (objective, key, _) in model_selection.measures(data).items():
        value = seen[objective].get(key, math.nan)
        found.setdefault(objective, {})[name.rpartition("/")[2]] = value if math.isfinite(value) else None
    return found


def _named(measures: Mapping[str, float | None]) -> str:
    """Name a task's metric, and give those that are recorded beside it."""
    first, *beside = [(name, value) for name, value in measures.items() if name != "loss"] or [("", None)]
    more = ", ".join(f"{name} {value:.4g}" for name, value in beside if value is not None)
    return f" {first[0]}".rstrip() + (f"  ({more})" if more else "")


def summary(result: dict[str, Any]) -> str:
    """Return a run's result as text."""
    tested = result["test"] or result["validation"]
    measured = result.get("measures", {}).get("test" if result["test"] else "validation", {})
    lines = [f"{task:24s} {value:.4f}{_named(measured.get(task, {}))}" for task, value in tested.items()]
    head = f"{result['workload']}, {result['method']}, seed {result['seed']}, epoch {result['epoch']}"
    if "score" in result:
        score = result["score"]
        lines.append(f"{score['name']:24s} {score.get('test', score.get('validation')):.4f}  (the score)")
    stopped = [f"diverged, {result['diverged']}; above: what was selected before"] if "diverged" in result else []
    return "\n".join([head, *lines, *stopped, f"written to {result['out']}"])
