"""The programs of the other processes: the template, and the workers that are forked from it.

The template imports what jobs need, once, and forks a worker for each socket that it is sent: a worker begins within
milliseconds, and shares the memory of the imports. A worker ends as soon as its socket closes, whatever it is doing;
so none outlives the process that it works for.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from scalarize.utils.workers.job import Ended, Job, portable


def template(descriptor: int, preload: Sequence[str]) -> None:
    """Fork workers on demand, until the socket closes; then wait for them to end.

    Args:
        descriptor: of the socket on which the workers' own sockets come.
        preload: modules to import first.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted is the process that they work for
    for name in preload:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector of a worker leaves these objects alone, and so their pages stay shared
    channel = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            message, sockets, _, _ = socket.recv_fds(channel, 1, 1)
        except OSError:
            break
        if not message:
            break
        if os.fork() == 0:
            status = 1
            try:
                channel.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _Worker(Connection(sockets[0])).serve()
                status = 0
            finally:
                os._exit(status)
        os.close(sockets[0])
    with contextlib.suppress(ChildProcessError):
        os.wait()  # with SIGCHLD ignored it returns once no child is left


class _Worker:
    """A worker process, and the context and team of the job that it runs."""

    here = False
    size = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.setup: Any = None
        self.kept: dict[Any, Any] = {}
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._setup: queue.SimpleQueue[tuple[bytes, dict[str, str], int]] = queue.SimpleQueue()
        self._tickets = 0

    def serve(self) -> None:
        """Work off jobs until the connection closes."""
        threading.Thread(target=self._read, daemon=True).start()
        self._send("hello", os.getpid())
        try:
            content, surroundings, self.size = self._setup.get()
            os.environ |= surroundings
            self.setup = pickle.loads(content) if content else None
        except BaseException as wrong:
            self._send("broken", portable(wrong))
            return
        self._send("ready")
        while True:
            job = self._jobs.get()
            begun = time.perf_counter()
            value: Any = None
            error: BaseException | None = None
            try:
                value = job.call(self)
            except BaseException as raised:
                error = portable(raised)
            self._send("ended", value, error, time.perf_counter() - begun)
            self._answers = queue.SimpleQueue()

    def _read(self) -> None:
        inboxes = {"job": self._jobs, "setup": self._setup}
        while True:
            try:
                kind, *content = pickle.loads(self.connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(1)  # the process that it works for has gone, or has no more use for it
            except BaseException as error:  # a job whose code cannot be imported here
                kind, content = "job", [Job("?", _Raise(portable(error)))]
            if kind == "answer":
                self._answers.put(tuple(content))
            else:
                inboxes[kind].put(content[0] if kind == "job" else tuple(content))  # type: ignore[attr-defined]

    def _send(self, *message: Any) -> None:
        try:
            self.connection.send_bytes(pickle.dumps(message))
        except OSError:
            os._exit(1)

    # --- the context of a job, and the team of one that coordinates ------------------------------------------------
    def emit(self, kind: str, content: Any) -> None:
        """Tell the process that submitted the job something."""
        self._send("event", kind, content)

    def submit(self, job: Job) -> int:
        """Queue a job with the process that this one works for."""
        self._tickets += 1
        self._send("submit", self._tickets, job)
        return self._tickets

    def next(self) -> Ended:
        """Wait for the next of the submitted jobs to end."""
        return self._answers.get()

    def cancel(self, tickets: Sequence[int]) -> None:
        """Forget submitted jobs."""
        self._send("cancel", list(tickets))


class _Raise:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, context: Any) -> None:
        raise self.error


if __name__ == "__main__":
    template(int(sys.argv[1]), sys.argv[2].split(",") if sys.argv[2] else [])
