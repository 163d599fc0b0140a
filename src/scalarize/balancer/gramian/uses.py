"""The places in a graph at which parameters are used.

Autograd's graph holds every use of a parameter, by a module or by a function, so none can be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

COPIES = ("ToCopyBackward0",)  # as autocast makes them


class Use(NamedTuple):
    """One use of a parameter: the function ``node`` takes it as its input number ``place``.

    turned: the function was given its transpose. of: the parameter.
    """

    node: Any
    place: int
    turned: bool
    of: Tensor


def find(losses: Sequence[Tensor], params: Sequence[Tensor]) -> dict[int, list[Use]]:
    """Return the uses of each of ``params`` in the graphs of ``losses``, by its id. One walk, 1 microsecond a node."""
    return find_from([get_gradient_edge(x).node for x in losses if x.requires_grad], params)


def find_from(roots: Sequence[Any], params: Sequence[Tensor]) -> dict[int, list[Use]]:
    """As :func:`find`, from nodes of the graph."""
    wanted = {id(p): p for p in params}
    found: dict[int, list[Use]] = {key: [] for key in wanted}
    known: dict[Any, tuple[Tensor, bool] | None] = {}
    seen = set(roots)
    stack = list(seen)
    for node in stack:
        if (behind := _behind(node, wanted, known)) is not None:  # a loss that is a parameter itself
            found[id(behind[0])].append(Use(None, 0, behind[1], behind[0]))
    while stack:
        node = stack.pop()
        if _behind(node, wanted, known) is not None:
            continue
        for place, (child, _) in enumerate(node.next_functions):
            if child is None:
                continue
            behind = _behind(child, wanted, known)
            if behind is not None:
                found[id(behind[0])].append(Use(node, place, behind[1], behind[0]))
            elif child not in seen:
                seen.add(child)
                stack.append(child)
    return found


def _behind(
    node: Any, wanted: dict[int, Tensor], known: dict[Any, tuple[Tensor, bool] | None]
) -> tuple[Tensor, bool] | None:
    """Return the parameter that ``node`` hands on, and whether it is transposed; None if it is no copy of one."""
    if node in known:
        return known[node]
    name, answer = type(node).__name__, None
    variable = getattr(node, "variable", None)
    if variable is not None:
        answer = (variable, False) if id(variable) in wanted else None
    elif (turns := _turns(node, name)) is not None:
        child = node.next_functions[0][0]
        behind = None if child is None else _behind(child, wanted, known)
        if behind is not None and (not turns or behind[0].ndim == 2):
            answer = (behind[0], behind[1] != turns)
    known[node] = answer
    return answer


def _turns(node: Any, name: str) -> bool | None:
    """Return True for a node that transposes a matrix, False for one that copies it; None for any other."""
    if name == "TransposeBackward0":
        return bool((node._saved_dim0 - node._saved_dim1) % 2)
    if name == "PermuteBackward0":
        return node._saved_dims[0] % 2 == 1 if len(node._saved_dims) == 2 else None
    return True if name == "TBackward0" else False if name in COPIES else None
