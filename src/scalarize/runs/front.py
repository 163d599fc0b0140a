"""The front of a run with one model for all preferences: its points measured, and one of them as a model of its own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.analysis import measured_front, pareto, readers
from scalarize.learners import rows
from scalarize.learners.base import RunLearner
from scalarize.learners.evaluation import Measurements
from scalarize.methods.preference import by_name
from scalarize.runs import tables
from scalarize.runs.build import Loader, PreparedRun, prepare
from scalarize.runs.directory import PRODUCTS, Records, claim, kind_in_words, read_config
from scalarize.runs.last_checkpoint import LastCheckpoint
from scalarize.runs.request import TrainRequest
from scalarize.utils import files, vouched
from scalarize.utils.errors import RequestError
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest
from scalarize.weights.design import design
from scalarize.workloads.models.fronts.settings import FRONT, plain

SPLITS = ("validation", "test")
_READ = ("config.yaml", "result.json", "table.json", "checkpoints/selected.pt", "checkpoints/final.pt")


def front(
    run: Path,
    points: int,
    preference: Any = None,
    out: Path | None = None,
    command: str = "",
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the front of a run, and write ``front.json`` into its directory.

    Args:
        run: directory of a finished training with ``model.front``.
        points: number of preferences at which the model is measured, see :func:`scalarize.weights.design.design`.
        preference: of a model that is made, by task; see :func:`scalarize.methods.preference.by_name`. Default: none.
        out: directory of that model, which ``predict``, ``load`` and ``export`` read as they read any training's.
        command: how it is made again, for the ``config.yaml`` of ``out``.
        say: receives a line of progress a point.

    Returns:
        The content of ``front.json``: for each point the preference, and the metrics and losses by task on validation
        and test; ``nondominated`` by the metrics on validation (on test, without a validation split).

    Raises:
        RequestError: there is no such run, the preference does not fit its tasks, or ``out`` holds something.
    """
    if (preference is None) != (out is None):
        raise RequestError("a model of one preference needs both `preference` and `out`")
    if out is not None:
        _check_free(out)
    config = _config(run)
    tables.check_unchanged(config, run)
    request = TrainRequest.read(config["request"], f"{run / 'config.yaml'}")
    prepared = prepare(request, Loader())
    chosen = None if preference is None else _normalised(by_name(preference, prepared.data.names) or [])
    with held(run):
        learner = _learner(prepared, run)
        asked = design(len(prepared.data.names), points)
        found = []
        for number, point in enumerate(asked, start=1):
            found.append(_measured(learner, point.tolist()))
            if say:
                say(f"point {number}/{len(asked)}")
        about = {"format": measured_front.FORMAT, "run": str(run), FRONT: prepared.recipe.model[FRONT]}
        content = about | _told(learner, found)
        Manifest(run).write_json(measured_front.FILE, content)
    if chosen is not None and out is not None:
        _export(run, config, prepared, learner, chosen, out, command)
        content |= {"out": str(out), "preference": dict(zip(prepared.data.names, chosen, strict=True))}
    return content


def _check_free(out: Path) -> None:
    """Check, before anything is measured, that ``out`` holds no run."""
    files.check_directory(out)
    left = [name for name in ("config.yaml", *PRODUCTS) if os.path.lexists(out / name)]
    if left:
        raise RequestError(f"{out}: holds {left[0]} of a run; choose another `out`")


def _config(run: Path) -> dict[str, Any]:
    config = read_config(run)
    if config.get("kind") != "train":
        raise RequestError(f"{run}: holds {kind_in_words(config.get('kind'))}, not a training")
    recipe = config.get("recipe")
    model = recipe.get("model") if isinstance(recipe, dict) else None
    if not isinstance(model, dict) or FRONT not in model:
        raise RequestError(
            f"{run}: holds a model of one preference; train one for all with `settings` model.{FRONT}=palora"
        )
    readers.read_mapping(run / "result.json", "is the run finished? go on with `resume`")
    vouched.check(run, _READ)
    return config


def _normalised(values: Sequence[float]) -> list[float]:
    return [value / sum(values) for value in values]


def _learner(prepared: PreparedRun, run: Path) -> RunLearner:
    """Return a learner with the selected weights."""
    assert isinstance(prepared.request, TrainRequest)
    learner = prepared.learner(prepared.request.seed)
    _load(learner.model, run / "checkpoints" / "selected.pt")
    return learner


def _load(model: Any, path: Path) -> None:
    try:
        model.load_state_dict(files.load_tensors(path))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        raise RequestError(f"{path}: the tensors do not fit the settings of the model: {reason}") from None


def _measured(learner: RunLearner, preference: Sequence[float]) -> dict[str, Any]:
    learner.model.choose(preference)
    found = {split: learner.measure(split) for split in SPLITS if learner.data.has(split)}
    learner.model.choose(None)
    return {"preference": list(preference), "measured": found}


