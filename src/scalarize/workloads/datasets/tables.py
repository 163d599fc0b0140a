"""Tables of numbers: imputation and standardisation by the training split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd


def numeric_inputs(frame: pd.DataFrame, train: Tensor) -> Tensor:
    """Convert columns of ``frame`` (N, C) to standardised float32 inputs.

    Missing values get the mean over the training rows ``train`` and an indicator column; then every column is shifted
    and scaled to mean 0 and deviation 1 over the training rows. Columns that are constant there become 0.

    Returns:
        Inputs (N, C + number of columns with missing values).
    """
    import pandas as pd

    values = frame.astype("float64")
    missing = values.isna()
    indicators = missing.loc[:, missing.any()].astype("float64").add_suffix(" is missing")
    values = values.fillna(values.iloc[train.numpy()].mean()).fillna(0.0)
    matrix = torch.tensor(pd.concat([values, indicators], axis=1).to_numpy(), dtype=torch.float64)
    mean, deviation = matrix[train].mean(0), matrix[train].std(0, unbiased=False)
    return ((matrix - mean) / torch.where(deviation > 1e-12, deviation, torch.inf)).float()
