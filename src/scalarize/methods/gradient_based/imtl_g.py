"""IMTL-G: the direction whose projections onto all task gradients are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scalarize.methods.base import Method
from scalarize.methods.evidence import Evidence, Needs, State
from scalarize.methods.gram import Array, Gram, as_weights
from scalarize.methods.registry import register


def impartial_weights(gram: Gram) -> Array:
    """Weights (T,), sum 1, with ``u_i.(w @ J)`` equal for all i: ``C^-1 1 / n``, normalised.

    If gradients are dependent or zero, ``pinv(G) n`` takes its place (Quinton and Rey 2024, appendix), and if
    that sums to 0, as at Pareto-stationary points, the weights are 0.
    """
    values, _ = gram.spectrum
    if values.size == gram.n_tasks:
        w = gram.pinv_cosines(np.ones(gram.n_tasks)) * (gram.norms.min() / gram.norms)
    elif values.size == 0:
        return np.zeros(gram.n_tasks)
    else:
        inverse = np.linalg.pinv(gram.factor)
        w = inverse.T @ (inverse @ (gram.norms / gram.norms.max()))
    total = float(w.sum())
    if abs(total) <= gram.tolerance * float(np.abs(w).sum()) * 10:
        return np.zeros(gram.n_tasks)
    return np.asarray(w / total)


@register
@dataclass(eq=False)
class IMTLG(Method):
    """Weights with sum 1, possibly negative, that give all tasks the same projection (Liu et al. 2021, equation 6):
    ``u_i . (w @ J)`` is equal for all unit gradients u_i, so ``w = C^-1 1 / n`` normalised, C the cosines, n the norms.
    It has no hyper-parameters.

    Raises:
        RunError: the Gramian is not finite.

    Cost: T backwards, T x P numbers, and a linear system of size T.

    Fails: as gradients become dependent the weights grow without bound and turn negative, and the step with them: the
    sum in the denominator passes through 0. Code that inverts there gives NaN or an error.

    Our choice: with dependent or zero gradients the pseudo-inverse gives the weights; at Pareto-stationary points they
    are 0.
    """

    name = "imtl-g"
    family = "gradient-based"
    needs = Needs.GRAMIAN
    heads = "own"
    paper = "Liu et al. 2021"
    row_scale_invariant = True

    def weigh(self, evidence: Evidence, state: State) -> tuple[Tensor, State]:
        assert evidence.gramian is not None
        return as_weights(impartial_weights(Gram.of(evidence.gramian)), evidence.gramian), state
