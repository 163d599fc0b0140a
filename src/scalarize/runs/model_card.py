"""The model card of an export: what was trained on what, how good it is, and how it is made again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.analysis import readers, statistics
from scalarize.runs.directory import read_config
from scalarize.runs.onnx_file import INPUTS, meaning
from scalarize.runs.policy_from_run import policy_of_run
from scalarize.utils.errors import RequestError
from scalarize.workloads.table.fitted import FittedTable


def facts(source: Path, runs: Sequence[Path], table: FittedTable) -> dict[str, Any]:
    """Collect the facts about trained models.

    Args:
        source: the directory that was asked for.
        runs: directories of the trainings behind it.
        table: their fitted table.

    Returns:
        Plain data: fingerprint of the table, metrics by task with intervals, weights, commands, versions.
    """
    results = [readers.read_mapping(run / "result.json") for run in runs]
    configs = [read_config(run) for run in runs]
    found = dict.fromkeys([source, runs[0].parent.parent if len(runs) > 1 or runs[0] != source else source, *runs[:1]])
    commands = [c for place in found if (c := _command(place)) is not None]
    return {
        "table": dict(table.fingerprint),
        "targets": {t.name: t.words() for t in table.targets},
        "seeds": [r.get("seed") for r in results],
        "refit": all((run / "checkpoints" / "final.pt").is_file() for run in runs),
        "metrics": _metrics([r.get("measures") for r in results]),
        "method": results[0].get("method"),
        "weights": _weights(runs),
        "commands": list(dict.fromkeys(commands)),
        "versions": configs[0].get("versions"),
    }


def _command(place: Path) -> str | None:
    if not (place / "config.yaml").is_file():
        return None
    command = read_config(place).get("command")
    return command if isinstance(command, str) else None


def _metrics(measures: Sequence[Any]) -> dict[str, Any]:
    """Return task -> metric -> mean and 95 % interval over the seeds, on the test split."""
    tests = [m.get("test") or m.get("validation") or {} for m in measures if isinstance(m, Mapping)]
    found: dict[str, Any] = {}
    for task, values in (tests[0] if tests else {}).items():
        for name in values:
            own = [float(t[task][name]) for t in tests if t.get(task, {}).get(name) is not None]
            if len(own) == len(tests) and name != "loss":
                interval = statistics.t_interval(own).to_dict()
                found.setdefault(task, {})[name] = {k: interval[k] for k in ("mean", "low", "high")}
    return found


def _weights(runs: Sequence[Path]) -> dict[str, float] | None:
    """Return the mean weights of the trainings, over steps and seeds; None if their method has none."""
    sums: dict[str, float] = {}
    for run in runs:
        try:
            policy = policy_of_run(run)[0].history("mean")
        except RequestError:
            return None
        for task, weight in zip(policy.tasks, policy.weights_at(0), strict=True):
            sums[task] = sums.get(task, 0.0) + float(weight) / len(runs)
    return sums


def page(known: Mapping[str, Any], table: FittedTable, kind: str, file: str) -> str:
    """Write the model card in Markdown.

    Args:
        known: as :func:`facts` collects them.
        table: the fitted table.
        kind: format of the export.
        file: name of the file with the model.

    Returns:
        The text of ``README.md``.
    """
    data = known.get("table") or {}
    names = ", ".join(f"`{t.name}`" for t in table.targets)
    seeds = known.get("seeds") or []
    parts = [
        f"# A model of {names}",
        f"Predicts {names} from {len(table.columns)} columns of a table. `{file}` holds "
        + (f"{len(seeds)} trained models, whose predictions are averaged" if len(seeds) > 1 else "one trained model")
        + "; `preparation.json` holds what turns rows into numbers and outputs into predictions.",
        "## Use",
        _use(table, kind),
        "## Quality",
        _quality(known, seeds),
        "## Data",
        f"Trained on {data.get('name')}: {data.get('rows')} rows, {data.get('columns')} columns, SHA-256 "
        f"`{data.get('sha256')}`.",
        _list("Targets", [f"`{t.name}`: {t.words()}{_balance(t)}" for t in table.targets]),
        _list("Inputs", [f"`{e.name}`: {e.kind}" for e in table.encodings]),
        _list("Left out", [f"`{name}`: {why}" for name, why in table.left_out.items()]),
        "## Task weights",
        _weighed(known),
        "## How to make it again",
        "\n".join(f"    {command}" for command in known.get("commands") or ["unknown"]),
        "With " + ", ".join(f"{name} {version}" for name, version in (known.get("versions") or {}).items()) + ".",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _use(table: FittedTable, kind: str) -> str:
    if kind != "onnx":
        return (
            '```python\nimport pandas as pd\nimport scalarize\n\nmodel = scalarize.load(".")  # this directory\n'
            'model.predict(pd.read_csv("new.csv"))  # one row each, in the targets\' own units and classes\n```\n\n'
            "or `scalarize predict . --csv new.csv --out predictions.csv`."
        )
    lines = [
        f"`{t.name}`: {meaning(t)}" + (f" ({', '.join(map(str, t.classes))})" if t.classes else "")
        for t in table.targets
    ]
    return (
        f"The input `{INPUTS}` holds prepared rows, float32 (N, {table.info['inputs']}), as `preparation.json` says: a "
        "number as (x - mean) / deviation, 0 if it is missing, then 1 or 0 for missing if its indicator is true; "
        "a date as such a number of seconds since 1970, with sine and cosine of its place in the year and the week; "
        "then for each category the place of its word among those known, from 1, and 0 for any other word.\n\n"
        + _list("Outputs", lines)
    )


def _quality(known: Mapping[str, Any], seeds: Sequence[Any]) -> str:
    rows = []
    for task, metrics in (known.get("metrics") or {}).items():
        for name, cell in metrics.items():
            interval = "" if cell["low"] is None else f"{cell['low']:.4g} to {cell['high']:.4g}"
            rows.append(f"| {task} | {name} | {_number(cell['mean'])} | {interval} |")
    if not rows:
        return "Not measured."
    told = "Measured on rows that were neither trained on nor chosen by"
    told += f", mean and 95 % interval over {len(seeds)} seeds of training." if len(seeds) > 1 else ", one training."
    if known.get("refit"):
        told += " The model was then trained again on all rows, for as many steps."
    return told + "\n\n| target | metric | mean | 95 % interval |\n| --- | --- | --- | --- |\n" + "\n".join(rows)


def _weighed(known: Mapping[str, Any]) -> str:
    weights = known.get("weights")
    if not weights:
        return f"By the method `{known.get('method')}`, which has no fixed weights."
    mean = ", ".join(f"`{task}` {weight:.4g}" for task, weight in weights.items())
    return (
        f"Method `{known.get('method')}`; weights of the losses in standardised units, mean over the training: {mean}."
    )


def _balance(target: Any) -> str:
    shares = target.frequencies
    if not shares:
        return f", mean {target.centre:.6g}, deviation {target.scale:.6g}" if target.kind != "count" else ""
    largest = max(range(len(shares)), key=lambda k: shares[k])
    return f", {100 * shares[largest]:.1f} % {target.classes[largest]}"


def _list(title: str, items: Sequence[str]) -> str:
    return f"{title}:\n\n" + "\n".join(f"- {item}" for item in items) if items else ""


def _number(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.4g}"
