"""Options that were typed and that nothing would read: each is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Collection

import click
from click.core import ParameterSource

from scalarize.utils.errors import RequestError


def typed(names: Collection[str]) -> list[str]:
    """Return the options among the parameters ``names`` that stand on the command line."""
    context = click.get_current_context()
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    return [max(parameter.opts, key=len) for parameter in given]


def refuse(names: Collection[str], reason: str) -> None:
    """Raise RequestError that names the options among ``names`` that were typed, and says why nothing reads them."""
    if options := typed(names):
        raise RequestError(f"{', '.join(options)}: {reason}")


def refuse_all_but(names: Collection[str], reason: str) -> None:
    """Do as :func:`refuse` does with every option that is not among ``names``."""
    params = click.get_current_context().command.params
    refuse([str(p.name) for p in params if isinstance(p, click.Option) and p.name not in names], reason)
