"""File access: atomic writes, append-only JSON lines, and a lock that is released when its process ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from scalarize.utils import file_lock
from scalarize.utils.errors import BusyError, RequestError, RunError

LOCK = ".lock"


def read_error(path: str | Path, error: OSError) -> RequestError:
    """Make the error that says why the file at ``path`` cannot be read."""
    words = {FileNotFoundError: "no such file", IsADirectoryError: "is a directory, not a file"}
    return RequestError(f"{path}: {words.get(type(error), f'cannot be read: {error.strerror}')}")


def read_bytes(path: str | Path) -> bytes:
    """Return the content of ``path``. Raises RequestError that names a missing file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None


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
    """Replace ``path`` by ``content`` in one atomic step."""
    return write_bytes(path, content.encode())


def write_json(path: str | Path, content: Any) -> Path:
    """Replace ``path`` by ``content`` as JSON in one atomic step."""
    return write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: str | Path) -> Any:
    """Return the JSON in ``path``. Raises RequestError that names the file if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise read_error(path, error) from None
    except (ValueError, RecursionError) as error:  # invalid UTF-8, invalid JSON, too many digits
        raise RequestError(f"{path}: cannot be read as JSON: {error}") from None


def append_lines(path: str | Path, rows: Iterable[dict[str, Any]], sync: bool = False) -> bytes:
    """Append ``rows`` as JSON lines in one write, and return what was appended.

    ``sync`` waits for the disk. Raises RunError if it cannot be written.
    """
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    try:
        with open(path, "ab") as handle:
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
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise RequestError(f"{path}: line {number} is damaged") from None
        if not isinstance(row, dict):
            raise RequestError(f"{path}: line {number} is damaged")
        rows.append(row)
    return rows


def cut_torn_line(path: str | Path) -> None:
    """Remove a last line that a crash cut short from a JSON-lines file, so that more can be appended."""
    path = Path(path)
    if path.exists():
        content = path.read_bytes()
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


@contextlib.contextmanager
def lock(directory: str | Path) -> Iterator[None]:
    """Lock ``directory`` for this process.

    A RequestError raised inside leaves neither the lock's file nor an empty directory that was made for it.

    Args:
        directory: it is made if it is not there.

    Raises:
        BusyError: another process holds the lock.
        RequestError: the directory cannot be written.
    """
    directory = Path(directory)
    made = [p for p in (directory, *directory.parents) if not p.exists()]
    handle, new = _locked(directory)
    with handle:
        try:
            yield
        except RequestError:
            if new:
                (directory / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # until one that is not empty
                for path in made:
                    path.rmdir()
            raise


def _locked(directory: Path) -> tuple[IO[str], bool]:
    """Return the lock's open file, and True if it was made for this."""
    path, busy = directory / LOCK, f"{directory}: another process is working on it: wait, or choose another `out`"
    for _ in range(100):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            handle = open(path, "a")  # noqa: SIM115
        except FileNotFoundError:  # the other process, refused, has just removed what it made
            continue
        except OSError as error:
            raise RequestError(f"{directory}: cannot be written: {error.strerror}; choose another `out`") from None
        try:
            file_lock.acquire(handle)
        except OSError:
            handle.close()
            raise BusyError(busy) from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(path)):
                return handle, new
        handle.close()  # the lock of a file that is no more locks nobody out
    raise BusyError(busy)


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

    try:
        return torch.load(path if content is None else io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # damaged bytes can make the unpickler raise anything
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RequestError(f"{path}: cannot be read as a checkpoint: {reason}") from None
