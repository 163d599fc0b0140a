"""Weights and metrics measured elsewhere, in a table: the policy that a regression proposes, without any training."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scalarize.runs.directory import claim, digest
from scalarize.search import lineage, runs_table
from scalarize.search import score as scores
from scalarize.search.algorithms.base import NO_PARENT, Generation, GenerationResult
from scalarize.search.surrogates import mixture_fit
from scalarize.utils import documents, files
from scalarize.utils.holding import held
from scalarize.utils.manifest import Manifest
from scalarize.weights.policy import Policy


def search(
    table: str | Path,
    score: str = "average",
    reference: Mapping[str, float] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    command: str = "",
    resume: bool = False,
) -> dict[str, Any]:
    """Read ``table`` (see :func:`scalarize.search.runs_table.read`), fit, and write the proposal to ``out``.

    score, reference: over the table's metrics, as in any search. epochs: length of the constant policy (default 1).
    The result's ``score`` and ``metrics`` are predictions (negated if lower is better); ``interval`` holds 90 % of
    new runs; ``forms`` what each form says; ``warnings`` why not to trust it. ``lineage.jsonl`` holds the table's runs.
    """
    begun = time.monotonic()
    content = files.read_bytes(table, documents.MOST_TABLE)
    runs = runs_table.read(table)
    judge = scores.create(score, runs.metrics, reference)
    request = {
        "algorithm": "regression",
        "runs": Path(table).name,
        "content": digest({"table": content.decode(errors="replace")}),
        "score": score,
        "reference": dict(reference) if reference else None,
        "epochs": epochs,
        "seed": seed,
    }
    target = Path(out or f"runs/search-{Path(table).stem}-{digest(request)}")
    with held(target):
        there = claim(target, "search", request, resume, command)
        if there and (target / "result.json").exists():
            done: dict[str, Any] = files.read_json(target / "result.json")
            return done
        kept = Manifest(target)
        fitted = mixture_fit.fit(runs.weights, runs.values)
        proposal = mixture_fit.propose(fitted, judge, seed=seed)
        default = proposal.opinions[0]
        predicted = dict(zip(runs.metrics, fitted.predict(proposal.weights[None])[0].tolist(), strict=True))
        policy = Policy.constant(
            dict(zip(runs.tasks, proposal.weights.tolist(), strict=True)),
            epochs or 1,
            {"command": "search", **request, "found": {"predicted": default.predicted, "metrics": predicted}},
        )
        _write_lineage(kept, runs, judge(runs.values))
        kept.write_json("policy.json", policy.to_dict())
        left_out = [f"{runs.left_out} runs without finite metrics are left out"] if runs.left_out else []
        result = {
            "out": str(target),
            "algorithm": "regression",
            "score": default.predicted,
            "interval": [default.low, default.high],
            "metrics": predicted,
            "weights": dict(zip(runs.tasks, proposal.weights.tolist(), strict=True)),
            "policy": str(target / "policy.json"),
            "generations": 0,
            "configurations": len(runs.values),
            "trainings": 0,
            "seconds": time.monotonic() - begun,
            "seconds_training": 0.0,
            "warnings": [*left_out, *proposal.warnings],
            "forms": [_row(runs.tasks, opinion) for opinion in proposal.opinions],
            "chosen": dict(zip(runs.metrics, fitted.chosen, strict=True)),
        }
        kept.write_json("result.json", result)
        return result


def summary(result: Mapping[str, Any]) -> str:
    """Return the result as lines for a terminal."""
    low, high = result["interval"]
    weights = ", ".join(f"{name}={weight:.3f}" for name, weight in result["weights"].items())
    said = f"{result['score']:.4f} ({low:.4f} to {high:.4f})"
    lines = [
        f"regression on {result['configurations']} runs: predicted score {said}",
        f"weights: {weights}",
    ]
    for row in result["forms"]:
        lines.append(
            f"  {row['form']}: explains {max(row['explained'], 0.0):.0%} of held-out variance, predicts "
            f"{row['predicted']:.4f} ({row['low']:.4f} to {row['high']:.4f}), regret {row['regret']:.2f}"
        )
    return "\n".join([*lines, *(f"warning: {w}" for w in result["warnings"]), str(result["policy"])])


def _row(tasks: tuple[str, ...], opinion: mixture_fit.Opinion) -> dict[str, Any]:
    optimum = dict(zip(tasks, opinion.optimum.tolist(), strict=True))
    return {**opinion._asdict(), "optimum": optimum}


def _write_lineage(kept: Manifest, runs: runs_table.Runs, score: np.ndarray[Any, Any]) -> None:
    n = len(score)
    generation = Generation(0, 1, np.arange(n), np.full(n, NO_PARENT), runs.weights)
    rows = lineage.lineage_rows(GenerationResult(generation, runs.values, score))
    kept.write("lineage.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
