"""Decoding of translations from a model that scores one piece at a time: greedy and beam search, without gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

PAD, BEGIN, END = 0, 2, 3


@torch.no_grad()
def greedy(model: Any, source: Tensor, limit: int) -> list[list[int]]:
    """Append the likeliest next piece until END or ``limit`` pieces. ``source`` is (B, length)."""
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
    """Return the best of ``beams`` hypotheses that are followed at a time. ``source`` is (B, length).

    Hypotheses are ranked by log p / ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14; the length includes END).
    Our choice: a hypothesis that has ended keeps its place in the beam and competes with unfinished ones.
    """
    texts: list[list[int]] = [[] for _ in range(len(source))]
    live = torch.arange(len(source), device=source.device)  # the unfinished sentences
    memory = model.remember(source).select(live.repeat_interleave(beams))
    total = torch.full((len(source), beams), -math.inf, device=source.device)
    total[:, 0] = 0.0  # all beams begin equal: only one of them counts
    length = torch.zeros_like(total)
    ended = torch.zeros_like(total, dtype=torch.bool)
    written = torch.full((len(source), beams, 1), BEGIN, device=source.device)
    for _ in range(limit):
        values, pieces = _likeliest(model.step(written[:, :, -1].flatten(), memory), beams)
        values, pieces = values.view(*total.shape, -1), pieces.view(*total.shape, -1)
        values = values.masked_fill(ended[:, :, None], -math.inf)
        values[:, :, 0] = values[:, :, 0].masked_fill(ended, 0.0)  # ended hypotheses continue with padding, at no cost
        pieces = pieces.masked_fill(ended[:, :, None], PAD)
        sums = total[:, :, None] + values
        lengths = length + (~ended).to(length)
        ranked = (sums / ((5 + lengths) / 6).pow(alpha)[:, :, None]).flatten(1)
        best = ranked.topk(beams, dim=1).indices
        parent, piece = best // values.shape[-1], pieces.flatten(1).gather(1, best)
        total, length = sums.flatten(1).gather(1, best), lengths.gather(1, parent)
        ended = ended.gather(1, parent) | (piece == END)
        places = torch.arange(len(total), device=source.device)[:, None] * beams + parent
        written = torch.cat([written.flatten(0, 1)[places], piece[:, :, None]], dim=2)
        left = ~ended.all(dim=1)
        if not bool(left.all()):
            for sentence, text in zip(live[~left].tolist(), _texts(written[~left, 0, 1:]), strict=True):
                texts[sentence] = text
            live, total, length, ended, written = (x[left] for x in (live, total, length, ended, written))
            if not len(live):
                return texts
            memory = memory.select(places[left].flatten())
        else:
            memory = memory.reorder(places.flatten())
    for sentence, text in zip(live.tolist(), _texts(written[:, 0, 1:]), strict=True):
        texts[sentence] = text
    return texts


def _likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return log p (B, k) and pieces (B, k) of the ``count`` likeliest: no more of one hypothesis can be among the
    best.
    """
    scores = allowed(scores).float()
    values, pieces = scores.topk(min(count, scores.shape[-1]), dim=-1)
    return values - scores.logsumexp(-1, keepdim=True), pieces


def allowed(scores: Tensor) -> Tensor:
    """Mask scores (B, V) of symbols that no text contains: padding and the beginning."""
    scores = scores.clone()
    scores[:, [PAD, BEGIN]] = -math.inf
    return scores


def _texts(pieces: Tensor) -> list[list[int]]:
    """Return rows without END and PAD."""
    return [[n for n in row if n not in (PAD, END)] for row in pieces.tolist()]
