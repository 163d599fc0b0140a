"""The comparison of two states of learners: where they differ, and by how much."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Swapped = tuple[float, float] | None
_Leaves = Iterator[tuple[str, Any, Any]]


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """Copy a state as a search does, by writing and reading it: optimisers go on in the tensors that they are given."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    found: dict[str, Any] = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True, map_location="cpu")
    return found


def difference(a: Any, b: Any, tolerance: float = 0.0, swapped: Swapped = None) -> str | None:
    """Find where two states differ.

    Args:
        a: a state.
        b: another one.
        tolerance: relative to a tensor's largest entry. Default 0: exactly.
        swapped: two numbers that say nothing where ``a`` holds the first and ``b`` the second, such as the two seeds.
            Default: none.

    Returns:
        The place, such as ``['model']['0.weight']``; None if they hold the same.

    >>> difference({"epoch": 1, "w": [0.5, 1.0]}, {"epoch": 1, "w": [0.5, 2.0]})
    "['w'][1]"
    """
    return next((where for where, x, y in _leaves(a, b) if not _alike(x, y, tolerance, swapped)), None)


def gap(a: Any, b: Any) -> float:
    """Return the Euclidean distance of all numbers of two states; infinity if one has numbers that the other lacks."""
    total = 0.0
    for _, x, y in _leaves(a, b):
        if isinstance(x, str | bytes | bool) and isinstance(y, str | bytes | bool):
            continue  # names of runs and the like are no distance
        if _is_array(x) and _is_array(y) and (p := _array(x)).shape == (q := _array(y)).shape:
            apart = np.abs(p - q)
            total += float((apart[np.isfinite(apart)] ** 2).sum())
        elif not _alike(x, y, 0.0, None):
            return float("inf")
    return float(np.sqrt(total))


def _leaves(a: Any, b: Any, where: str = "") -> _Leaves:
    if isinstance(a, Mapping) and isinstance(b, Mapping) and set(a) == set(b):
        for key in a:
            yield from _leaves(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _leaves(x, y, f"{where}[{index}]")
    else:
        yield where, a, b


def _alike(x: Any, y: Any, tolerance: float, swapped: Swapped) -> bool:
    if not (_is_array(x) and _is_array(y)):
        return bool(type(x) is type(y) and x == y) or (x is y)
    p, q = _array(x), _array(y)
    if p.shape != q.shape:
        return False
    if swapped is not None and not p.shape and (float(p), float(q)) == tuple(map(float, swapped)):
        return True
    size = float(np.abs(p[np.isfinite(p)]).max(initial=0.0))
    return bool(np.allclose(p, q, rtol=0, atol=tolerance * size, equal_nan=True))


def _is_array(value: Any) -> bool:
    return not isinstance(value, bool | str | bytes) and (
        hasattr(value, "shape") or isinstance(value, int | float | complex)
    )


def _array(value: Any) -> np.ndarray[Any, Any]:
    if not hasattr(value, "detach"):
        return np.asarray(value, dtype=np.complex128 if np.iscomplexobj(value) else np.float64)
    import torch

    dense = value.detach().cpu()
    dense = dense.dequantize() if dense.is_quantized else dense
    dense = dense if dense.layout == torch.strided else dense.to_dense()
    dense = dense.resolve_conj().to(torch.complex128 if dense.is_complex() else torch.float64)
    found: np.ndarray[Any, Any] = dense.numpy()
    return found
