"""The default model of a table: numbers as they are and whitened, embedded categories, residual blocks, members."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarize.tasks.task import Data
from scalarize.workloads.models.sharing.base import Sharing
from scalarize.workloads.models.sharing.body import Body
from scalarize.workloads.models.sharing.build import share
from scalarize.workloads.models.tabular_whitening import BLOCK, ROWS, Whitening

SETTINGS: dict[str, Any] = {"members": 8, "width": 128, "depth": 2, "dropout": 0.2, "category_width": 8}
FAR = 4.0  # deviations up to which numbers are taken as they are


def draw_in(numbers: Tensor) -> Tensor:
    """Map a standardised number z to itself up to 4 deviations, and to 4 + log(1 + |z| - 4), with its sign, beyond.

    A network continues what it has learned along a straight line; without this, a row that is far out in several
    columns is predicted further out than any row of the training.

    >>> draw_in(torch.tensor([-1.0, 4.0, 33.0]))
    tensor([-1.0000,  4.0000,  7.4012])
    """
    size = numbers.abs()
    far = numbers.sign() * (FAR + torch.log1p((size - FAR).clamp_min(0.0)))
    return torch.where(size > FAR, far, numbers)


class Inputs(nn.Module):
    """The features of a prepared row: its numbers, the same whitened, and an embedding of each category.

    Thresholds of single columns are easiest to learn from the numbers as they are, differences between columns from the
    whitened ones. Numbers far out are drawn in first, see :func:`draw_in`.

    Args:
        numbers: number of columns of numbers; they come first.
        categories: number of codes of each further column, code 0 (missing or unseen) among them.
        width: size of a category's embedding.
    """

    offsets: Tensor

    def __init__(self, numbers: int, categories: Sequence[int], width: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.whitening = Whitening(numbers)
        self.register_buffer("offsets", torch.tensor([0, *itertools.accumulate(categories)][: len(categories)]).long())
        self.embedding = nn.Embedding(sum(categories), width) if categories else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(width))
            with torch.no_grad():  # a word that no training row has stays amid those that were learned
                self.embedding.weight[self.offsets] = 0.0
        self.size = 2 * numbers + width * len(categories)

    def forward(self, inputs: Tensor) -> Tensor:
        numbers = draw_in(inputs[:, : self.numbers])
        features = [numbers, self.whitening(numbers)]
        if self.embedding is not None:
            codes = inputs[:, self.numbers :].round().long() + self.offsets
            features.append(self.embedding(codes).flatten(1))
        return torch.cat(features, dim=1)


class Block(nn.Module):
    """A residual block, ``h + B dropout(relu(A h))``: a linear path from inputs to heads stays open beside it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.outer(self.dropout(functional.relu(self.inner(hidden))))
        return hidden + change


