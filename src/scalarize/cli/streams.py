"""The three streams of the command line, which may be closed, full, or unable to write every letter."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO

import click


def make_usable() -> None:
    """Open what is closed, and let what cannot be written be written as an escape.

    A closed stream is one that nobody listens to. Were its number left free, the next file that is opened would have
    it, and whatever is printed would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if _is_closed(number):
            free = os.open(os.devnull, os.O_RDWR)
            if free != number:
                os.dup2(free, number)
                os.close(free)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def tell(line: Any, newline: bool = True) -> None:
    """Print on stderr; a reader that is gone, or a full disk, stops no training."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True, nl=newline)


def silence(stream: TextIO) -> None:
    """Let what the interpreter still writes to ``stream`` at its end go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
