"""Packages that come as extras: which extra brings which package, and one line for a package that is absent."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from scalarize.utils.errors import RequestError

# Package, by the name that is imported -> the extra of pyproject.toml that brings it.
EXTRAS = {
    "matplotlib": "demo",
    "pandas": "demo",
    "scipy": "demo",
    "sklearn": "demo",
    "statsmodels": "demo",
    "PIL": "vision",
    "timm": "vision",
    "torchvision": "vision",
    "botorch": "bo",
    "gpytorch": "bo",
    "linear_operator": "bo",
    "moocore": "bo",
    "fsspec": "ray",
    "ray": "ray",
    "gymnasium": "rl",
    "metaworld": "rl",
    "mujoco": "rl",
    "sacrebleu": "nmt",
    "sentencepiece": "nmt",
    "lightgbm": "mixture",
    "mlflow": "loggers",
    "tensorboard": "loggers",
    "wandb": "loggers",
    "accelerate": "integrations",
    "lightning": "integrations",
    "transformers": "integrations",
    "onnx": "export",
    "onnxscript": "export",
    "safetensors": "export",
}


def absent(packages: Sequence[str], extra: str | None = None) -> str | None:
    """Say which of some packages are not installed, without importing them.

    Args:
        packages: names as they are imported.
        extra: the extra to name (default: those of :data:`EXTRAS`).

    Returns:
        One phrase that ends with what to install; None if all are there.

    >>> absent(["math", "no_such_package"], extra="demo")
    "needs no_such_package: pip install 'scalarize[demo]'"
    """
    missing = [name for name in packages if not _installed(name)]
    if not missing:
        return None
    return f"needs {' and '.join(missing)}: {install(missing, extra)}"


def install(packages: Sequence[str], extra: str | None = None) -> str:
    """Give the command that installs the extra of some packages.

    >>> install(["pandas", "scipy"])
    "pip install 'scalarize[demo]'"
    """
    extras = sorted({EXTRAS[name] for name in packages if name in EXTRAS}) if extra is None else [extra]
    return f"pip install 'scalarize[{','.join(extras)}]'" if extras else f"pip install {' '.join(packages)}"


def in_words(error: ModuleNotFoundError) -> RequestError | None:
    """Translate the failed import of an optional package.

    Args:
        error: as ``import`` raised it.

    Returns:
        The error to raise in its place, one line that names the extra; None if the package is none of those that
        extras bring, so that the failure is a fault of the program.

    >>> str(in_words(ModuleNotFoundError("No module named 'pandas'", name="pandas")))
    "this needs the package pandas, which is not installed: pip install 'scalarize[demo]'"
    """
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        return None
    return RequestError(f"this needs the package {package}, which is not installed: {install([package])}")


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):  # the latter: a module put in place by hand, without a specification
        return False
