"""Gradient-boosted trees by LightGBM, as RegMix uses them (Liu et al., ICLR 2025); an extra, ``scalarize[mixture]``.

LightGBM is needed to fit. A fit is kept as numbers, and read here by numpy alone, so that it is plain JSON and needs no
extra to predict. No law: constant between thresholds, so that it has no slope and knows nothing beyond the
runs. Fitted only if it is among the ``forms`` asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalarize.search.mixture.forms.base import Law, Sample
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.utils import optional
from scalarize.utils.errors import RequestError

# RegMix takes 1,000 rounds of rate 0.01: these predict as well on its runs, with a fifth of the numbers in the file.
ROUNDS = 200
RATE = 0.05
LEAF = 20  # least runs in a leaf, LightGBM's default, as long as there are PARTS times as many
PARTS = 10
DECIMALS = 7  # of features, so that thresholds between two of them survive the 9 digits of a fit's file
ROWS = 500  # mixtures predicted at a time, so that memory does not grow with their number


class Trees:
    """Numbers: trees R, leaves L, features F; R x (L - 1) times feature, threshold, left child and right child of the
    inner nodes (a child below 0 is the leaf -child - 1); R x L values of the leaves. Features are w and z."""

    name = "trees"
    convex = False
    smooth = False

    def fit(self, sample: Sample, start: Law | None = None) -> Law:
        """Fit one loss (see :class:`~scalarize.search.mixture.forms.base.Form`).

        Raises:
            RequestError: LightGBM is not installed.
        """
        lightgbm = _lightgbm()
        settings = {
            "objective": "regression",
            "learning_rate": RATE,
            "min_data_in_leaf": int(np.clip(len(sample.loss) // PARTS, 1, LEAF)),
            "seed": 42,
            "verbosity": -1,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "use_missing": False,
        }
        features = _features(sample.weights, sample.scales)
        model = lightgbm.train(settings, lightgbm.Dataset(features, sample.loss), ROUNDS)
        return Law(_numbers(model.model_to_string(), features.shape[1]), 0.0, float("nan"))

    def predict(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Losses (m, K)."""
        features = _features(weights, np.broadcast_to(scales, (len(weights), len(scales))))
        laws = [_Ensemble(row, features.shape[1]) for row in numbers]
        parts = [features[i : i + ROWS] for i in range(0, max(len(features), 1), ROWS)]
        return np.concatenate([np.stack([law.predict(part) for law in laws], axis=1) for part in parts])

    def gradient(self, numbers: Array, weights: Array, scales: Array) -> Array:
        """Derivatives (K, T): 0, for trees are constant between thresholds."""
        return np.zeros((len(numbers), len(weights)))

    def coefficients(self, n_domains: int) -> int:
        """Runs that trees need at least: those of two leaves, whatever the domains."""
        return 2 * LEAF


class _Ensemble:
    """The trees of one law, read from its numbers."""

    def __init__(self, numbers: Array, n_features: int) -> None:
        rounds, leaves, known = (int(x) for x in numbers[:3])
        inner = rounds * (leaves - 1)
        if rounds < 0 or leaves < 2 or known != n_features or len(numbers) < 3 + 4 * inner + rounds * leaves:
            raise ValueError("trees: numbers do not fit together")
        nodes = numbers[3 : 3 + 4 * inner].reshape(4, rounds, leaves - 1)
        self.feature, self.left, self.right = (nodes[i].astype(np.int64) for i in (0, 2, 3))
        self.threshold = nodes[1]
        self.values = numbers[3 + 4 * inner : 3 + 4 * inner + rounds * leaves].reshape(rounds, leaves)
        own = np.arange(leaves - 1)
        for child in (self.left, self.right):  # children come later, so that every walk ends
            if ((child >= 0) & (child <= own) | (child >= leaves - 1) | (child < -leaves)).any():
                raise ValueError("trees: a child out of place")
        if (self.feature < 0).any() or (self.feature >= n_features).any():
            raise ValueError("trees: a feature out of range")

    def predict(self, features: Array) -> Array:
        """Losses (m,) at features (m, F)."""
        rounds, inner = self.feature.shape
        m, width = features.shape
        tables = [x.ravel() for x in (self.feature, self.threshold, self.left, self.right, features)]
        feature, threshold, left, right, flat = tables
        tree = np.tile(np.arange(rounds), m)
        row = np.repeat(np.arange(m) * width, rounds)
        walking, node = np.arange(m * rounds), np.zeros(m * rounds, dtype=np.int64)
        leaf = np.empty(m * rounds, dtype=np.int64)
        while len(walking):
            at = tree[walking] * inner + node
            node = np.where(flat[row[walking] + feature[at]] <= threshold[at], left[at], right[at])
            there = node < 0
            leaf[walking[there]] = -node[there] - 1
            walking, node = walking[~there], node[~there]
        return np.asarray(self.values[tree, leaf].reshape(m, rounds).sum(axis=1))


def _features(weights: Array, scales: Array) -> Array:
    return np.round(np.concatenate([weights, scales], axis=1), DECIMALS)


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise RequestError(f"the form 'trees' needs lightgbm: {optional.install(['lightgbm'])}") from None
    except OSError as error:  # installed, but a library of the system that it needs is not
        raise RequestError(f"the form 'trees' needs lightgbm, which does not load here: {error}") from None
    return lightgbm


def _numbers(text: str, n_features: int) -> Array:
    """LightGBM's own text of a model as numbers."""
    trees = []
    for block in text.split("\nTree=")[1:]:
        lines = block.split("\n\n")[0].splitlines()
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        trees.append({name: np.array(value.split(), dtype=np.float64) for name, value in fields.items()})
    leaves = max([2, *(len(t["leaf_value"]) for t in trees)])
    shape = (len(trees), leaves - 1)
    feature, threshold = np.zeros(shape), np.zeros(shape)
    left, right, values = np.full(shape, -1.0), np.full(shape, -1.0), np.zeros((len(trees), leaves))
    for i, tree in enumerate(trees):
        count = len(tree["leaf_value"])
        values[i, :count] = tree["leaf_value"]
        for name, into in (("split_feature", feature), ("threshold", threshold), ("left_child", left),
                           ("right_child", right)):  # fmt: skip
            into[i, : count - 1] = tree[name][: count - 1] if count > 1 else []
    head = np.array([len(trees), leaves, n_features], dtype=np.float64)
    return np.concatenate([head, *(x.ravel() for x in (feature, threshold, left, right, values))])
