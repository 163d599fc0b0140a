"""The file of a finished job: its metrics, its training time and, if needed, the learner's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from scalarize.search.executors import storage
from scalarize.utils import digests, files, seals
from scalarize.utils.errors import RequestError

WORTH_A_SYNC = 1.0  # seconds of training above which a checkpoint is synced to survive a power cut
FORMAT = "scalarize-member/1"


class Child(Protocol):
    """A job that continues another's state: its generation, and the digest of that state's file."""

    @property
    def generation(self) -> int: ...
    @property
    def parent_digest(self) -> str | None: ...


def write(path: str, content: bytes, seconds: float) -> None:
    """Write the file at ``path``, a path or a URL, after so many seconds of training. Raises RunError if that fails."""
    storage.write(path, content, sync=seconds >= WORTH_A_SYNC)


def to_bytes(metrics: dict[str, float], seconds: float, state: dict[str, Any] | None, by: Mapping[str, Any]) -> bytes:
    """Return the content of the file, sealed with what writes it."""
    return seals.tensor_bytes({"format": FORMAT, "metrics": metrics, "seconds": seconds, "state": state}, by)


def read(path: str, content: bytes | None = None) -> tuple[dict[str, float], dict[str, Any] | None, float]:
    """Return metrics, state (None if it was not kept) and seconds of training, from the file or its ``content``.

    Raises RequestError that names a file that is missing, cut short or of another kind.
    """
    found = files.load_tensors(path, storage.read(path) if content is None else content)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RequestError(f"{path}: not a member's checkpoint")
    return found["metrics"], found["state"], found["seconds"]


def read_parent(path: str, job: Child) -> bytes:
    """Return the content of the file that a job continues.

    Args:
        path: of the file, a path or a URL.
        job: knows the file's digest; None: any content is believed.

    Returns:
        The content.

    Raises:
        RequestError: the file is gone, or not the one that was written; the message says how to go on.
    """
    try:
        content = storage.read(path)
        if job.parent_digest is not None and not digests.matches(content, job.parent_digest):
            raise RequestError(f"{path}: cannot be read: it is not what this search wrote, but damaged or changed")
        return content
    except RequestError as error:
        raise RequestError(
            f"{error}; restore it, or go on with `resume` and `from_generation` {job.generation}, which trains again "
            "what is gone"
        ) from None
