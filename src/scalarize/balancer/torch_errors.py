"""Errors of torch's backward, said in one line of ours, with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scalarize.utils.errors import RequestError

REENTRANT = (
    "torch.utils.checkpoint with use_reentrant=True hides parameters from the gradients of single tasks: pass "
    "use_reentrant=False, or use level='representation' where only the encoder is checkpointed"
)
CACHED = (
    "a loss is cut off its graph and makes its backward in a hook of its own (a loss with cached gradients), which "
    "hides the gradients of single tasks: use a method of losses with heads='weighted', or the loss without the cache"
)
# A part of torch's message -> ours.
KNOWN = {
    "use_reentrant": REENTRANT,
    "not compatible with .grad()": (
        "a checkpoint of another library than torch hides parameters from the gradients of single tasks: use "
        "torch.utils.checkpoint with use_reentrant=False, or level='representation' where only the encoder is "
        "checkpointed"
    ),
    "selective activation checkpoint": (
        "selective checkpointing (context_fn=) allows one backward only, and one a task is needed: leave context_fn= "
        "out, or use level='representation' where only the encoder is checkpointed"
    ),
    "donated buffer": (
        "torch.compile gave the model's buffers away after one backward, and one a task is needed: set "
        "torch._functorch.config.donated_buffer = False before compiling, or use level='representation'"
    ),
    "fabric.backward": (
        "Fabric makes the backward itself at this precision: call the module that it wraps, as in "
        "`with fabric.autocast(): outputs = model.module(x)`"
    ),
    "second time": (
        "the losses' graph was used up by an earlier backward: make a fresh forward for each call, and detach what "
        "one step hands to the next"
    ),
}
# Those of torch and of functions in the graph. Errors of memory, devices and processes have classes of their own.
_OF_GRAPHS = (RuntimeError, AttributeError, TypeError, ValueError, IndexError, KeyError, AssertionError)


@contextmanager
def explained(single: bool = True) -> Iterator[None]:
    """Within, an error of a graph is raised as a RequestError. single: gradients of ``single`` tasks are taken, else
    one ordinary backward is made."""
    try:
        yield
    except (*_OF_GRAPHS, NotImplementedError) as error:
        if type(error) not in (*_OF_GRAPHS, NotImplementedError):
            raise
        raise RequestError(_reason(error, single)) from error


def _reason(error: Exception, single: bool) -> str:
    for part, ours in KNOWN.items():
        if part in str(error):
            return ours
    line = (str(error).strip().splitlines() or [""])[0]
    if not single:
        return f"torch cannot make the backward of this graph ({type(error).__name__}: {line:.200})"
    return (
        f"the graph does not give gradients of single tasks ({type(error).__name__}: {line:.160}): use "
        "level='representation' if that happens in the encoder, or a method that only looks at losses"
    )
