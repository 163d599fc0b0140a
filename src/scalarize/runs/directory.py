"""A run's directory: its request, its records, and its checkpoints.

``config.yaml`` (the request, and the command that makes the run again), ``records.jsonl`` (append-only tidy rows:
step, epoch, split, domain, task, metric, value), ``checkpoints/`` and, once the run is over, ``result.json``; and
``manifest.json``, the digests of them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scalarize.runs import tables
from scalarize.utils import digests, documents, files, manifest, vouched
from scalarize.utils.errors import RequestError, ScalarizeWarning
from scalarize.utils.manifest import Manifest

FORMAT = "scalarize-run/1"
KINDS = {"train": "a training", "search": "a search", "compare": "a comparison", "advise": "an advice"}
PRODUCTS = (
    *("result.json", "records.jsonl", "lineage.jsonl", "search.json", "policy.json", "decisions.jsonl"),
    *("events.jsonl", "timings.jsonl", "checkpoints.json", "table.json", "advice.json"),
)
STATES = tuple(f"checkpoints/{name}.pt" for name in ("last", "selected", "selected-method", "final"))


def digest(request: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that name a request."""
    text = json.dumps(request, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def file_name(task: str) -> str:
    """Return a name for the directory of a task: its own if that is plain, else letters that stand for it.

    >>> file_name("price"), file_name("../price") != file_name("../../price"), "/" in file_name("a/b")
    ('price', True, False)
    """
    plain = re.fullmatch(r"[\w ,()%+=-][\w .,()%+=-]{0,63}", task) is not None and not task.endswith((".", " "))
    plain = plain and len(task.encode()) <= 192  # a name in a directory has at most 255 bytes
    return task if plain else f"task-{digest({'task': task})}"


def claim(
    out: Path,
    kind: str,
    request: Mapping[str, Any],
    resume: bool,
    command: str,
    table: Mapping[str, Any] | None = None,
    **more: Any,
) -> bool:
    """Make ``out`` the directory of this request.

    Args:
        out: the directory; it is made if it is not there.
        kind: ``train``, ``search``, ``compare`` or ``study``.
        request: plain data that names what is run.
        resume: whether it may hold this request already.
        command: how it is run again.
        table: fingerprint of the user's own table, if one is used: the same one is asked for, whatever its file is
            called.
        more: further content of ``config.yaml``.

    Returns:
        True if it held the same request already.

    Raises:
        RequestError: with nothing touched, if ``out`` holds a run and ``resume`` is not set, holds a different request
            (the difference is named), holds a run without its config.yaml or files of something else that the run would
            replace, is damaged, or is no directory.
    """
    config = out / "config.yaml"
    files.check_directory(out)
    if os.path.lexists(config):
        if not resume:
            raise RequestError(f"{out}: already holds a run; go on with `resume` or choose another `out`")
        kept = Manifest(out)
        if kept.there:
            kept.read("config.yaml")
        held = read_config(out)
        wanted = json.loads(json.dumps({"kind": kind, **request}, default=str))
        if (there := held.get("kind")) != kind:
            raise RequestError(f"{out}: holds {kind_in_words(there)}, not {kind_in_words(kind)}; choose another `out`")
        found = {"kind": there, **held["request"]}
        if table is not None:
            tables.check_same(held.get("table"), table, f"{out}")
            wanted["csv"] = found.get("csv")  # the same table by another path
        for key in sorted(set(wanted) | set(found)):
            if wanted.get(key) != found.get(key):
                raise RequestError(
                    f"{out}: holds a different request: {key} was {found.get(key)!r}, now {wanted.get(key)!r}"
                )
        _go_on(out, kept, kind, digest(held["request"]))
        return True
    left = [name for name in PRODUCTS if os.path.lexists(out / name)]
    if left:
        raise RequestError(f"{out}: holds {left[0]} of a run whose config.yaml is missing; choose another `out`")
    kept = Manifest(out)
    if set(kept.files) - {"config.yaml"}:
        raise RequestError(f"{out}: holds a run whose config.yaml is missing; choose another `out`")
    kept.sweep()
    kept.begin(digest(request))
    if kind == "train":
        kept.check_replaceable(*STATES)
    content: dict[str, Any] = {"format": FORMAT, "kind": kind, "command": command}
    content |= {"request": json.loads(json.dumps(request, default=str)), **more}
    content |= ({"table": dict(table)} if table is not None else {}) | {"versions": versions()}
    kept.write("config.yaml", documents.to_yaml(content).encode(errors="backslashreplace"))
    return False


def _go_on(out: Path, kept: Manifest, kind: str, request: str) -> None:
    """Check that what is there was written by this run, before it is gone on with."""
    finished = kind in ("train", "search") and (out / "result.json").exists()
    if not kept.there:
        if finished or not (out / "search.json").exists():  # a search lists its members, too
            warnings.warn(f"{out}: {manifest.EARLIER}", ScalarizeWarning, stacklevel=4)
        if not finished and not (out / "search.json").exists():
            simple = [p.relative_to(out).as_posix() for p in out.glob("baselines/*.json")]
            kept.adopt(request, [*PRODUCTS, *STATES, *simple, "config.yaml"])
        return
    if kept.request != request:
        raise RequestError(f"{kept.path}: is of another run; restore it, or choose another `out`")
    for name in ("result.json", "table.json"):
        if name in kept.files and (out / name).exists():
            kept.read(name)
    if not finished:
        kept.sweep()
        kept.check_replaceable(*(name for name in STATES if name in kept.files or (out / name).exists()))


def kind_in_words(kind: Any) -> str:
    """Return the kind of a run in words, such as ``a search``."""
    return KINDS.get(str(kind), f"{kind!r}")


def read_config(directory: str | Path) -> dict[str, Any]:
    """Return the content of ``config.yaml``.

    Raises:
        RequestError: there is none, or it is damaged.
    """
    path = Path(directory) / "config.yaml"
    if not Path(directory).is_dir():
        known = "is a file; name the directory of a run" if Path(directory).exists() else "no such directory"
        raise RequestError(f"{directory}: {known}")
    if not path.exists():
        raise RequestError(f"{directory}: holds no run (no config.yaml)")
    content = files.read_yaml(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RequestError(f"{path}: not a run's configuration: 'format' must be {FORMAT!r}")
    request = content.setdefault("request", {})
    if not isinstance(request, dict) or not all(isinstance(key, str) for key in request):
        raise RequestError(f"{path}: not a run's configuration: 'request' must hold names and values")
    return content


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("scalarize", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


Row = dict[str, Any]
Observer = Callable[[Path, Sequence[Row]], None]
_OBSERVERS: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())


@contextlib.contextmanager
def observed(*observers: Observer) -> Iterator[None]:
    """Show every observer, within, each run's rows once they are written: (run's directory, rows)."""
    before = _OBSERVERS.set(observers)
    try:
        yield
    finally:
        _OBSERVERS.reset(before)


def observing() -> bool:
    """Return True if anybody observes."""
    return bool(_OBSERVERS.get())


def tell(directory: Path, rows: Sequence[Row]) -> None:
    """Show the observers ``rows`` of the run in ``directory``."""
    for observe in _OBSERVERS.get():
        observe(directory, rows)


class Records:
    """The append-only rows of one run; rows later than a checkpoint are dropped when the run goes on from it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "records.jsonl"
        self._hash: Any = None

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Add tidy rows, in one write."""
        content = files.append_lines(self.path, rows)
        if self._hash is not None:
            self._hash.update(content)
        tell(self.path.parent, rows)

    def read(self) -> list[dict[str, Any]]:
        """Return all rows so far. Raises RequestError if they are not those that the run wrote."""
        if not self.path.exists():
            return []
        vouched.check(self.path.parent, [self.path.name])
        return files.read_lines(self.path)

    def size(self) -> int:
        """Return the number of bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def digest(self) -> str:
        """Return the digest of the bytes written so far."""
        if self._hash is None:
            self._hash = hashlib.sha256(files.read_bytes(self.path))
        return f"sha256:{self._hash.hexdigest()}"

    def digest_of(self, size: int) -> str:
        """Return the digest of the first ``size`` bytes."""
        return digests.of(files.read_bytes(self.path)[:size])

    def truncate(self, size: int) -> None:
        """Drop all that was written after the first ``size`` bytes (0 starts anew)."""
        content = files.read_bytes(self.path, files.RECORDS)[:size] if self.path.exists() and size else b""
        files.write_bytes(self.path, content)
        self._hash = hashlib.sha256(content)
