"""The forms by name, in the order in which a tie is decided."""

from __future__ import annotations

from scalarize.search.mixture.forms.base import Form
from scalarize.search.mixture.forms.log_linear import LogLinear
from scalarize.search.mixture.forms.power import Power
from scalarize.search.mixture.forms.ridge import Ridge
from scalarize.search.mixture.forms.trees import Trees
from scalarize.utils.errors import unknown_name_error

FORMS: dict[str, Form] = {form.name: form for form in (Power(), LogLinear(), Ridge(), Trees())}
DEFAULT = ("power", "log-linear", "ridge")  # trees need an extra, and held-out proxies were predicted no better by them


def get(name: str) -> Form:
    """The form called ``name``. Raises RequestError for any other name."""
    if name not in FORMS:
        raise unknown_name_error("form", name, FORMS)
    return FORMS[name]
