"""TensorBoard: event files in ``tensorboard/`` of the run. ``tensorboard --logdir runs`` shows all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalarize.runs.loggers.scalars import Scalar, Writer

PACKAGE, INSTALL = "tensorboard", "'scalarize[loggers]'"


def open_run(directory: Path, config: Mapping[str, Any]) -> Writer:
    """Begin the events of this run; its request is in ``config.yaml``."""
    return _Events(directory / "tensorboard")


class _Events:
    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary, self._session = event_pb2.Event, summary_pb2.Summary, event_pb2.SessionLog
        self._file = EventFileWriter(str(folder))
        self._begun = False

    def write(self, found: Sequence[Scalar]) -> None:
        now = time.time()
        if not self._begun:  # what an earlier, cut attempt wrote from this step on is not shown
            start = self._session(status=self._session.START)
            self._file.add_event(self._event(wall_time=now, step=found[0].step, session_log=start))
            self._begun = True
        for name, step, value in found:
            summary = self._summary(value=[self._summary.Value(tag=name, simple_value=value)])
            self._file.add_event(self._event(wall_time=now, step=step, summary=summary))
        self._file.flush()

    def close(self) -> None:
        self._file.close()
