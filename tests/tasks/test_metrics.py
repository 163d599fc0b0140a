"""Dense metrics against definitions computed otherwise, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import jaccard_score, roc_auc_score

from scalarize.tasks import metrics


def logits(classes: torch.Tensor, count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(classes, count).movedim(-1, 1).float()


def test_mean_iou_is_sklearns_over_the_whole_split() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randint(0, 4, (2, 6, 5, 7), generator=generator).unbind(0)
    target = torch.where(torch.rand(target.shape, generator=generator) < 0.2, -1, target)
    meter, accuracy = metrics.MeanIoU(6), metrics.PixelAccuracy()  # two of its classes never occur
    for part in (slice(0, 2), slice(2, 6)):
        meter.update(logits(predicted[part], 6), target[part])
        accuracy.update(logits(predicted[part], 6), target[part])
    known = target >= 0
    wanted = jaccard_score(target[known], predicted[known], average="macro", labels=[0, 1, 2, 3])
    assert meter.compute() == pytest.approx(wanted)
    assert accuracy.compute() == pytest.approx(float((predicted == target)[known].double().mean()))


def test_nothing_known_is_no_number() -> None:
    meter = metrics.MeanIoU(3)
    assert math.isnan(meter.compute())
    accuracy = metrics.PixelAccuracy()
    accuracy.update(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), -1))
    assert math.isnan(accuracy.compute())


def test_depth_errors_leave_out_unknown_pixels() -> None:
    target = torch.tensor([[[[0.0, 2.0], [4.0, 0.0]]]])
    prediction = torch.tensor([[[[9.0, 1.0], [5.0, 9.0]]]])
    absolute, relative = metrics.DepthError(), metrics.DepthError(relative=True)
    for meter in (absolute, relative):
        meter.update(prediction, target)
    assert absolute.compute() == 1.0
    assert relative.compute() == pytest.approx((0.5 + 0.25) / 2)


def test_angles_between_normals() -> None:
    target = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 3)
    prediction = torch.tensor([[0.0, 0.0, 7.0], [1.0, 1.0, 0.0], [1.0, 2.0, 3.0]]).T.reshape(1, 3, 1, 3)
    mean, near = metrics.AngularError(), metrics.AngularError(within=30.0)
    for meter in (mean, near):
        meter.update(prediction, target)
    assert mean.compute() == pytest.approx(22.5, abs=1e-3)
    assert near.compute() == 0.5


def test_ranks_are_scipys_with_ties_and_without() -> None:
    draw = np.random.default_rng(0)
    for decimals in range(6):
        values = draw.normal(size=300).round(decimals)
        assert np.array_equal(metrics.ranks_of(values), rankdata(values))


def test_area_and_agreement_are_the_libraries() -> None:
    draw = np.random.default_rng(1)
    score, label = draw.normal(size=200).round(1), draw.integers(0, 2, 200)
    area, agreement = metrics.AUROC(), metrics.RankAgreement()
    other = (score + draw.normal(size=200)).round(1)
    for part in (slice(0, 150), slice(150, None)):
        area.update(torch.tensor(score[part]), torch.tensor(label[part]))
        agreement.update(torch.tensor(score[part]), torch.tensor(other[part]))
    assert area.compute() == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert agreement.compute() == pytest.approx((1 + spearmanr(score, other).statistic) / 2, abs=1e-12)
