"""``export``: a trained model of a table, for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from scalarize.cli import emit
from scalarize.cli.options import json_option


@click.command()
@click.argument("run", type=click.Path())
@click.option("--format", "kind", required=True, metavar="FORMAT", help="safetensors, torch or onnx.")
@click.option("--out", required=True, metavar="DIR", help="Where to write: the model, its preparation, a model card.")
@json_option
def export(run: str, kind: str, out: str, as_json: bool) -> None:
    """Export a model of a table as safetensors, torch or ONNX, with its preparation and a model card."""
    from scalarize.runs import export as exports

    result = exports.export(Path(run), kind, Path(out))
    emit(result, as_json, f"{result['out']}: {', '.join(result['files'])}")
