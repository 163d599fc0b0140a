"""Directories with trained models of tables: which model a directory means, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalarize.analysis import readers
from scalarize.runs.directory import kind_in_words, read_config
from scalarize.runs.saved_model import SavedModel, restore
from scalarize.utils import files, vouched
from scalarize.utils.errors import RequestError
from scalarize.workloads.models.fronts.settings import FRONT
from scalarize.workloads.table.fitted import FittedTable
from scalarize.workloads.table.own_table import objective_name
from scalarize.workloads.table.targets import Target

EXPORTED = "model.json"
FORMAT = "scalarize-model/1"
_READ = ("config.yaml", "result.json", "table.json", "checkpoints/selected.pt", "checkpoints/final.pt")


def load(path: str | Path) -> SavedModel:
    """Load a trained model of a table, to predict new rows with.

    The training table is not needed, and no code is run from the files.

    Args:
        path: directory of a training (``scalarize train --csv``), of a retrain (all its seeds, averaged), of a search
            (its newest retrain with the full history), or of an export as safetensors or torch.

    Returns:
        The model, on the CPU.

    Raises:
        RequestError: the directory holds none, or is damaged; one line says what would make one.

    >>> load("no/such/place")
    Traceback (most recent call last):
    scalarize.utils.errors.RequestError: no/such/place: no such directory
    """
    path = Path(path)
    if (path / EXPORTED).is_file():
        return _exported(path)
    return from_runs(run_directories(path))


def run_directories(path: Path) -> list[Path]:
    """Return the directories of the trainings that ``path`` means: itself, or those of a retrain.

    Raises:
        RequestError: ``path`` holds no finished training, or several kinds of them.
    """
    config = read_config(path)
    kind = config.get("kind")
    if kind == "search":
        return run_directories(_newest_retrain(path))
    if kind == "train":
        return [path]
    if kind != "compare":
        raise RequestError(f"{path}: holds {kind_in_words(kind)}, not a training, a retrain or a search")
    result = readers.read_mapping(path / "result.json", "is it finished? go on with `resume`")
    listed = result.get("runs")
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        raise RequestError(f"{path / 'result.json'}: 'runs' must list directories")
    for name in listed:
        if not (path / name).resolve().is_relative_to(path.resolve()):
            raise RequestError(f"{path / 'result.json'}: 'runs' names {name!r}, which does not lie in {path}")
    if "problem" not in config["request"]:  # a comparison of several rows
        raise RequestError(f"{path}: holds a comparison: name one of its runs, such as {path / listed[0]}")
    return [path / name for name in listed]


def _newest_retrain(path: Path) -> Path:
    done = [p.parent for p in path.glob("retrain-*/result.json") if _is_full(p.parent)]
    if not done:
        raise RequestError(
            f"{path}: a search has no model of its own, and none was trained with its full policy yet: "
            f"scalarize retrain {path}"
        )
    return max(done, key=lambda p: ((p / "result.json").stat().st_mtime_ns, p.name))


def _is_full(path: Path) -> bool:
    rows = readers.read_mapping(path / "result.json").get("rows")
    return isinstance(rows, list) and [r.get("method") for r in rows if isinstance(r, dict)] == ["policy"]


def from_runs(directories: Sequence[Path]) -> SavedModel:
    """Load the models of trainings of one table, as one model: their predictions are averaged.

    Raises:
        RequestError: a training is not finished, is not of a table, or is of another table than the first.
    """
    tables, states, settings = [], [], []
    for path in directories:
        vouched.check(path, _READ)
        config = read_config(path)
        readers.read_mapping(path / "result.json", "is the run finished? go on with `resume`")
        tables.append(_table(path, config))
        settings.append(_settings(path, config))
        if (path / "checkpoints" / "selected-method.pt").exists():
            raise RequestError(
                f"{path}: its method turns the representation for each task, and can so far not be used without it"
            )
        final, selected = (path / "checkpoints" / name for name in ("final.pt", "selected.pt"))
        states.append(files.load_tensors(final if final.is_file() else selected))
    for path, table, own in zip(directories, tables, settings, strict=True):
        if table.to_dict() != tables[0].to_dict() or own != settings[0]:
            raise RequestError(f"{path}: trained on another table, or with another model, than {directories[0]}")
    return SavedModel(restore(settings[0], tables[0], states), tables[0])


def _table(path: Path, config: Mapping[str, Any]) -> FittedTable:
    request = config["request"]
    if not request.get("csv"):
        named = request.get("workload") or "a workload"
        raise RequestError(f"{path}: a training on {named}: rows can be predicted by models of your own tables alone")
    if not (path / "table.json").is_file():
        raise RequestError(f"{path / 'table.json'}: missing: made by an earlier version; train again")
    table = _fitted(path / "table.json")
    asked = [request["single"]] if request.get("single") else list(request.get("tasks") or [])
    if not asked:
        return table
    if table.domain is not None and len(table.targets) == 1:
        return replace(table, domain=(table.domain[0], tuple(d for d in table.domain[1] if d in asked)))
    return replace(table, targets=_kept(table, asked))


def _kept(table: FittedTable, asked: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets of the tasks or domains that a training was restricted to."""
    if table.domain is None:
        return tuple(t for t in table.targets if t.name in asked)
    names = {objective_name(t, d, table.targets): t.name for t in table.targets for d in table.domain[1]}
    kept = {names[name] for name in asked if name in names}
    return tuple(t for t in table.targets if t.name in kept)


