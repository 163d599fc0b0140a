"""MLflow: one run per directory, in the experiment ``scalarize`` unless MLFLOW_EXPERIMENT_NAME names another.

MLFLOW_TRACKING_URI says where to: a server, or a place on this machine, which needs no network.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.runs.loggers.scalars import Scalar, Writer

PACKAGE, INSTALL = "mlflow", "'scalarize[loggers]'"
AT_ONCE, LONGEST = 1000, 500  # metrics in one request; characters of a parameter


def open_run(directory: Path, config: Mapping[str, Any]) -> Writer:
    """Begin a run named like its directory, with the request as parameters."""
    return _Run(directory, config)


class _Run:
    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "scalarize")
        self._client, self._metric = MlflowClient(), Metric
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        self._id = self._client.create_run(experiment, run_name=directory.name).info.run_id
        asked = [Param(key, str(value)[:LONGEST]) for key, value in config.items() if value not in (None, {}, [])]
        self._client.log_batch(self._id, params=asked)

    def write(self, found: Sequence[Scalar]) -> None:
        now = int(1000 * time.time())
        # MLflow's names know letters, digits and _-./ and the blank.
        rows = [self._metric(re.sub(r"[^\w\-./ ]", "_", name), value, now, step) for name, step, value in found]
        for start in range(0, len(rows), AT_ONCE):
            self._client.log_batch(self._id, metrics=rows[start : start + AT_ONCE])

    def close(self) -> None:
        self._client.set_terminated(self._id)
