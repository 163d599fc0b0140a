"""The file that a finished job leaves: its metrics, its training time and, where needed, the learner's state."""

from __future__ import annotations

from typing import Any

from scalarize import files
from scalarize.errors import RequestError

FORMAT = "scalarize-member/1"


def write(path: str, metrics: dict[str, float], seconds: float, state: dict[str, Any] | None) -> None:
    """Write atomically. Raises RunError where the disk does not take it."""
    files.save_tensors(path, {"format": FORMAT, "metrics": metrics, "seconds": seconds, "state": state})


def read(path: str) -> tuple[dict[str, float], dict[str, Any] | None, float]:
    """Metrics, state (None where it was not kept) and seconds of training.

    Raises RequestError naming a file that is missing, cut short or something else.
    """
    content = files.load_tensors(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(f"{path}: not a member's checkpoint")
    return content["metrics"], content["state"], content["seconds"]
