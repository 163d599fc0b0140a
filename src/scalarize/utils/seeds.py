"""Seeds derived from seeds, so that every random stream has a name and none depends on another's length."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(*parts: int | str) -> int:
    """A 63-bit seed from the given parts; the same on every machine.

    >>> derive(0, "epoch", 1) == derive(0, "epoch", 1) != derive(0, "epoch", 2)
    True
    """
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextlib.contextmanager
def fork_rng(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Torch's global random streams begin from ``seed`` inside and are as before afterwards: the CPU's, and those of
    the CUDA devices among ``devices``.

    Not by ``torch.manual_seed``, which seeds every device there is and, where there is none, keeps the call with its
    stack trace for one to come: dearer than a step of a small model, and never given back.
    """
    import torch

    on_cuda = [d for d in devices if d.type == "cuda"]
    with torch.random.fork_rng(on_cuda):
        torch.default_generator.manual_seed(seed)
        for device in on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
