"""Translation into one language as a task: smoothed cross-entropy per token; log perplexity, token error and BLEU."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from scalarize.tasks.metrics import Mean
from scalarize.tasks.task import Measure, Task
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets.subwords import END, PAD, REMEDY, Subwords
from scalarize.workloads.models import decoding


def translation(language: str, subwords: Subwords, smoothing: float, beams: int, limit: int) -> Task:
    """Make the task; predictions are :class:`~scalarize.workloads.models.transformer.TokenScores`.

    The loss is the mean over tokens, in nats, of cross-entropy with label ``smoothing`` (Szegedy et al. 2016). Metrics
    are the cross-entropy without smoothing, the share of tokens that are not the likeliest, and BLEU by beam search,
    which is computed once, at the end. Targets are the pieces (B, T) to predict, then PAD.

    Args:
        language: the target language.
        subwords: its vocabulary.
        smoothing: label smoothing.
        beams: beams of the search for BLEU; 0 leaves it out.
        limit: pieces of a translation at most.
    """
    size = len(subwords)

    def loss(prediction: Any, target: Tensor) -> Tensor:
        read = prediction.read(target)
        found: Tensor = -((1 - smoothing) * read.label + smoothing * read.mean).mean()
        return found

    def constant(target: Tensor, smoothing: float = smoothing) -> float:
        counts = torch.bincount(target[target != PAD], minlength=size).double()
        shares = (1 - smoothing) * counts / counts.sum() + smoothing / size
        return float(-(shares * shares.clamp_min(1e-300).log()).sum())

    error = Measure("token-error", TokenError, higher_is_better=False)
    bleu = Measure("bleu", lambda: Bleu(language, subwords, beams, limit), test_only=True)
    return Task(
        language,
        size,
        loss,
        CrossEntropy,
        "cross-entropy",
        higher_is_better=False,
        constant_loss=constant,
        constant_metric=lambda target: constant(target, 0.0),
        extra_metrics=(error, bleu) if beams else (error,),
        units=tokens,
    )


def tokens(target: Tensor) -> Tensor:
    """Count the tokens of ``target`` (B, T)."""
    return (target != PAD).sum()


class CrossEntropy(Mean):
    """Mean over tokens of minus log p, in nats."""

    def values(self, prediction: Any, target: Tensor) -> Tensor:
        found: Tensor = -prediction.read(target).label
        return found

    def update(self, prediction: Any, target: Tensor) -> None:
        values = self.values(prediction, target).detach()
        self.total += float(values.double().sum())
        self.count += values.numel()


class TokenError(CrossEntropy):
    """Share of tokens that are not the likeliest, given those before them."""

    def values(self, prediction: Any, target: Tensor) -> Tensor:
        found: Tensor = ~prediction.read(target).right
        return found


class Bleu:
    """BLEU in points, 0 to 100, of whole texts (Papineni et al. 2002), as sacreBLEU counts it (Post 2018).

    Translations are by beam search. Chinese is split into characters, other languages as by mteval-v13a.
    """

    def __init__(self, language: str, subwords: Subwords, beams: int, limit: int) -> None:
        self.cut = "zh" if language == "zh" else "13a"
        self.subwords, self.beams, self.limit = subwords, beams, limit
        self.found: list[str] = []
        self.wanted: list[str] = []

    def generate(self, model: Any, inputs: Tensor, target: Tensor) -> None:
        """Translate the sources of a batch, inputs (B, 2, length)."""
        rows = decoding.beam(model, inputs[:, 0], self.limit, self.beams)
        self.found += self.subwords.decode(rows)
        self.wanted += self.subwords.decode([[n for n in row if n not in (PAD, END)] for row in target.tolist()])

    def compute(self) -> float:
        """Return BLEU; NaN if nothing was translated."""
        try:
            import sacrebleu
        except ImportError:
            raise RequestError(f"BLEU needs sacrebleu: {REMEDY}, or `settings` data.beams=0 to leave it out") from None
        if not self.found:
            return math.nan
        return float(sacrebleu.corpus_bleu(self.found, [self.wanted], tokenize=self.cut).score)
