"""The file of a finished job: its metrics, its training time and, if needed, the learner's state."""

from __future__ import annotations

from typing import Any

from scalarize.search.executors import storage
from scalarize.utils import files
from scalarize.utils.errors import RequestError

WORTH_A_SYNC = 1.0  # seconds of training above which a checkpoint is synced to survive a power cut
FORMAT = "scalarize-member/1"


def write(path: str, metrics: dict[str, float], seconds: float, state: dict[str, Any] | None) -> None:
    """Write the file at ``path``, a path or a URL. Raises RunError if that fails."""
    storage.write(path, to_bytes(metrics, seconds, state), sync=seconds >= WORTH_A_SYNC)


def to_bytes(metrics: dict[str, float], seconds: float, state: dict[str, Any] | None) -> bytes:
    """Return the bytes that :func:`write` writes."""
    return files.tensor_bytes({"format": FORMAT, "metrics": metrics, "seconds": seconds, "state": state})


def read(path: str, content: bytes | None = None) -> tuple[dict[str, float], dict[str, Any] | None, float]:
    """Return metrics, state (None if it was not kept) and seconds of training, from the file or its ``content``.

    Raises RequestError that names a file that is missing, cut short or of another kind.
    """
    found = files.load_tensors(path, storage.read(path) if content is None else content)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RequestError(f"{path}: not a member's checkpoint")
    return found["metrics"], found["state"], found["seconds"]
