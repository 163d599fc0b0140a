"""An encoder-decoder Transformer (Vaswani et al. 2017) with the norm before each part (pre-LN, Xiong et al. 2020).

It translates into many languages with one model: all parameters are shared, and the first symbol of the source names
the target language (Johnson et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PAD = 0
SHORT = 8  # pieces: shorter sentences are read together
CHUNK = {"cpu": 256}  # positions whose scores over the vocabulary are held at once: few enough for a CPU's cache
LARGEST = 16_384  # of them elsewhere


def relu(x: Tensor) -> Tensor:
    """Apply ReLU, as a function of our own: with torch's, layers take a fused path in evaluation whose sums differ."""
    return functional.relu(x)


@dataclass(frozen=True)
class Read:
    """The scores of the labels of N positions: log p of the label, mean log p of all pieces, 1 if the label is
    likeliest.
    """

    label: Tensor
    mean: Tensor
    right: Tensor


class TokenScores:
    """Scores over the vocabulary at every position, computed only when needed.

    They are the product of ``states`` (B, T, d) and ``table`` (V, d). Slices of the batch work as on a tensor.
    """

    def __init__(self, states: Tensor, table: Tensor) -> None:
        self.states, self.table = states, table
        self._seen: tuple[Tensor, Read] | None = None

    def __getitem__(self, place: slice) -> TokenScores:
        return TokenScores(self.states[place], self.table)

    def read(self, labels: Tensor) -> Read:
        """Return the scores of the labels (B, T' >= T) without PAD, in nats, each (N,)."""
        if self._seen is None or self._seen[0] is not labels:
            wanted = labels[:, : self.states.shape[1]]
            known = wanted != PAD
            size = CHUNK.get(wanted.device.type, LARGEST)
            parts = zip(torch.split(self.states[known], size), torch.split(wanted[known], size), strict=True)
            found = [self._read(states, label) for states, label in parts]
            self._seen = labels, Read(*(torch.cat(p) for p in zip(*found, strict=True)))
        return self._seen[1]

    def _read(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # All from the same scores, which autocast rounds: a label's score computed apart could make log p exceed 0.
        scores = functional.linear(states, self.table).float().log_softmax(-1)
        label = scores.gather(-1, labels[:, None])[:, 0]
        return label, scores.mean(-1), scores.detach().argmax(-1) == labels


@dataclass
class Memory:
    """The decoder's memory of B sentences: keys and values (B, heads, length, width) per layer, of source and past.

    ``hidden`` (B, 1, 1, S) is 0 at the source's pieces and minus infinity at its padding.
    """

    source: list[tuple[Tensor, Tensor]]
    past: list[tuple[Tensor, Tensor]]
    hidden: Tensor

    def select(self, rows: Tensor) -> Memory:
        """Return the memory of these sentences, in that order."""
        source, past = ([(k[rows], v[rows]) for k, v in pairs] for pairs in (self.source, self.past))
        return Memory(source, past, self.hidden[rows])

    def reorder(self, rows: Tensor) -> Memory:
        """Return as ``select``, if each sentence stays in its place and only its target changes."""
        return Memory(self.source, [(k[rows], v[rows]) for k, v in self.past], self.hidden)


class Translator(nn.Module):
    """A translation model: ``encode`` gives the decoder's states, ``decode`` scores the next piece at every position.

    Positions are sinusoids.

    Args:
        vocabulary: number of pieces.
        width: size of the states.
        hidden: size of the feed-forward layers.
        heads: attention heads.
        layers: layers of encoder and decoder each.
        dropout: dropout rate.
        tied: one table of vectors for source, target and output, instead of three.
    """

    def __init__(
        self, vocabulary: int, width: int, hidden: int, heads: int, layers: int, dropout: float, tied: bool = True
    ) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        tables = [nn.Embedding(vocabulary, width, PAD) for _ in range(1 if tied else 3)]
        self.tables: Any = nn.ModuleList(tables)
        self.dropout = nn.Dropout(dropout)
        sizes = (width, heads, hidden, dropout, relu)
        encoder = nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
        decoder = nn.TransformerDecoderLayer(*sizes, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(encoder, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder, layers, nn.LayerNorm(width))
        for parameter in [*self.encoder.parameters(), *self.decoder.parameters()]:
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)  # torch copies one layer: all would begin equal
        for table in tables:
            nn.init.normal_(table.weight, std=width**-0.5)
            with torch.no_grad():
                table.weight[PAD].zero_()

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return all parameters."""
        return list(self.parameters())

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the decoder's states (B, T, width) for inputs (B, 2, length), source and decoder input; T is the
        longest.

        Sentences of about the same length are read together: in a batch drawn at random most of the work would be
        padding.
        """
        source, given = (trim(part) for part in inputs.unbind(1))
        groups = alike(source, given)
        if len(groups) <= 1:
            return self._states(source, given)
        parts = [self._states(trim(source[rows]), trim(given[rows])) for rows in groups]
        wide = [functional.pad(part, (0, 0, 0, given.shape[1] - part.shape[1])) for part in parts]
        return torch.cat(wide)[torch.cat(groups).argsort()]

    def _states(self, source: Tensor, given: Tensor) -> Tensor:
        memory, padded = self.read(source)
        ahead = torch.triu(torch.ones(given.shape[1], given.shape[1], dtype=torch.bool, device=given.device), 1)
        # Padding follows every piece of the target, and the causal mask hides it already.
        states: Tensor = self.decoder(
            self.embed(given, -2), memory, tgt_mask=ahead, tgt_is_causal=True, memory_key_padding_mask=padded
        )
        return states

    def decode(self, representation: Tensor, tasks: Sequence[str]) -> dict[str, TokenScores]:
        """Return the same scores for each of ``tasks``: the source names the language."""
        return dict.fromkeys(tasks, TokenScores(representation, self.tables[-1].weight))

    def read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's states (B, S, width) of a source (B, S), and a mask of its padding."""
        padded = source == PAD
        return self.encoder(self.embed(source, 0), src_key_padding_mask=padded), padded

    def embed(self, pieces: Tensor, table: int, first: int = 0) -> Tensor:
        """Return vectors of pieces (B, T) at positions ``first`` and after; ``table`` is 0 for the source, -2 for the
        target.
        """
        found = self.tables[table if len(self.tables) > 1 else 0](pieces) * math.sqrt(self.width)
        placed: Tensor = self.dropout(found + sinusoids(first + pieces.shape[1], self.width, found)[first:])
        return placed

    # --- one piece at a time ------------------------------------------------------------------------------------
    def remember(self, source: Tensor) -> Memory:
        """Return the memory with which :meth:`step` begins, for a source (B, length)."""
        states, padded = self.read(trim(source))
        hidden = torch.zeros(padded.shape, dtype=states.dtype, device=states.device).masked_fill(padded, -math.inf)
        found, none = [], []
        for layer in self._layers:
            _, keys, values = self._project(layer.multihead_attn, states)
            found.append((keys, values))
            none.append((keys[:, :, :0], values[:, :, :0]))
        return Memory(found, none, hidden[:, None, None, :])

    def step(self, pieces: Tensor, memory: Memory) -> Tensor:
        """Return scores (B, V) of what follows ``pieces`` (B,), and add these to ``memory``; equal to those by
        ``encode``.
        """
        x: Any = self.embed(pieces[:, None], -2, first=memory.past[0][0].shape[2])
        for k, layer in enumerate(self._layers):
            query, keys, values = self._project(layer.self_attn, layer.norm1(x))
            keys, values = (torch.cat([old, new], 2) for old, new in zip(memory.past[k], (keys, values), strict=True))
            memory.past[k] = keys, values
            x = x + layer.self_attn.out_proj(_joined(functional.scaled_dot_product_attention(query, keys, values)))
            query = self._project(layer.multihead_attn, layer.norm2(x))[0]
            seen = functional.scaled_dot_product_attention(query, *memory.source[k], attn_mask=memory.hidden)
            x = x + layer.multihead_attn.out_proj(_joined(seen))
            x = x + layer.linear2(relu(layer.linear1(layer.norm3(x))))
        return functional.linear(self._last(x)[:, 0], self.tables[-1].weight)

    @property
    def _layers(self) -> Any:
        return self.decoder.layers

    @property
    def _last(self) -> Any:
        return self.decoder.norm

    def _project(self, attention: nn.MultiheadAttention, x: Tensor) -> list[Tensor]:
        """Return queries, keys and values (B, heads, T, width of a head)."""
        found = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
        return [part.view(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in found]


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)


def trim(pieces: Tensor) -> Tensor:
    """Remove the last columns of (B, T) that are padding in every row; keep at least one column."""
    longest = int((pieces != PAD).sum(1).max()) if len(pieces) else 0
    return pieces[:, : max(1, longest)]


def alike(source: Tensor, given: Tensor) -> list[Tensor]:
    """Yield groups of rows of both (B, length), by the longer of their two lengths: at most 8, 16, 32, ... pieces."""
    longest = torch.maximum((source != PAD).sum(1), (given != PAD).sum(1))
    size = longest.clamp_min(SHORT).sub(1).float().log2().floor()
    return [torch.nonzero(size == s).flatten() for s in torch.unique(size)]


def sinusoids(length: int, width: int, like: Tensor) -> Tensor:
    """Return positions (length, width): sines, then cosines, of wavelengths 2 pi to 10,000 times that."""
    rates = torch.exp(torch.arange(width // 2, device=like.device) * (-math.log(1e4) / max(1, width // 2 - 1)))
    angles = torch.arange(length, device=like.device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(like)
