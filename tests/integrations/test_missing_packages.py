"""Without the extra, an integration names it in one line; the rest of the package works."""

from __future__ import annotations

import sys

import pytest

from scalarize import integrations
from scalarize.utils.errors import RequestError


@pytest.mark.parametrize(
    ("name", "package"),
    [("BalancedTrainer", "accelerate"), ("BalancedLightningModule", "lightning"), ("balanced_backward", "accelerate")],
)
def test_a_missing_package_names_the_extra(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.split(".")[0] == package or m.startswith("scalarize.integrations.")]:
        monkeypatch.delitem(sys.modules, module)
    for part in ("accelerate", "hugging_face", "lightning"):
        monkeypatch.delattr(integrations, part, raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=rf"{name} needs {package}: pip install 'scalarize\[integrations\]'"):
        getattr(integrations, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'BalancedKeras'"):
        _ = integrations.BalancedKeras  # type: ignore[attr-defined]
