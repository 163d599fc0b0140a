"""Errors of a known kind, and the exit status of a command that ends with one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScalarizeError(Exception):
    """An error of a known kind: the command line prints it as one line, without a traceback."""

    status = 1


class RequestError(ScalarizeError, ValueError):
    """A wrong request (exit status 2). The message says what is wrong, in which place, and what would be right."""

    status = 2


class BusyError(RequestError):
    """A directory that another process is working on."""


class RunError(ScalarizeError, RuntimeError):
    """A valid run that failed (exit status 1)."""

    status = 1


class ScalarizeWarning(UserWarning):
    """Said once: what was asked for goes on, but not as it was probably meant."""


class DivergedError(RunError):
    """A training whose losses, gradients or metrics are no longer finite; a search replaces such a member."""


def unknown_name_error(kind: str, name: str, known: Iterable[str], where: str = "") -> RequestError:
    """Make the error for an unknown name, which suggests the nearest valid one.

    Args:
        kind: the kind of thing that is named, such as ``method``.
        name: the unknown name.
        known: the valid names.
        where: words that follow the name in the message. Default: none.

    Returns:
        The error, to be raised by the caller.
    >>> str(unknown_name_error("method", "pcgrd", ["mgda", "pcgrad"]))
    "unknown method 'pcgrd': did you mean 'pcgrad'?"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(choices) or "none")
    return RequestError(f"unknown {kind} {name!r}{where}: {hint}")