class Members(nn.Module):
    """The first layer of an expert: features (B, F) -> (B, members, width); see :class:`Encoder`."""

    def __init__(self, features: int, members: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.members = nn.Parameter(_signs(members, width))

    def forward(self, features: Tensor) -> Tensor:
        hidden: Tensor = self.first(features)
        return hidden[:, None] * self.members


def stages(features: int, members: int, width: int, depth: int, dropout: float) -> list[Callable[[], nn.Module]]:
    """Return the makers of the encoder's blocks; the first layer is one with the first block."""
    layers: list[Callable[[], nn.Module]] = [partial(Block, width, dropout)] * depth
    first = layers[:1]
    return [lambda: nn.Sequential(Members(features, members, width), *(make() for make in first)), *layers[1:]]


class Encoder(nn.Module):
    """Prepared rows (B, numbers + categories) -> representation (B, members, width).

    The members differ by a vector alone, drawn from {-1, 1}, that multiplies the first layer's output, and share every
    weight otherwise (TabM-mini, Gorishniy et al. 2025): an ensemble at the cost of one model's memory.
    """

    def __init__(self, inputs: Inputs, members: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.inputs = inputs
        self.first = nn.Linear(inputs.size, width)
        self.members = nn.Parameter(_signs(members, width))
        self.blocks = nn.Sequential(*(Block(width, dropout) for _ in range(depth)))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(self.inputs(inputs))[:, None] * self.members
        representation: Tensor = self.blocks(hidden)
        return representation


def _signs(members: int, width: int) -> Tensor:
    signs = torch.randint(0, 2, (members, width)).float() * 2 - 1
    return signs if members > 1 else torch.ones(1, width)


class MemberHeads(nn.Module):
    """One task's linear heads, one for each member; averaged over members outside training.

    Args:
        members: number of members K.
        width: size of the representation.
        outputs: number of outputs.
        link: scale on which members are averaged: ``identity`` averages the outputs, ``sigmoid`` the probabilities of
            each output, ``softmax`` those of the classes, ``exp`` the rates; the average is turned back into a logit or
            a logarithm.
    """

    def __init__(self, members: int, width: int, outputs: int, link: str = "identity") -> None:
        super().__init__()
        if link not in LINKS:
            raise ValueError(f"unknown link {link!r}: one of {', '.join(LINKS)}")
        self.link = link
        self.weight = nn.Parameter((torch.rand(members, width, outputs) * 2 - 1) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, representation: Tensor) -> Tensor:
        """Map (B, members, width) to (B, members, outputs) in training and to their average (B, outputs) otherwise."""
        outputs = torch.einsum("bkw,kwo->bko", representation, self.weight) + self.bias
        return outputs if self.training else LINKS[self.link](outputs)


def _log_mean(logarithms: Tensor) -> Tensor:
    return logarithms.logsumexp(1) - math.log(logarithms.shape[1])


LINKS = {
    "identity": lambda z: z.mean(1),
    "sigmoid": lambda z: _log_mean(functional.logsigmoid(z)) - _log_mean(functional.logsigmoid(-z)),
    "softmax": lambda z: _log_mean(functional.log_softmax(z, -1)),
    "exp": _log_mean,
}


def skeleton(
    settings: Mapping[str, Any],
    info: Mapping[str, Any],
    outputs: Mapping[str, int],
    paths: Sequence[str] | None = None,
) -> nn.Module:
    """Build the model without data; ``load_state_dict`` then sets what ``build`` fitted.

    Args:
        settings: members, width, depth, dropout and category_width, see :data:`SETTINGS`, and those of the
            architecture, see :func:`share`.
        info: facts of the prepared table: ``numbers``, ``categories`` (codes of each), and ``links`` (task -> link, see
            :class:`MemberHeads`; tasks that are left out have the identity).
        outputs: task -> number of outputs.
        paths: names of the domains that one task is learned on, whose head is shared. Default None: several tasks.

    Returns:
        A model with ``encode``, ``decode`` and ``shared_parameters``. In training predictions are
        (B, members, outputs), otherwise (B, outputs).

    >>> model = skeleton(SETTINGS, {"numbers": 3, "categories": [4]}, {"price": 1})
    >>> model.eval()(torch.zeros(5, 4))["price"].shape
    torch.Size([5, 1])
    """
    inputs = Inputs(info["numbers"], list(info["categories"]), settings["category_width"])
    members, width = settings["members"], settings["width"]
    depth, dropout, links = settings["depth"], settings["dropout"], info.get("links", {})
    return share(
        settings,
        lambda: Encoder(inputs, members, width, depth, dropout),
        lambda: Body(inputs, stages(inputs.size, members, width, depth, dropout), (inputs.size,)),
        lambda: {t: MemberHeads(members, width, n, links.get(t, "identity")) for t, n in outputs.items()},
        paths,
    )


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build the model of a prepared table; its whitening is fitted to the training rows of all domains, if any."""
    paths = data.names if len(data.tasks) == 1 and len(data.objectives) > 1 else None
    model = skeleton(settings, data.info, {t.name: t.outputs for t in data.tasks}, paths)

    def blocks() -> Iterator[Tensor]:
        for domain in data.domains.values():
            train = domain.splits["train"]
            spaced = torch.arange(0, len(train), max(1, -(-len(train) * len(data.domains) // ROWS)))
            for block in torch.split(spaced, BLOCK):
                yield draw_in(train.batch(block).inputs[:, : data.info["numbers"]])

    inputs = model.prepare if isinstance(model, Sharing) else model.encoder.inputs  # type: ignore[union-attr]
    assert isinstance(inputs, Inputs)
    inputs.whitening.fit_blocks(blocks)
    return model
