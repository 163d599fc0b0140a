"""Notes of the library, printed as lines of their own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import click


@contextlib.contextmanager
def as_lines() -> Iterator[None]:
    """Print what the library notes inside on stderr, each note once."""
    from scalarize.cli.parameters import as_options
    from scalarize.utils.errors import ScalarizeWarning

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any) -> None:
            if issubclass(category, ScalarizeWarning):
                click.echo(f"scalarize: note: {as_options(str(message))}", err=True)
            else:
                usual(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment]
        warnings.simplefilter("default", ScalarizeWarning)
        yield
