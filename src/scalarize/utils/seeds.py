"""Seeds derived from seeds: every random stream has a name, and none depends on the length of another."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Threads share the streams of torch, numpy and Python: who seeds them holds this until they are restored.
GENERATORS = threading.RLock()


def derive(*parts: int | str) -> int:
    """Derive a 63-bit seed from the given parts; it is the same on every machine.

    >>> derive(0, "epoch", 1) == derive(0, "epoch", 1) != derive(0, "epoch", 2)
    True
    """
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextlib.contextmanager
def fork_rng(seed: int, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Seed torch's random streams inside the block and restore them afterwards: the CPU's and those of CUDA devices.

    Threads share the streams, so only one of them is inside at a time.

    ``torch.manual_seed`` is avoided: it seeds every device and, if CUDA is not initialised, queues the call together
    with its stack trace, which costs more than a step of a small model and is never freed.

    Args:
        seed: seed of every stream inside the block.
        devices: devices in use; those that are not CUDA devices are ignored. Default: none.
    """
    import torch

    on_cuda = [d for d in devices if d.type == "cuda"]
    with GENERATORS, torch.random.fork_rng(on_cuda):
        torch.default_generator.manual_seed(seed)
        for device in on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
