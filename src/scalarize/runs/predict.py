"""Predictions for the rows of a file, written to a file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalarize.runs import tables
from scalarize.runs.directory import read_config
from scalarize.runs.load import EXPORTED, load, run_directories
from scalarize.runs.saved_model import SavedModel
from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.workloads.table import reading
from scalarize.workloads.table.encodings import Category

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz")


def predict(source: Path, csv: Path, out: Path, probabilities: bool = False) -> dict[str, Any]:
    """Predict the rows of a table with a trained model.

    Args:
        source: directory of a training, a retrain, a search or an export, see :func:`scalarize.runs.load.load`.
        csv: the rows: CSV (plain or gzip) or Parquet, with the columns that were inputs.
        out: the CSV file to write: one row for each, in the same order, a column a target.
        probabilities: add those of every class.

    Returns:
        The JSON of ``predict``: the path, the number of rows, the columns, how many models were averaged, and notes on
        cells that could not be read.

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
    frame = reading.read(csv).frame
    found = model.predict(frame, probabilities)
    content = found.to_csv(index=False).encode()
    files.write_bytes(out, gzip.compress(content, mtime=0) if str(out).endswith(".gz") else content)
    models = len(model.network.members)
    told = {"out": str(out), "rows": len(found), "columns": list(found.columns), "models": models}
    return told | {"notes": strays(model, frame)}


def strays(model: SavedModel, frame: pd.DataFrame) -> list[str]:
    """Say which words stand among an input's numbers or dates: they were counted as missing."""
    told = []
    for encoding in model.table.encodings:
        cells = frame[encoding.name]
        if not isinstance(encoding, Category) and cells.dtype.kind not in "fiub" and len(frame):
            told.append(encoding.column(cells.reset_index(drop=True)).stray_words())
    return [line for line in told if line]


def summary(result: dict[str, Any]) -> str:
    """Return the answer as text."""
    averaged = f", mean of {result['models']} models" if result["models"] > 1 else ""
    first = f"{result['out']}: {result['rows']} rows: {', '.join(result['columns'])}{averaged}"
    return "\n".join([*(f"note: {note}" for note in result["notes"]), first])
