"""Refitting: a model of the same recipe on all rows of a table, once its test has been read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scalarize.methods import Method
from scalarize.runs.build import PreparedRun
from scalarize.tasks.task import Data


def all_rows(data: Data) -> Data:
    """Return data whose training split is all splits together; an epoch has as many samples as before, so that equal
    epochs are equal steps."""
    domains = {}
    for name, domain in data.domains.items():
        parts = list(domain.splits.values())
        domains[name] = replace(domain, splits={"train": type(parts[0]).concat(parts)})  # type: ignore[attr-defined]
    return replace(data, domains=domains)


def refit(prepared: PreparedRun, method: Method, seed: int, epochs: int) -> dict[str, Any]:
    """Train a fresh model on all rows.

    It is the model that predicts new rows. Its quality is what the test split showed of the model trained on fewer
    rows, or better: nothing is left to measure it on.

    Args:
        prepared: the run, whose recipe and preparation are kept.
        method: a fresh one, of the same kind.
        seed: of the run.
        epochs: after which the run's best model was found, on validation.

    Returns:
        The state of the model.

    Raises:
        DivergedError: losses or gradients were not finite.
    """
    everything = replace(prepared, data=all_rows(prepared.data))
    learner = everything.learner(seed)
    learner.train(method, epochs)
    model: dict[str, Any] = learner.state_dict()["model"]
    return model