def _told(learner: RunLearner, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the points as plain data; a value that is no number is None."""
    objectives = learner.data.objectives
    told = [
        {"preference": dict(zip(learner.data.names, p["preference"], strict=True))}
        | {split: _values(seen, "metric") for split, seen in p["measured"].items()}
        | {f"{split}_loss": _values(seen, "loss") for split, seen in p["measured"].items()}
        for p in points
    ]
    by = next((split for split in SPLITS if told and split in told[0]), None)
    best = (
        _nondominated([list(p[by].values()) for p in told], [o.task.higher_is_better for o in objectives]) if by else []
    )
    return {
        "tasks": list(learner.data.names),
        "metrics": {o.name: o.task.metric_name for o in objectives},
        "higher_is_better": {o.name: o.task.higher_is_better for o in objectives},
        "nondominated_by": by,
        "points": [p | {"nondominated": flag} for p, flag in zip(told, best, strict=True)] if by else told,
    }


def _values(seen: Measurements, key: str) -> dict[str, float | None]:
    return {name: value[key] if math.isfinite(value[key]) else None for name, value in seen.items()}


def _nondominated(values: Sequence[Sequence[float | None]], higher: Sequence[bool]) -> list[bool]:
    """Return True for points that no other dominates; a point with a value that is no number is none of them."""
    known = {k: [v for v in row if v is not None] for k, row in enumerate(values) if None not in row}
    if not known:
        return [False] * len(values)
    flags = pareto.nondominated(list(known.values()), higher)
    best = {k for k, flag in zip(known, flags, strict=True) if flag}
    return [k in best for k in range(len(values))]


def _export(
    run: Path,
    config: Mapping[str, Any],
    prepared: PreparedRun,
    learner: RunLearner,
    preference: Sequence[float],
    out: Path,
    command: str,
) -> None:
    """Write the model of one preference as a finished training in ``out``."""
    network, names = prepared.recipe.model[FRONT], prepared.data.names
    asked = dict(config["request"]) | {"weights": dict(zip(names, preference, strict=True))}
    recipe = dict(config["recipe"]) | {"model": plain(config["recipe"]["model"])}
    old = readers.read_mapping(run / "result.json")
    measured = _measured(learner, preference)["measured"]
    states = {"selected": learner.model.plain(preference)}
    if (run / "checkpoints" / "final.pt").is_file():
        _load(learner.model, run / "checkpoints" / "final.pt")
        states["final"] = learner.model.plain(preference)
    wanted = ", ".join(f"{name}={value:.6g}" for name, value in asked["weights"].items())
    result = {key: old[key] for key in ("workload", "seed", "epoch") if key in old}
    result |= {"out": str(out), "method": f"{network}, preference {wanted}", "from": str(run)}
    result |= {"validation": {}, "test": {}} | {s: _averaged(_values(seen, "metric")) for s, seen in measured.items()}
    result["measures"] = {s: _by_metric(learner, seen) for s, seen in measured.items()}
    result |= {"skipped_steps": 0, "solver_failures": 0, "seconds": 0.0}
    with held(out):
        claim(out, "train", asked, False, command, recipe=recipe, table=config.get("table"))
        prepared.keep_table(out)
        log = Records(out)
        kept = LastCheckpoint(out, int(asked.get("seed") or 0), log)
        for split, seen in measured.items():
            log.append(rows.measured(learner.data.objectives, 0, int(old["epoch"]), split, seen))
        for name, state in states.items():
            kept.keep(name, state)
        kept.finish(result)


def _averaged(values: dict[str, float | None]) -> dict[str, float | None]:
    known = [v for v in values.values() if v is not None]
    return values | ({"average": sum(known) / len(known)} if len(known) == len(values) else {})


def _by_metric(learner: RunLearner, seen: Measurements) -> dict[str, dict[str, float | None]]:
    found = {}
    for o in learner.data.objectives:
        names = {"metric": o.task.metric_name} | {m.name: m.name for m in o.task.extra_metrics} | {"loss": "loss"}
        own = seen[o.name]
        found[o.name] = {
            shown: own[key] if math.isfinite(own[key]) else None for key, shown in names.items() if key in own
        }
    return found


def summary(content: Mapping[str, Any]) -> str:
    """Return the front as a table in text."""
    tasks = content["tasks"]
    split = "test" if content["points"] and "test" in content["points"][0] else content["nondominated_by"]
    lines = [
        f"{content[FRONT]}: {len(content['points'])} preferences, {split} metrics; * not dominated on "
        f"{content['nondominated_by']}"
    ]
    for p in content["points"]:
        wanted = ", ".join(f"{p['preference'][t]:.2f}" for t in tasks)
        values = "  ".join("-" if p[split][t] is None else f"{p[split][t]:.4f}" for t in tasks)
        lines.append(f"{'*' if p['nondominated'] else ' '} {wanted}   {values}")
    columns = [f"{t} ({content['metrics'][t]})" for t in tasks]
    lines.append(f"columns: {', '.join(columns)}")
    if "out" in content:
        wanted = ", ".join(f"{t}={x:.3g}" for t, x in content["preference"].items())
        lines.append(f"the model of {wanted}: {content['out']}")
    return "\n".join(lines)
