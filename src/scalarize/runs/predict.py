"""Predictions for the rows of a file, written to a file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from scalarize.runs import tables
from scalarize.runs.directory import read_config
from scalarize.runs.load import EXPORTED, load, run_directories
from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.workloads.table import reading

ENDINGS = (".csv", ".csv.gz")


def predict(source: Path, csv: Path, out: Path, probabilities: bool = False) -> dict[str, Any]:
    """Predict the rows of a table with a trained model.

    Args:
        source: directory of a training, a retrain, a search or an export, see :func:`scalarize.runs.load.load`.
        csv: the rows: CSV (plain or gzip) or Parquet, with the columns that were inputs.
        out: the CSV file to write: one row for each, in the same order, a column a target.
        probabilities: add those of every class.

    Returns:
        The JSON of ``predict``: the path, the number of rows, the columns, and how many models were averaged.

    Raises:
        RequestError: there is no model, the rows do not fit it, ``out`` exists, or the table that the model was trained
            on is there and was changed.
    """
    if not str(out).endswith(ENDINGS):
        raise RequestError(f"`out` {out}: predictions are CSV: name a file that ends with {' or '.join(ENDINGS)}")
    if out.exists() or out.is_symlink():
        raise RequestError(f"{out}: exists already; choose another `out`")
    files.check_directory(out.parent)
    if not (source / EXPORTED).is_file():
        for run in run_directories(source):
            tables.check_unchanged(read_config(run), run)
    model = load(source)
    found = model.predict(reading.read(csv).frame, probabilities)
    content = found.to_csv(index=False).encode()
    files.write_bytes(out, gzip.compress(content, mtime=0) if str(out).endswith(".gz") else content)
    models = len(model.network.members)
    return {"out": str(out), "rows": len(found), "columns": list(found.columns), "models": models}


def summary(result: dict[str, Any]) -> str:
    """Return the answer as text."""
    averaged = f", mean of {result['models']} models" if result["models"] > 1 else ""
    return f"{result['out']}: {result['rows']} rows: {', '.join(result['columns'])}{averaged}"