def _fitted(path: Path) -> FittedTable:
    try:
        return FittedTable.from_dict(files.read_json(path))
    except RequestError as error:
        raise RequestError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def _settings(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    recipe = config.get("recipe")
    model = recipe.get("model") if isinstance(recipe, dict) else None
    if not isinstance(model, dict):
        raise RequestError(f"{path / 'config.yaml'}: the recipe's settings of the model are missing")
    if FRONT in model:
        raise RequestError(
            f"{path}: holds one model for all preferences: make one of them an ordinary model first, with `scalarize "
            "front`, `preference` and `out`"
        )
    return model


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of the model that ``path`` means, a run or an export. Raises RequestError if it has none."""
    if (path / EXPORTED).is_file():
        return dict(readers.read_mapping(path / EXPORTED)["settings"])
    run = run_directories(path)[0]
    return _settings(run, read_config(run))


def _exported(path: Path) -> SavedModel:
    content = readers.read_mapping(path / EXPORTED)
    if content.get("format") != FORMAT:
        raise RequestError(f"{path / EXPORTED}: no exported model: 'format' must be {FORMAT!r}")
    table = _fitted(path / "preparation.json")
    kind, members, settings = (content.get(key) for key in ("kind", "members", "settings"))
    if kind == "onnx":
        raise RequestError(f"{path}: holds ONNX: README.md there says how it is run; export torch for this")
    if kind not in ("torch", "safetensors") or not isinstance(members, int) or not isinstance(settings, dict):
        raise RequestError(f"{path / EXPORTED}: 'kind', 'members' or 'settings' is damaged")
    if kind == "torch":
        tensors = files.load_tensors(path / "model.pt")
    else:
        from safetensors.torch import load as parse  # type: ignore[import-not-found,unused-ignore]

        try:
            tensors = parse(files.read_bytes(path / "model.safetensors"))
        except Exception as error:  # the package has its own errors
            raise RequestError(f"{path / 'model.safetensors'}: cannot be read: {error}") from None
    states = _states(path, tensors, members)
    return SavedModel(restore(settings, table, states), table, content.get("facts") or {})


def _states(path: Path, tensors: Any, members: int) -> list[dict[str, Any]]:
    """Return the tensors of each model, by their names in it."""
    states: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items() if isinstance(tensors, dict) else ():
        number, _, own = str(name).partition(".")
        states.setdefault(number, {})[own] = tensor
    if not states or set(states) != {str(k) for k in range(len(states))} or len(states) != members:
        raise RequestError(f"{path}: {members} models were exported, and the tensors are of {len(states)}")
    return [states[str(k)] for k in range(members)]
