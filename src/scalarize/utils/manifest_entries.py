"""Entries of a manifest: what they say of a file, and what the file system says of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalarize.utils import digests

Entry = dict[str, Any]


def fits(entry: Entry, content: bytes) -> bool:
    """Return True if a file is the one that an entry lists, or the one before it."""
    size = entry["size"]
    if entry.get("grows"):
        return len(content) >= size and digests.matches(content[:size], entry["digest"])
    if entry["digest"] is None:
        return False
    if len(content) == size and digests.matches(content, entry["digest"]):
        return True
    return len(content) == entry.get("size_before") and digests.matches(content, entry["before"])


_DIGEST = b', "digest": "'


def signed(text: bytes) -> bytes:
    """Return a manifest with its own digest, from its text up to there."""
    return text + _DIGEST + digests.of(text).encode() + b'"}\n'


def is_signed(content: bytes) -> bool:
    """Return True if a manifest is as it was written."""
    text = content.rpartition(_DIGEST)[0]
    return content == signed(text)


def seen(path: Path) -> tuple[int, ...] | None:
    """Return what the file system says of a regular file; None if there is none (a link is none)."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def words(by: Mapping[str, Any] | None) -> str:
    """Return what wrote a file in words."""
    return ", ".join(f"{key} {value}" for key, value in (by or {}).items()) or "this run"
