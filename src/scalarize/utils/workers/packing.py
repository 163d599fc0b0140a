"""Python objects made into bytes for other processes of this machine, with large arrays in a file that all of them map.

Functions made inside functions travel too (their code, and what they refer to): both sides are the same interpreter.
Arrays are mapped privately: a process that changes one changes its own copy alone.
"""

from __future__ import annotations

import importlib
import io
import marshal
import pickle
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

LARGE = 2**16  # bytes from which an array is mapped, not copied
_ALIGNED = 64


class Packed(NamedTuple):
    """content: what :func:`unpack` takes. tensors: those that went into the file, and the place of each there."""

    content: bytes
    tensors: Sequence[tuple[Tensor, tuple[Any, ...]]]

    def move(self) -> None:
        """Make the large tensors that were packed views of the file as well, so that they are in memory once.

        Nobody may be using them."""
        for tensor, place in self.tensors:
            tensor.set_(_tensor(*place))  # type: ignore[call-overload]


def pack(content: Any, path: Path) -> Packed:
    """Pickle ``content``, with its large arrays in the file at ``path``.

    Args:
        content: what is sent.
        path: of the file, which must stay until every reader has begun.

    Returns:
        The pickle, and which tensors could be views of the file.

    Raises:
        OSError: the file cannot be written.
    """
    out = io.BytesIO()
    with open(path, "wb") as file:
        pickler = _Pickler(out, path, file)
        pickler.dump(content)
    return Packed(out.getvalue(), pickler.tensors)


def unpack(content: bytes) -> Any:
    """Return what was packed. Its file must still be there."""
    return pickle.loads(content)


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, path: Path, file: Any) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self.path, self.file = str(path), file
        self.tensors: list[tuple[Tensor, tuple[Any, ...]]] = []

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.FunctionType) and not _importable(obj):
            cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
            made = (marshal.dumps(obj.__code__), obj.__module__, obj.__qualname__, obj.__defaults__, cells)
            return _function, made, (None, {"__kwdefaults__": obj.__kwdefaults__})
        if type(obj) is Tensor and obj.nbytes >= LARGE and _plain(obj):
            strides = obj.stride()
            in_memory = obj.detach().permute(sorted(range(obj.dim()), key=lambda k: -strides[k]))
            if in_memory.is_contiguous():  # its layout stays: sums over another one differ in their last bits
                stored = self._store(in_memory.reshape(-1).view(torch.uint8).numpy())
                place = (*stored, obj.dtype, tuple(obj.shape), strides)
                self.tensors.append((obj, place))
                return _tensor, place
        if type(obj) is np.ndarray and obj.nbytes >= LARGE and not obj.dtype.hasobject:
            held = np.ascontiguousarray(obj)
            return _array, (*self._store(held.view(np.uint8)), held.dtype, held.shape)
        return NotImplemented

    def _store(self, flat: Any) -> tuple[str, int, int]:
        """Append bytes to the file; return path, offset and length."""
        offset = -(-self.file.tell() // _ALIGNED) * _ALIGNED
        self.file.seek(offset)
        self.file.write(flat.data)
        return self.path, offset, flat.nbytes


def _plain(tensor: Tensor) -> bool:
    """Return True for a tensor that is its values and nothing else."""
    special = tensor.requires_grad or tensor.is_conj() or tensor.is_neg()
    return tensor.device.type == "cpu" and tensor.layout == torch.strided and not special


def _importable(function: Callable[..., Any]) -> bool:
    return "<" not in function.__qualname__ and function.__module__ != "__main__"


def _function(code: bytes, module: str, name: str, defaults: Any, cells: tuple[Any, ...]) -> Any:
    surroundings = vars(importlib.import_module(module))
    made = types.FunctionType(
        marshal.loads(code), surroundings, name.rpartition(".")[2], defaults, tuple(map(types.CellType, cells))
    )
    made.__module__, made.__qualname__ = module, name
    return made


def _bytes(path: str, offset: int, length: int) -> Tensor:
    whole = torch.from_file(path, shared=False, size=Path(path).stat().st_size, dtype=torch.uint8)
    return whole[offset : offset + length]


def _tensor(
    path: str, offset: int, length: int, dtype: torch.dtype, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Tensor:
    return _bytes(path, offset, length).view(dtype).as_strided(shape, strides)


def _array(path: str, offset: int, length: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    return _bytes(path, offset, length).numpy().view(dtype).reshape(shape)
