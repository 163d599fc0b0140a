"""The two ways in which a command ends badly, and the exit status of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScalarizeError(Exception):
    """An error of a known kind: printed as one line, without a traceback."""

    status = 1


class RequestError(ScalarizeError, ValueError):
    """The request was wrong (exit status 2): what is wrong, where, and what would be right."""

    status = 2


class RunError(ScalarizeError, RuntimeError):
    """A run that was rightly asked for failed (exit status 1)."""

    status = 1


class ScalarizeWarning(UserWarning):
    """Said once: what was asked for goes on, but not as it was probably meant."""


class DivergedError(RunError):
    """Losses, gradients or metrics of a training are no longer finite; a search replaces such a member."""


def unknown_name_error(kind: str, name: str, known: Iterable[str], where: str = "") -> RequestError:
    """The error for an unknown ``name``, naming the nearest valid one.

    >>> str(one_of("method", "pcgrd", ["mgda", "pcgrad"]))
    "unknown method 'pcgrd': did you mean 'pcgrad'?"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(choices) or "none")
    return RequestError(f"unknown {kind} {name!r}{where}: {hint}")
