"""Checkpoints that say themselves what wrote them, in the comment of their archive, with their digest.

A file that a worker has just finished is believed by this, until the run's manifest lists it.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

from scalarize.utils import digests


def tensor_bytes(state: dict[str, Any], by: Mapping[str, Any]) -> bytes:
    """Return a checkpoint with its seal.

    Args:
        state: its content.
        by: what writes it, plain values by name.

    Returns:
        What ``torch.load`` reads as any other checkpoint.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    with buffer.getbuffer() as view:
        digest = digests.of(view)
    comment = json.dumps({"by": dict(by), "digest": digest}).encode()
    buffer.seek(-2, io.SEEK_END)  # where the length of the comment stands
    buffer.write(struct.pack("<H", len(comment)) + comment)
    return buffer.getvalue()


def read(content: bytes) -> Mapping[str, Any] | None:
    """Return what wrote a checkpoint; None if it has no seal, or is not as it was written."""
    try:
        found = json.loads(digests.comment(content))
        by = found["by"] if digests.matches(content, found["digest"]) else None
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return None
    return by if isinstance(by, dict) else None
