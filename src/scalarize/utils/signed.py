"""Pages and policies that say themselves that they are as they were written: such a file may be replaced, no other."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from pathlib import Path

from scalarize.utils import files
from scalarize.utils.errors import RequestError

BLANK = f"scalarize sha256:{'0' * 64}"  # a text holds it once, where its digest will stand
_MARK = re.compile(rb"scalarize sha256:([0-9a-f]{64})")


def sign(text: str) -> str:
    """Put the digest of a text into its blank.

    Args:
        text: with ``BLANK`` in it once.

    Returns:
        The text with its digest.
    """
    content = text.encode(errors="backslashreplace")  # as it is written
    return text.replace(BLANK, BLANK.replace("0" * 64, hashlib.sha256(content).hexdigest()))


def is_ours(content: bytes) -> bool:
    """Return True if a file was signed and nobody has changed it since."""
    found = _MARK.search(content)
    if found is None:
        return False
    blank = content[: found.start(1)] + b"0" * 64 + content[found.end(1) :]
    return hashlib.sha256(blank).hexdigest().encode() == found[1]


def write(path: str | Path, text: str) -> Path:
    """Replace a file by a signed text in one atomic step.

    Args:
        path: of the file.
        text: with ``BLANK`` in it once.

    Returns:
        The path.

    Raises:
        RequestError: a file is there that is not ours, or was changed since.
        RunError: it cannot be written.
    """
    check_replaceable(path)
    _sweep(Path(path))
    return files.write_text(path, sign(text))


def _sweep(path: Path) -> None:
    """Delete what processes that were killed left of this file."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        number = part.name.rpartition(".part")[0].rpartition(".")[2]
        if number.isdecimal() and part.is_file() and not part.is_symlink():
            try:
                os.kill(int(number), 0)
            except (ProcessLookupError, OverflowError):
                part.unlink(missing_ok=True)
            except OSError:
                continue  # it lives, and is somebody else's


def check_replaceable(path: str | Path) -> None:
    """Raise RequestError if something is at ``path`` that we did not write, or that was changed since."""
    path = Path(path)
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file() or not is_ours(files.read_bytes(path))):
        raise RequestError(
            f"{path}: was not written by this command, or was changed since: move it away, or choose another `out`"
        )
