"""``predict``: new rows of a table, with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option


@click.command()
@click.argument("run", type=click.Path())
@click.option("--csv", required=True, metavar="FILE", help="The rows, with the columns that were inputs.")
@click.option("--out", required=True, metavar="FILE.csv", help="Where to write: one row each, a column a target.")
@click.option("--probabilities", is_flag=True, help="Add a column TARGET: CLASS for every class.")
@json_option
def predict(run: str, csv: str, out: str, probabilities: bool, as_json: bool) -> None:
    """Predict new rows of a table, in the targets' own units and class names.

    RUN is a training, a retrain, a search (of which the newest retrain predicts) or an export.
    """
    from scalarize.runs import predict as predictions

    result = predictions.predict(Path(run), Path(csv), Path(out), probabilities)
    emit(result, as_json, predictions.summary(result))
