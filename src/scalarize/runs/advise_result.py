"""The files of an advice: the answer, the policy to use, and the table of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scalarize.analysis import advice_words, comparison, text_tables
from scalarize.analysis.advice import Advice, Decision
from scalarize.analysis.race import Course, Scores
from scalarize.methods import advised
from scalarize.runs.advise_contenders import SEARCHES, SINGLE, Contenders
from scalarize.runs.comparison_records import diverged
from scalarize.runs.plan import FinishedRun
from scalarize.runs.row_values import RowValue
from scalarize.runs.task_score import AVERAGE
from scalarize.utils import files
from scalarize.utils.manifest import Manifest

Values = Mapping[tuple[str, int], RowValue]


def write(
    out: Path,
    request: Any,
    contenders: Contenders,
    course: Course,
    advice: Advice,
    splits: list[Scores],
    values: Values,
    finished: Mapping[str, FinishedRun],
    train_with: Callable[[str, str], str],
) -> dict[str, Any]:
    """Write ``advice.json``, ``policy.json`` and ``result.json`` in ``out``; return the content of the first.

    Args:
        out: the directory.
        request: what was asked.
        contenders, course, advice, splits: the race and its answer.
        values: of each contender and seed.
        finished: their runs.
        train_with: (kind, value) -> the command that trains with what is advised.
    """
    data, kept = contenders.prepared.data, Manifest(out)
    found = [_record(contenders, value, finished) for value in values.values()]
    seen = [v for scores in splits for own in scores.values() for v in own.values()]
    units = advice_words.units_of(seen, request.margin is not None, contenders.tested)
    others = [name for name in data.names if name != contenders.main]
    said = advice_words.sentences(advice, contenders.field, course, units, others)
    first = course.seeds[0] if course.seeds else 0
    method = advice.method if advice.kind is not Decision.UNDECIDED else advised.EVEN
    policy = contenders.policy(method, values.get((method, first)), finished)
    origin = {"command": "advise", "answer": advice.kind.value, "method": method}
    content = policy.to_dict() | {"provenance": {**policy.provenance, "advice": origin}}
    kept.write_json("policy.json", content)
    trainings = _trainings(values, finished)
    result = {
        **advice_words.as_data(advice, contenders.field, course, trainings),
        "command": train_with(*_source(method, contenders, out)),
        "policy": str(out / "policy.json"),
        "weights": dict(zip(policy.tasks, policy.mean().weights_at(0).tolist(), strict=True)),
        "words": said,
        "score": request.score,
        "workload": request.label,
        "out": str(out),
    }
    if found:
        table = {
            "out": str(out),
            "race": result["scores"],
            "rows": comparison.rows(found),
            "verdicts": [*said, *diverged(found)],
            "workload": request.label,
            "runs": [d for r in found for d in r["directories"]],
            "found": found,
        }
        kept.write_json("result.json", table | _direction(request, contenders))
    kept.write_json("advice.json", result)
    return result


def _direction(request: Any, contenders: Contenders) -> dict[str, Any]:
    errors = [o.name for o in contenders.prepared.data.objectives if not o.task.higher_is_better]
    lower = [*errors, "average"] if len(errors) == len(contenders.prepared.data.names) else errors
    return {"lower_is_better": lower} | ({} if request.score == AVERAGE else {"score": contenders.judge.to_dict()})


def _record(contenders: Contenders, value: RowValue, finished: Mapping[str, FinishedRun]) -> dict[str, Any]:
    """Return a value as a comparison's record; a model of the main task alone has no metrics of the others."""
    names = contenders.prepared.data.names
    record = value.record(finished, None, names)
    whole = dict.fromkeys(names) | record["test"]
    split = "test" if contenders.tested else "validation"
    score = contenders.scored(value, finished, split)
    shown = None if score != score else -score if contenders.judge.lower_is_better else score
    more = {} if contenders.judge.name == AVERAGE else {"score": shown}
    average = record["average"] if all(v is not None for v in whole.values()) else None
    validation = contenders.scored(value, finished, "validation")
    return (
        record
        | {"test": whole, "average": average, "validation": None if validation != validation else validation}
        | more
    )


def _trainings(values: Values, finished: Mapping[str, FinishedRun]) -> float:
    searches = sum(float(finished[name].result["trainings"]) for name in SEARCHES if name in finished)
    return sum(len(value.trainings) for value in values.values()) + searches


def _source(method: str, contenders: Contenders, out: Path) -> tuple[str, str]:
    """Return the source of weights of a training as it is advised: a kind and its value."""
    if method == SINGLE:
        return ("models", "") if contenders.main is None else ("single", contenders.main)
    if method in advised.LEARNED:
        return "method", method
    return "policy", str(out / "policy.json")


def summary(result: Mapping[str, Any], out: Path) -> str:
    """Return the table of the race in ``out``, the answer, the policy and the command as text."""
    shown = []
    if (out / "result.json").exists():
        table = files.read_json(out / "result.json")
        scale = comparison.display_scale(table["found"])
        shown = [text_tables.comparison_table(table["rows"], scale, **comparison.ranking(table))]
    answer, *reasons = result["words"]
    weights = ", ".join(f"{name} {value:.3g}" for name, value in result["weights"].items())
    lines = [*shown, *reasons, f"{result['trainings']:g} trainings", "", answer]
    return "\n".join([*lines, f"weights: {weights}", f"policy: {result['policy']}", f"train with: {result['command']}"])
