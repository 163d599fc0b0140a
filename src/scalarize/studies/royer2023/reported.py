"""Numbers as the paper reports them, to be set beside ours. Averages of tables 1, 2, B, C, D in points."""

from __future__ import annotations

from typing import Any

# Figure 5a, x 1e-4. The paper's axis names -> our labels.
CONFLICT_VARIANCE: dict[str, dict[str, Any]] = {
    "batch": {"paper, domainnet": 2.40},
    "rate": {"paper, domainnet": 2.25, "paper, taskonomy": 47.6},
    "width": {"paper, domainnet": 0.40, "paper, taskonomy": 1.73},
    "depth": {"paper, domainnet": 1.09, "paper, taskonomy": 2.63},  # of the encoder
    "decoder": {"paper, taskonomy": 5.06},
}

# Table -> size -> row -> average test metric.
AVERAGES: dict[str, dict[str, dict[str, float]]] = {
    "table-1": {
        "depth 26, width 0.25": {
            **{"uniform": 46.78, "pbt": 48.01, "uncertainty": 45.12, "imtl-l": 44.22},
            **{"cagrad": 42.82, "graddrop": 42.52, "pcgrad": 42.78},
        },
        "depth 26, width 1": {
            **{"uniform": 48.83, "pbt": 49.27, "uncertainty": 46.96, "imtl-l": 46.04},
            **{"cagrad": 44.91, "graddrop": 45.15, "pcgrad": 44.96},
        },
    },
    "table-B": {
        "depth 50, width 0.25": {
            **{"uniform": 49.69, "pbt": 50.69, "uncertainty": 40.51, "imtl-l": 37.04},
            **{"cagrad": 39.82, "graddrop": 39.18, "pcgrad": 39.48},
        },
        "depth 50, width 1": {
            **{"uniform": 51.53, "pbt": 51.83, "uncertainty": 42.90, "imtl-l": 39.69},
            **{"cagrad": 41.90, "graddrop": 42.15, "pcgrad": 41.94},
        },
    },
    "table-2": {
        "depth 6, width 1": {
            **{"uniform": 91.23, "pbt": 91.21, "pb2": 91.28},
            **{"imtl-l": 91.19, "cagrad": 91.27, "graddrop": 91.27, "pcgrad": 91.18},
        },
        "depth 9, width 1": {
            **{"uniform": 91.17, "pbt": 91.15, "pb2": 91.25},
            **{"imtl-l": 91.16, "cagrad": 91.22, "graddrop": 91.07, "pcgrad": 91.14},
        },
    },
    "table-C": {
        "depth 6, width 0.25": {
            **{"uniform": 90.82, "pbt": 90.93, "pb2": 90.90, "uncertainty": 90.82, "imtl-l": 90.82},
            **{"cagrad": 90.92, "graddrop": 90.65, "pcgrad": 90.86},
        },
        "depth 6, width 0.5": {
            **{"uniform": 91.28, "pbt": 91.29, "pb2": 91.38, "uncertainty": 91.30, "imtl-l": 91.30},
            **{"cagrad": 91.32, "graddrop": 91.19, "pcgrad": 91.30},
        },
        "depth 6, width 1": {
            **{"uniform": 91.23, "pbt": 91.21, "pb2": 91.28, "uncertainty": 91.22, "imtl-l": 91.21},
            **{"cagrad": 91.25, "graddrop": 91.29, "pcgrad": 91.21},
        },
    },
    "table-D": {
        "depth 9, width 0.25": {
            **{"uniform": 91.00, "pbt": 90.97, "pb2": 91.04, "uncertainty": 91.01, "imtl-l": 91.00},
            **{"cagrad": 91.07, "graddrop": 90.83, "pcgrad": 90.95},
        },
        "depth 9, width 0.5": {
            **{"uniform": 91.32, "pbt": 91.36, "pb2": 91.36, "uncertainty": 91.33, "imtl-l": 91.29},
            **{"cagrad": 91.37, "graddrop": 91.27, "pcgrad": 91.29},
        },
        "depth 9, width 1": {
            **{"uniform": 91.17, "pbt": 91.15, "pb2": 91.25, "uncertainty": 91.17, "imtl-l": 91.18},
            **{"cagrad": 91.21, "graddrop": 91.20, "pcgrad": 91.13},
        },
    },
}

# Supplement, table 1a: 40 tasks of CelebA, quantile 0.25; ready interval -> population -> average test accuracy.
POPULATIONS: dict[int, dict[int, float]] = {
    3: {6: 90.320, 12: 90.375, 24: 90.345, 40: 90.370},
    5: {6: 90.315, 12: 90.355, 24: 90.330, 40: 90.380},
}
POPULATION_BASELINES = {"uniform": 90.303, "rlw": 90.327}

# Supplement, table 1b: forward and backward passes, further computations, further storage; T tasks, N models.
COSTS: dict[str, tuple[str, str, str, str]] = {
    "uniform": ("1", "1", "0", "1"),
    "uncertainty": ("1", "1", "minor", "1"),
    "pbt": ("N + 1", "N + 1", "minor (checkpoint writing)", "1"),
    "pcgrad": ("1", "T", "T^2", "T"),
    "rotograd": ("1", "T", "T", "T"),
    "graddrop": ("1", "T", "0", "T"),
}
