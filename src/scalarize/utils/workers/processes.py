"""Worker processes as the process that they work for sees them: begun, spoken to, heard and ended.

A ``ProcessPoolExecutor`` is broken for good by one worker that dies, and does not say which job that worker had; so
these are a few processes, forked from one that has imported what they need, each on a socket of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from scalarize.utils.errors import RequestError

ABLE = hasattr(os, "fork") and hasattr(socket, "send_fds")  # not on Windows
_BEGIN = "import sys, json; sys.path[:] = json.loads(sys.argv[3]); from scalarize.utils.workers import program; "
_BEGIN += "program.template(int(sys.argv[1]), json.loads(sys.argv[2]))"


_SPARE: dict[tuple[str, ...], Processes] = {}


def prepare(preload: Sequence[str]) -> None:
    """Start a template for whoever begins workers with these modules next, and so beside whatever comes before that.

    Args:
        preload: modules that it imports.
    """
    spare = Processes(preload)
    spare.warm()
    _SPARE[tuple(preload)] = spare
    atexit.register(spare.close)


@dataclass(eq=False)
class Worker:
    """One worker process.

    surroundings: environment variables of its own, such as the devices that it sees. coordinates: it runs jobs that
    only submit others. process: its id, once it has said it. ready: it has been set up. entry: what it works on.
    """

    connection: Connection
    surroundings: Mapping[str, str] = field(default_factory=dict)
    coordinates: bool = False
    process: int | None = None
    ready: bool = False
    entry: Any = None

    def send(self, *message: Any) -> bool:
        """Send a message; False if the process is no more."""
        try:
            self.connection.send_bytes(pickle.dumps(message))
        except OSError:
            return False
        return True


class Processes:
    """The template and its workers.

    Args:
        preload: modules that the template imports.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        self.preload = list(preload)
        self.workers: list[Worker] = []
        self._template: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def warm(self) -> None:
        """Start the template, unless it runs. Nothing waits for it.

        Raises:
            RequestError: this system has no fork.
        """
        if self._template is not None and self._template.poll() is None:
            return
        spare = _SPARE.pop(tuple(self.preload), None)
        if spare is not None and spare is not self:
            self._template, self._channel = spare._template, spare._channel
            spare._template = spare._channel = None
            return
        if not ABLE:
            raise RequestError("`workers`: this system cannot fork processes; choose 1, which trains in this one")
        if self._channel is not None:
            self._channel.close()
        self._channel, other = socket.socketpair()
        with other:
            words = [str(other.fileno()), json.dumps(self.preload), json.dumps([os.path.abspath(p) for p in sys.path])]
            self._template = subprocess.Popen(
                [sys.executable, "-c", _BEGIN, *words], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, stdout=2
            )

    def begin(self, surroundings: Mapping[str, str], coordinates: bool = False) -> Worker:
        """Begin a worker; it says hello once it runs."""
        mine, other = socket.socketpair()
        with other:
            worker = Worker(Connection(mine.detach()), surroundings, coordinates)
            if not self._fork(other):
                self._fork(other)  # by a new template; if that has gone, too, the worker is found dead
        self.workers.append(worker)
        return worker

    def _fork(self, own: socket.socket) -> bool:
        """Hand a worker's socket to the template; False if that has gone."""
        self.warm()
        assert self._channel is not None
        assert self._template is not None
        try:
            socket.send_fds(self._channel, [b"+"], [own.fileno()])
        except OSError:  # a process that is killed closes its sockets some time before it counts as ended
            self._template.kill()
            self._template.wait()
            self._template = None
            return False
        return True

    def hear(self, timeout: float | None) -> list[tuple[Worker, Any]]:
        """Wait for messages.

        Args:
            timeout: seconds to wait at most; None: until there is one.

        Returns:
            Pairs of a worker and its message, or None if that worker has died; such a one is no longer listed.
        """
        by_connection = {worker.connection: worker for worker in self.workers}
        if not by_connection:
            time.sleep(timeout or 0)
            return []
        heard: list[tuple[Worker, Any]] = []
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                heard.append((worker, pickle.loads(worker.connection.recv_bytes())))
            except (EOFError, OSError):
                self.workers.remove(worker)
                worker.connection.close()
                heard.append((worker, None))
        return heard

    def dismiss(self, worker: Worker) -> None:
        """End a worker."""
        if worker in self.workers:
            self.workers.remove(worker)
            worker.connection.close()
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process, signal.SIGKILL)

    def close(self) -> None:
        """End all workers and the template, and wait until they have ended."""
        begun = any(worker.process is not None for worker in self.workers)
        for worker in list(self.workers):
            self.dismiss(worker)
        if self._channel is not None:
            self._channel.close()
        if self._template is not None:
            if not begun:  # it may still import
                self._template.kill()
            self._template.wait()
        self._template = self._channel = None
