"""Translations from a model that scores one piece at a time: greedy, and beam search. Batched; no gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

PAD, BEGIN, END = 0, 2, 3


@torch.no_grad()
def greedy(model: Any, source: Tensor, limit: int) -> list[list[int]]:
    """The likeliest next piece, again and again, until END or ``limit`` pieces. source (B, length)."""
    memory = model.remember(source)
    last = torch.full((len(source),), BEGIN, device=source.device)
    ended = torch.zeros_like(last, dtype=torch.bool)
    found = []
    for _ in range(limit):
        last = allowed(model.step(last, memory)).argmax(-1).masked_fill(ended, PAD)
        ended = ended | (last == END)
        found.append(last)
        if bool(ended.all()):
            break
    return _texts(torch.stack(found, dim=1))


@torch.no_grad()
def beam(model: Any, source: Tensor, limit: int, beams: int = 4, alpha: float = 0.6) -> list[list[int]]:
    """The best of ``beams`` hypotheses that are followed at a time. source (B, length).

    Hypotheses are ranked by log p / ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14; the length includes END).
    Our choice: one that has ended keeps its place in the beam, and so competes with what is still written.
    """
    rows, width = len(source), beams
    memory = model.remember(source).select(torch.arange(rows, device=source.device).repeat_interleave(width))
    total = torch.full((rows, width), -math.inf, device=source.device)
    total[:, 0] = 0.0  # all beams begin alike: one of them counts
    length = torch.zeros_like(total)
    ended = torch.zeros_like(total, dtype=torch.bool)
    written = torch.full((rows, width, 1), BEGIN, device=source.device)
    first = torch.arange(rows, device=source.device)[:, None] * width
    for _ in range(limit):
        scores = allowed(model.step(written[:, :, -1].flatten(), memory)).float().log_softmax(-1)
        scores = scores.view(rows, width, -1)
        scores = scores.masked_fill(ended[:, :, None], -math.inf)
        scores[:, :, PAD] = scores[:, :, PAD].masked_fill(ended, 0.0)  # what has ended goes on with padding, at no cost
        sums = total[:, :, None] + scores
        lengths = length + (~ended).to(length)
        ranked = (sums / ((5 + lengths) / 6).pow(alpha)[:, :, None]).flatten(1)
        best = ranked.topk(width, dim=1).indices
        parent, piece = best // scores.shape[-1], best % scores.shape[-1]
        total, length = sums.flatten(1).gather(1, best), lengths.gather(1, parent)
        ended = ended.gather(1, parent) | (piece == END)
        places = (first + parent).flatten()
        written = torch.cat([written.flatten(0, 1)[places].view(rows, width, -1), piece[:, :, None]], dim=2)
        if bool(ended.all()):
            break
        memory = memory.select(places)
    return _texts(written[:, 0, 1:])


def allowed(scores: Tensor) -> Tensor:
    """Scores (B, V) without what no text holds: padding and the beginning."""
    scores = scores.clone()
    scores[:, [PAD, BEGIN]] = -math.inf
    return scores


def _texts(pieces: Tensor) -> list[list[int]]:
    """Rows without END and PAD."""
    return [[n for n in row if n not in (PAD, END)] for row in pieces.tolist()]
