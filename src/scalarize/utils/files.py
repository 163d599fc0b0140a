"""File access: atomic writes, append-only JSON lines, and a lock that is released when its process ends."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scalarize.utils import documents
from scalarize.utils.errors import RequestError, RunError
from scalarize.utils.locking import lock as lock
from scalarize.utils.locking import without_waiting

RECORDS = 2**30  # bytes of a file of JSON lines, at most
LINE = 4 * 2**20  # bytes of one of its lines, at most
DATA = 2**36  # bytes of a table, a data file or a checkpoint, at most


def read_error(path: str | Path, error: OSError) -> RequestError:
    """Make the error that says why the file at ``path`` cannot be read."""
    words = {FileNotFoundError: "no such file", IsADirectoryError: "is a directory, not a file"}
    return RequestError(f"{path}: {words.get(type(error), f'cannot be read: {error.strerror}')}")


def check_regular(path: str | Path, most: int = DATA) -> None:
    """Raise RequestError unless ``path`` is a regular file of at most ``most`` bytes: a pipe or a device has no end."""
    try:
        found = os.stat(path)
    except ValueError as error:  # a name that no file can have
        raise RequestError(f"{str(path)!r}: is no file: {error}") from None
    except OSError as error:
        raise read_error(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise RequestError(f"{path}: is a directory, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise RequestError(f"{path}: is no regular file, but a pipe, a device or a socket")
    if found.st_size > most:
        raise RequestError(f"{path}: has {found.st_size:,} bytes; at most {most:,} are read")


def read_bytes(path: str | Path, most: int = DATA) -> bytes:
    """Return the content of ``path``. Raises RequestError that names a file that is missing, none, or too long."""
    check_regular(path, most)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise read_error(path, error) from None
    except MemoryError:
        raise RequestError(f"{path}: does not fit in the memory that is free") from None


def write_bytes(path: str | Path, content: bytes | memoryview, sync: bool = True) -> Path:
    """Replace ``path`` by ``content`` in one atomic step.

    ``sync`` waits for the disk: without it the file survives the death of the process, but perhaps not a power cut.
    Raises RunError if the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as handle:
            handle.write(content)
            handle.flush()
            if sync:
                os.fsync(handle.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def write_text(path: str | Path, content: str) -> Path:
    """Replace ``path`` by ``content`` in one atomic step; half a letter, as in a file's name, becomes an escape."""
    return write_bytes(path, content.encode(errors="backslashreplace"))


def write_json(path: str | Path, content: Any) -> Path:
    """Replace ``path`` by ``content`` as JSON in one atomic step."""
    return write_text(path, documents.to_json(content, indent=1) + "\n")


def read_json(path: str | Path) -> Any:
    """Return the JSON in ``path``. Raises RequestError that names the file if it is missing or damaged."""
    return documents.from_json(read_bytes(path, documents.MOST_BYTES), str(path))


def read_yaml(path: str | Path) -> Any:
    """Return the YAML in ``path``. Raises RequestError that names the file if it is missing or damaged."""
    return documents.from_yaml(read_bytes(path, documents.MOST_YAML), str(path))


def append_lines(path: str | Path, rows: Iterable[dict[str, Any]], sync: bool = False) -> bytes:
    """Append ``rows`` as JSON lines in one write, and return what was appended.

    ``sync`` waits for the disk. Raises RunError if it cannot be written.
    """
    content = "".join(documents.to_json(row, reasons=False) + "\n" for row in rows).encode()
    try:
        with open(path, "ab", opener=without_waiting) as handle:
            handle.write(content)
            handle.flush()
            if sync:
                os.fsync(handle.fileno())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return content


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file; a last line that a crash cut short is left out.

    Raises RequestError that names file and line if any other line is damaged.
    """
    rows = []
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            row = documents.from_json(line, "a line")
        except RequestError:
            row = None
        if not isinstance(row, dict):
            raise RequestError(f"{path}: line {number} is damaged")
        rows.append(row)
    return rows


def _whole_lines(path: str | Path) -> Iterator[bytes]:
    """Return the lines that end, one after another, so that a file without lines takes no memory."""
    check_regular(path, RECORDS)
    try:
        with open(path, "rb") as handle:
            while (line := handle.readline(LINE)).endswith(b"\n"):
                yield line
            if len(line) == LINE:
                raise RequestError(f"{path}: holds a line of more than {LINE:,} bytes")
    except OSError as error:
        raise read_error(path, error) from None


def cut_torn_line(path: str | Path) -> None:
    """Remove a last line that a crash cut short from a JSON-lines file, so that more can be appended."""
    path = Path(path)
    if path.exists():
        content = read_bytes(path, RECORDS)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


def check_directory(path: Path, parameter: str = "out") -> None:
    """Raise RequestError if ``path``, given as ``parameter``, is not a directory and cannot become one."""
    try:
        there = next(p for p in (path, *path.parents) if p.exists())
    except OSError as error:
        raise RequestError(f"`{parameter}` {path}: {error.strerror}") from None
    if not there.is_dir():
        raise RequestError(f"{there}: is a file; choose another `{parameter}`")


def remove_folder(path: Path) -> None:
    """Delete a folder with its content, as far as that is possible; a missing one is no error."""
    shutil.rmtree(path, ignore_errors=True)


def save_tensors(path: str | Path, state: dict[str, Any]) -> Path:
    """Write ``state`` by ``torch.save`` in one atomic step."""
    return write_bytes(path, tensor_bytes(state))


def tensor_bytes(state: dict[str, Any]) -> bytes:
    """Return the bytes that :func:`save_tensors` writes."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def load_tensors(path: str | Path, content: bytes | None = None) -> Any:
    """Load a checkpoint without running code from it, from the file at ``path`` or from its ``content``.

    Raises RequestError that names a missing or damaged file.
    """
    import torch

    if content is None:
        check_regular(path)
    try:
        return torch.load(path if content is None else io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # damaged bytes can make the unpickler raise anything
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RequestError(f"{path}: cannot be read as a checkpoint: {reason}") from None
