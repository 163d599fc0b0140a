"""Export of a trained model of a table: tensors, the preparation as JSON, and a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from scalarize.runs import model_card
from scalarize.runs.load import EXPORTED, FORMAT, load, read_settings, run_directories
from scalarize.runs.onnx_file import onnx_bytes
from scalarize.runs.saved_model import SavedModel
from scalarize.utils import files
from scalarize.utils.errors import RequestError, unknown_name_error

KINDS = {"safetensors": "model.safetensors", "torch": "model.pt", "onnx": "model.onnx"}


def export(source: Path, kind: str, out: Path) -> dict[str, Any]:
    """Write a trained model of a table to a directory of its own.

    ``preparation.json`` holds what turns rows into numbers and outputs into predictions, ``model.json`` the shape of
    the model, ``README.md`` the model card. ONNX holds the network from prepared numbers on.

    Args:
        source: directory of a training, a retrain, a search, or an export as torch or safetensors.
        kind: ``safetensors``, ``torch`` or ``onnx``.
        out: the directory to write, which must not hold anything.

    Returns:
        The JSON of ``export``: the directory, its format and its files.

    Raises:
        RequestError: there is no model, ``kind`` is unknown or needs a package, or ``out`` holds something.
    """
    if kind not in KINDS:
        raise unknown_name_error("format", kind, KINDS)
    files.check_directory(out)
    if out.is_dir() and any(out.iterdir()):
        raise RequestError(f"{out}: holds files already; choose another `out`")
    model = load(source)
    exported = (source / EXPORTED).is_file()
    facts = dict(model.facts) if exported else model_card.facts(source, run_directories(source), model.table)
    content: dict[str, bytes] = {
        KINDS[kind]: _tensors(model, kind),
        "preparation.json": _json(model.table.to_dict()),
        EXPORTED: _json(
            {
                "format": FORMAT,
                "kind": kind,
                "targets": model.targets,
                "members": len(model.network.members),
                "settings": read_settings(source),
                "facts": facts,
            }
        ),
        "README.md": model_card.page(facts, model.table, kind, KINDS[kind]).encode(),
    }
    for name, each in content.items():
        files.write_bytes(out / name, each)
    return {"out": str(out), "format": kind, "files": list(content)}


def _tensors(model: SavedModel, kind: str) -> bytes:
    if kind == "onnx":
        return onnx_bytes(model)
    state = {
        f"{number}.{name}": tensor.detach().clone().contiguous()
        for number, member in enumerate(model.network.members)
        for name, tensor in member.state_dict().items()
    }
    if kind == "torch":
        return files.tensor_bytes(state)
    return _safetensors(state)


def _safetensors(state: dict[str, Tensor]) -> bytes:
    from safetensors.torch import save

    content: bytes = save(state, {"format": "pt"})
    return content


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
