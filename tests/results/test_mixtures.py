"""The figures of results/mixtures.md, on a few resamplings; skipped if the published runs are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalarize.search.mixture import intervals
from scalarize.search.mixture.fitting import fit_runs

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "../shared/regmix"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published runs are not beside the checkout")


def test_few_proxies_choose_well_at_1b(benchmark):
    proxies, large = benchmark.load(DATA, "train_1m"), benchmark.load(DATA, "test_1B")
    truth = benchmark.targets(large, large.losses)
    for n, most in ((64, 0.15), (32, 0.3)):
        found = []
        for seed in range(3):
            fitted = fit_runs(benchmark.drawn(proxies, n, seed)[0])
            said = benchmark.targets(large, fitted.predict(large.weights))
            found.append([benchmark.regret(said[t], truth[t]) for t in truth])
        assert (np.mean(found, axis=0) <= most).all(), found


def test_intervals_hold_at_1m_and_are_said_to_fail_at_60m(benchmark):
    proxies = benchmark.drawn(benchmark.load(DATA, "train_1m"), 128, 0)[0]
    fitted = fit_runs(proxies)
    for name, least, most in (("test_1m", 0.85, 0.97), ("test_60m", 0.0, 0.1)):
        field = benchmark.load(DATA, name, True)
        low, high = intervals.of_metrics(fitted, field.weights)
        assert least <= ((field.losses >= low) & (field.losses <= high)).mean() <= most
