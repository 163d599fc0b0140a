"""Kills at every change of a file: a forked process, with all that it needs loaded, ends itself before the k-th change.

Changes are what Python's audit hooks see (opening to write, renaming, deleting, folders, cutting); the halfway ones are
writes of which half has reached the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalarize.runs import train
from scalarize.search import journal
from scalarize.utils import files

KILLED = 9
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Watch:
    """Counts the changes below ``place``, and ends the process before that of number ``end``."""

    place: str
    end: int | None = None
    count: int = 0
    active: bool = True

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Be the audit hook."""
        if not self.active:
            return
        changes = event in CHANGES
        if event == "open" and isinstance(arguments[2], int):
            changes = bool(arguments[2] & WRITING)
        if (
            changes
            and isinstance(arguments[0], str | bytes)
            and os.path.abspath(os.fsdecode(arguments[0])).startswith(self.place)
        ):
            self.meet()

    def opened(self, path: Any, mode: str = "r", **more: Any) -> Any:
        """Stand for ``open``."""
        handle = open(path, mode, **more)  # noqa: SIM115
        return handle if "r" in mode else Halfway(handle, self)

    def meet(self) -> None:
        """Meet one change."""
        if self.count == self.end:
            os._exit(KILLED)
        self.count += 1


class Halfway:
    """An opened file whose writes count: that of number ``end`` reaches the disk by half, and the process ends."""

    def __init__(self, handle: Any, watch: Watch) -> None:
        self.handle, self.watch = handle, watch

    def write(self, content: Any) -> int:
        """Write all of it, or half."""
        if self.watch.count == self.watch.end:
            self.handle.write(content[: len(content) // 2])
            self.handle.flush()
            os._exit(KILLED)
        self.watch.count += 1
        return int(self.handle.write(content))

    def __enter__(self) -> Halfway:
        return self

    def __exit__(self, *error: Any) -> None:
        self.handle.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)


def in_child(call: Callable[[], Any], place: Path, end: int | None = None, halfway: bool = False) -> tuple[int, int]:
    """Call in a forked process.

    Args:
        call: what is called.
        place: below which changes count; an absolute path without links.
        end: number of the change before which the process ends. Default: it does not.
        halfway: count writes, and end in the middle of one.

    Returns:
        Its exit status (``KILLED`` if it was ended), and the changes that it made.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        watch = Watch(str(place), end)
        try:
            os.close(reader)
            if halfway:
                vars(files)["open"] = vars(journal)["open"] = watch.opened
            else:
                sys.addaudithook(watch.hear)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                try:
                    call()
                    status = 0
                except SystemExit as stop:
                    status = int(stop.code or 0)
            watch.active = False
            os.write(writer, str(watch.count).encode())
        except BaseException as error:
            watch.active = False
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        count = int(answer.read() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count


def load(make: Callable[[Path], Callable[[], Any]], place: Path) -> None:
    """Call once in this process, so that forked ones need not import what it needs."""
    place.mkdir(parents=True)
    before, surroundings, seconds = os.getcwd(), dict(os.environ), train.CHECKPOINT_SECONDS
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with quiet[0], quiet[1], contextlib.suppress(SystemExit):  # as commands end
            make(place)()
    finally:
        os.chdir(before)
        train.CHECKPOINT_SECONDS = seconds
        os.environ.clear()
        os.environ.update(surroundings)


@dataclass
class Trials:
    """The trials of one kind: how many there were, how many ended before they were killed, and what did not hold."""

    name: str
    tried: int = 0
    ended: int = 0
    failed: list[str] = field(default_factory=list)


def kill_everywhere(
    name: str,
    make: Callable[[Path], Callable[[], Any]],
    products: Callable[[Path], Any],
    place: Path,
    every: int = 1,
) -> Trials:
    """Kill at every change and in every write, run again, and compare with what nobody disturbed.

    Args:
        name: of the kind.
        make: prepares a place, and returns what is called there until it is done: the same words, resumed.
        products: what is compared, of a place.
        place: an empty directory.
        every: distance of the changes that are tried.
    """
    place = place.resolve()
    found = Trials(name)
    load(make, place / "loaded")
    whole = place / "whole"
    whole.mkdir(parents=True)
    status, changes = in_child(make(whole), whole)
    assert status == 0, f"{name}: ends with {status} when nobody disturbs it"
    wanted = products(whole)
    other = place / "writes"
    other.mkdir()
    writes = in_child(make(other), other, halfway=True)[1]
    assert products(other) == wanted, f"{name}: does not give the same bytes twice"
    for halfway, count in ((False, changes), (True, writes)):
        for end in range(0, count, every):
            here = place / f"{'write' if halfway else 'change'}-{end}"
            here.mkdir()
            call = make(here)
            status, _ = in_child(call, here, end, halfway)
            found.tried += 1
            if status == KILLED:
                status, _ = in_child(call, here)
            else:  # it made fewer changes this time: how often it says how far it is depends on the clock
                found.ended += 1
            if status != 0:
                found.failed.append(f"{here.name}: run again, it ended with {status}")
            elif (left := products(here)) != wanted:
                other = sorted(n for n in {*left, *wanted} if left.get(n) != wanted.get(n))
                found.failed.append(f"{here.name}: other bytes when it was run again: {', '.join(other)}")
    return found
