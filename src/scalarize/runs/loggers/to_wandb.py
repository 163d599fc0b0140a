"""Weights & Biases: one run per directory, in the project ``scalarize`` unless WANDB_PROJECT names another.

Its own settings rule the rest: WANDB_MODE=offline writes to the run's directory without a network.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.runs.loggers.scalars import Scalar, Writer

PACKAGE, INSTALL = "wandb", "'scalarize[loggers]'"


def open_run(directory: Path, config: Mapping[str, Any]) -> Writer:
    """Begin a run named like its directory."""
    return _Run(directory, config)


class _Run:
    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "scalarize")
        self._run = wandb.init(
            project=project, name=directory.name, dir=str(directory), config=dict(config), reinit="finish_previous"
        )
        # A step of its own, since W&B drops what comes with an earlier step than the last.
        self._run.define_metric("*", step_metric="step")

    def write(self, found: Sequence[Scalar]) -> None:
        for step, group in itertools.groupby(found, key=lambda scalar: scalar.step):
            self._run.log({"step": step, **{name: value for name, _, value in group}})

    def close(self) -> None:
        self._run.finish()
