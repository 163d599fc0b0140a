"""A Ray of this process alone: a folder, a token and a loopback address that no other user of the machine can use.

Ray's ports are open to every process of the machine that can reach them. So a cluster that is started here asks each
caller for a token, which lies in a file that its owner alone can read. That file and all of Ray's own lie in one folder
of the system's temporary directory, which is removed in the end; if this process is killed, the next one removes it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalarize.utils import file_lock, files, life
from scalarize.utils.errors import RunError

PREFIX = "scalarize-ray-"
LONGEST = 40  # characters of the folder's path: those of Ray's sockets in it are limited to about 107
MODE, TOKEN, PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray names its nodes by the loopback address, and listens there


@dataclass
class PrivateRay:
    """The folder and the environment of a Ray that this process starts; :meth:`close` removes the one, restores the
    other."""

    folder: Path
    before: dict[str, str | None]
    held: Any = field(repr=False)
    clusters: bool  # what Ray took for CLUSTER when it was imported

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of ``ray.init`` that keep it here."""
        return {"_temp_dir": str(self.folder / "ray"), "_node_ip_address": "127.0.0.1"}

    def close(self) -> None:
        """Remove the folder, once Ray's processes have let it go, and take back what was said in the environment."""
        for key, value in self.before.items():
            _set(key, value)
        _constants().ENABLE_RAY_CLUSTER = self.clusters
        _reread()
        self.held.close()
        for _ in range(20):
            files.remove_folder(self.folder)
            if not self.folder.exists():
                return
            time.sleep(0.1)


def prepare() -> PrivateRay:
    """Make the folder and the token, and tell Ray of them.

    A token that the user has named (``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH``) is used in place of a fresh one.

    Raises:
        RunError: the folder cannot be made, or this version of Ray knows no tokens.
    """
    _reread()
    _remove_left()
    try:
        place = tempfile.gettempdir()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place if len(place) < LONGEST - 24 else "/tmp"))
        held = open(folder / life.LOCK, "a")  # noqa: SIM115
        file_lock.acquire(held)
        before = {key: os.environ.get(key) for key in (MODE, PATH, CLUSTER)}
        if not os.environ.get(TOKEN) and not os.environ.get(PATH):
            token = folder / "token"
            with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(secrets.token_hex(32))
            _set(PATH, str(token))
    except OSError as error:
        raise RunError(f"cannot make a folder for Ray in {place}: {error.strerror or error}") from None
    _set(MODE, "token")
    _set(CLUSTER, "0")
    clusters, _constants().ENABLE_RAY_CLUSTER = _constants().ENABLE_RAY_CLUSTER, False
    _reread()
    return PrivateRay(folder, before, held, clusters)


def _remove_left() -> None:
    """Remove the folders of processes that were killed."""
    for place in {tempfile.gettempdir(), "/tmp"}:
        for folder in Path(place).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                own = folder.lstat().st_uid == os.getuid() if hasattr(os, "getuid") else False
                if own and not folder.is_symlink() and not life.is_held(folder / life.LOCK):
                    shutil.rmtree(folder, ignore_errors=True)


def _set(key: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(key, None)
    else:
        os.environ[key] = value


def _constants() -> Any:
    return importlib.import_module("ray._private.ray_constants")


def _reread() -> None:
    """Let Ray read the environment again: it has done so when it was imported.

    Raises RunError for a version of Ray that knows no tokens.
    """
    raylet: Any = importlib.import_module("ray._raylet")
    if not hasattr(raylet, "AuthenticationTokenLoader"):
        raise RunError("this version of Ray asks nobody for a token: install a later one, or join a cluster")
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def own_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM that is there; Ray replaces it by one that aborts the process.

    Where there is none, the process ends by SystemExit, so that what is open is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, _end if before in (signal.SIG_DFL, None) else before)


def give_back_sigterm() -> None:
    """Take back what :func:`own_sigterm` put where no handler was."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
