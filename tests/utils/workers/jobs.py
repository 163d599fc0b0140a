"""Jobs for tests, importable by the processes that run them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarize.utils.errors import DivergedError
from scalarize.utils.workers.job import Job


@dataclass
class Double:
    number: int

    def __call__(self, context: Any) -> tuple[int, int]:
        return 2 * self.number, os.getpid()


@dataclass
class Environment:
    name: str

    def __call__(self, context: Any) -> str | None:
        return os.environ.get(self.name)


@dataclass
class Setup:
    def __call__(self, context: Any) -> Any:
        return context.setup


@dataclass
class Speak:
    def __call__(self, context: Any) -> None:
        for k in range(3):
            context.emit("word", k)


@dataclass
class Fail:
    kind: type[BaseException]
    arguments: tuple[Any, ...]

    def __call__(self, context: Any) -> None:
        raise self.kind(*self.arguments)


class Peculiar(Exception):
    """Cannot be made from its message alone."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@dataclass
class Die:
    """Kills its process, as the system does if memory is short, unless it was begun ``times`` times before."""

    marks: Path
    times: int

    def __call__(self, context: Any) -> str:
        begun = len(list(self.marks.iterdir()))
        (self.marks / str(begun)).touch()
        if begun < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return "alive"


@dataclass
class Hang:
    """Names its process and waits for ever."""

    mark: Path

    def __call__(self, context: Any) -> None:
        part = self.mark.with_suffix(".part")
        part.write_text(str(os.getpid()))
        part.rename(self.mark)
        while True:
            time.sleep(60)


@dataclass
class Sum:
    """Coordinates: doubles each number in a job of its own, and adds up what comes."""

    numbers: tuple[int, ...]
    failing: bool = False

    def __call__(self, context: Any) -> tuple[int, int]:
        jobs = [Job(f"double {k}", Double(k)) for k in self.numbers]
        if self.failing:
            jobs.append(Job("fails", Fail(DivergedError, ("step 7",))))
        for job in jobs:
            context.submit(job)
        total = 0
        for _ in jobs:
            _, value, error = context.next()
            if error is not None:
                raise error
            total += value[0]
        return total, os.getpid()
