"""Loggers, which send a run's scalars to other tools: TensorBoard, Weights & Biases, MLflow.

One file a place, which defines ``open_run(directory, config) -> Writer``; it is found by its name.
Writers see tidy rows and nothing else (:func:`scalarize.runs.directory.observed`); no training knows that they exist.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.runs.loggers.scalars import Scalar, Writer, scalars
from scalarize.utils.errors import RequestError, unknown_name_error

OpenRun = Callable[[Path, Mapping[str, Any]], Writer]


def names() -> list[str]:
    """List the tools that scalars can be sent to."""
    folder = [info.name for info in pkgutil.iter_modules(__path__)]
    return sorted(name.removeprefix("to_") for name in folder if name.startswith("to_"))


def create(name: str, config_of: Callable[[Path], Mapping[str, Any]], say: Callable[[str], None]) -> Logger:
    """Make a logger.

    Args:
        name: one of :func:`names`.
        config_of: gives what was asked of the run in a directory.
        say: receives what people should know.

    Returns:
        The logger, an observer of :func:`scalarize.runs.directory.observed`.

    Raises:
        RequestError: the name is unknown (the nearest is named), or its package is not installed.
    """
    if name not in names():
        raise unknown_name_error("logger", name, names())
    module = importlib.import_module(f"{__name__}.to_{name}")
    try:
        importlib.import_module(module.PACKAGE)
    except ImportError:
        raise RequestError(f"`logger` {name} needs a package: pip install {module.INSTALL}") from None
    return Logger(name, module.open_run, config_of, say)


class Logger:
    """A logger that sends the rows of each run directory to a writer of its own; trainings come one after another.

    A place that fails (no network, no room) is said once and left; a training does not end for it.
    """

    def __init__(
        self, name: str, open_run: OpenRun, config_of: Callable[[Path], Mapping[str, Any]], say: Callable[[str], None]
    ) -> None:
        self.name, self.open_run, self.config_of, self.say = name, open_run, config_of, say
        self._directory: Path | None = None
        self._writer: Writer | None = None
        self._left = False

    def __call__(self, directory: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send ``rows``, which the run in ``directory`` has just written."""
        found = scalars(rows)
        if found:
            self._guarded(lambda: self._write(directory, found))

    def close(self) -> None:
        """Finish the run that is open."""
        writer, self._writer, self._directory = self._writer, None, None
        if writer is not None:
            self._guarded(writer.close)

    def _write(self, directory: Path, found: Sequence[Scalar]) -> None:
        if self._writer is None or directory != self._directory:
            self.close()
            self._writer, self._directory = self.open_run(directory, self.config_of(directory)), directory
        self._writer.write(found)

    def _guarded(self, act: Callable[[], None]) -> None:
        if self._left:
            return
        try:
            act()
        except Exception as error:  # another project's code and somebody's network: whatever comes
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self._left = True
            self.say(f"`logger` {self.name} stopped: {reason}; the run goes on, its records are complete")


__all__ = ["Logger", "Scalar", "Writer", "create", "names", "scalars"]
