"""The Balancer inside the training loops of other packages, one small file per package.

    from scalarize.integrations import BalancedTrainer, BalancedLightningModule, balanced_backward

Names are imported when first used, since each needs a package of the extra ``integrations``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scalarize.utils.errors import RequestError

if TYPE_CHECKING:
    from scalarize.integrations.accelerate import balanced_backward
    from scalarize.integrations.hugging_face import BalancedTrainer, BalancedTrainerMixin
    from scalarize.integrations.lightning import BalancedLightningModule

_HOMES = {
    "BalancedLightningModule": "lightning",
    "BalancedTrainer": "hugging_face",
    "BalancedTrainerMixin": "hugging_face",
    "balanced_backward": "accelerate",
}
_PACKAGES = ("accelerate", "lightning", "transformers")
__all__ = ["BalancedLightningModule", "BalancedTrainer", "BalancedTrainerMixin", "balanced_backward"]


def __getattr__(name: str) -> Any:
    """Import ``name``. Raises RequestError if the package that it needs is not installed."""
    if name not in _HOMES:
        raise AttributeError(f"module 'scalarize.integrations' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"scalarize.integrations.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in _PACKAGES:
            raise
        raise RequestError(f"{name} needs {package}: pip install 'scalarize[integrations]'") from None
