"""Warnings that are issued once each."""

from __future__ import annotations

import warnings

from scalarize.utils.errors import ScalarizeWarning

PATIENCE = 25  # steps after which something that does not happen is said


class Notices:
    """Python warnings of class :class:`ScalarizeWarning`, one per kind."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, kind: str, message: str) -> None:
        """Warn with ``message``, unless this kind has been said."""
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(message, ScalarizeWarning, stacklevel=2)
