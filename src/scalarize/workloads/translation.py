"""Translation from English into two or more languages: the published pairs of Xin et al. (2022), and gettext's.

From the paper (section 4.1, appendix A): pre-LN Transformer, 3 + 3 layers of 512, 2048 and 8 heads, a joint vocabulary
of 64K pieces, label smoothing 0.1, dropout 0.1, Adam, 1,024 sentences per batch drawn at the weights' rates, 40,000
steps of linear warm-up, then eta / sqrt(step) with eta = 0.5: a largest learning rate of eta / 200. An epoch is the
stretch between two evaluations, 5,000 steps; the best of them is tested. Its parameter counts (table 2) are those of
three tables of vectors, so they are not tied. Our choices, where it is silent: Adam's betas (0.9, 0.98), sentences of
at most 128 pieces, sinusoidal positions. The sizes of ``gettext`` are our own.
"""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scalarize.learners.recipe import OptimizerRecipe, Recipe, ScheduleRecipe
from scalarize.tasks.samples import Batch
from scalarize.tasks.task import Data, Domain, Objective
from scalarize.utils.errors import RequestError
from scalarize.utils.seeds import derive
from scalarize.workloads import sizes
from scalarize.workloads.base import Workload
from scalarize.workloads.datasets import gettext, manifest, parallel
from scalarize.workloads.datasets.bitext import Bitext, Ragged
from scalarize.workloads.datasets.imagined import Imagined, numbers, unseen
from scalarize.workloads.datasets.subwords import END, Subwords, cached
from scalarize.workloads.models.transformer import Translator
from scalarize.workloads.translation_tasks import translation

FOLDER = "nmt"
CHUNK = 100_000  # pairs that are encoded at a time
LINES = 1_000_000  # evenly spaced lines of each side that the vocabulary is made of


@functools.lru_cache(maxsize=2)
def _read(
    folder: Path, languages: tuple[str, ...], pieces: int, length: int, stamp: int
) -> tuple[Subwords, dict[str, dict[str, Bitext]], dict[str, int]]:
    """Return the vocabulary; language -> split -> sentences; pairs too long. ``stamp`` changes with the files."""
    subwords = cached(folder, _lines(folder, languages), pieces, languages)
    sources: dict[str, dict[str, Bitext]] = {}
    left_out = {}
    for language in languages:
        place, names = parallel.folder_of(folder, language), (subwords.symbol(language), languages)
        sources[language] = {}
        for split in parallel.SPLITS:
            found, lost = in_numbers(parallel.pairs(place, language, split), subwords, *names, length)
            sources[language][split], left_out[f"{language} {split}"] = found, lost
    return subwords, sources, left_out


def _lines(folder: Path, languages: Sequence[str]) -> list[str]:
    """Return the text of the vocabulary: both sides of the training pairs, at most ``LINES`` of each, evenly spaced."""
    found = []
    for language in languages:
        place = parallel.folder_of(folder, language)
        count = sum(1 for _ in parallel.pairs(place, language, "train"))
        if not count:
            raise RequestError(f"{place}: its training split holds no pair of sentences")
        kept = itertools.islice(parallel.pairs(place, language, "train"), None, None, -(-count // LINES))
        found += [line for pair in kept for line in pair]
    return found


def in_numbers(
    pairs: Iterator[tuple[str, str]], subwords: Subwords, symbol: int, names: tuple[str, ...], length: int
) -> tuple[Bitext, int]:
    """Return the pairs as a source, and the number of those longer than ``length``. Groups: the English sentence."""
    sources, targets, groups, count = array("i"), array("i"), array("q"), 0
    ends: tuple[list[int], list[int]] = [0], [0]
    while part := list(itertools.islice(pairs, CHUNK)):
        count += len(part)
        encoded = zip(*(subwords.encode([pair[side] for pair in part]) for side in (0, 1)), strict=True)
        for (english, _), (source, target) in zip(part, encoded, strict=True):
            if max(len(source) + 2, len(target) + 1) <= length:
                sources.extend([symbol, *source, END])
                targets.extend([*target, END])
                ends[0].append(len(sources))
                ends[1].append(len(targets))
                groups.append(derive(english))
    english_side, other_side = Ragged.of(sources, ends[0]), Ragged.of(targets, ends[1])
    return Bitext(english_side, other_side, length, names, torch.tensor(groups, dtype=torch.long)), count - len(groups)


def load_from(folder: Path, languages: tuple[str, ...], settings: Mapping[str, Any]) -> Data:
    """Load one task and one domain per language.

    Args:
        folder: folder of the pairs.
        languages: the target languages.
        settings: ``pieces`` of the vocabulary; ``length``, beyond which pairs are left out; ``epoch``, sentences
            between evaluations; ``measured``, at most so many pairs of a split are evaluated (of the training split as
            the split ``seen``, and of what a search holds out); ``smoothing``; ``beams`` of BLEU, 0 for none.
    """
    paths = [
        p for t in languages for s in parallel.SPLITS for p in parallel.files_of(parallel.folder_of(folder, t), t, s)
    ]
    stamp = hash(tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in paths))
    subwords, sources, left_out = _read(folder, languages, settings["pieces"], settings["length"], stamp)
    tasks = [translation(t, subwords, settings["smoothing"], settings["beams"], settings["length"]) for t in languages]

    def measured(pairs: Bitext) -> Bitext:
        return pairs.spread(settings["measured"]).by_length()

    splits = {t: own | {"seen": own["train"]} for t, own in sources.items()}
    held = {t: {s: p if s == "train" else measured(p) for s, p in own.items()} for t, own in splits.items()}
    domains = {t: Domain(t, own) for t, own in held.items()}
    pairs = {f"{t} {s}": len(own[s]) + left_out[f"{t} {s}"] for t, own in sources.items() for s in parallel.SPLITS}
    info = {"vocabulary": len(subwords), "left out": left_out, "pairs": pairs}
    return Data(tuple(Objective(t.name, t, t.name) for t in tasks), domains, settings["epoch"], info, measured)


def build(settings: Mapping[str, Any], data: Data) -> nn.Module:
    """Build a Transformer for all languages. ``depth`` multiplies ``layers``, those of encoder and decoder each."""
    chosen = {key: settings[key] for key in ("width", "hidden", "heads", "dropout", "tied")}
    return Translator(data.info["vocabulary"], layers=settings["layers"] * settings["depth"], **chosen)


PAIRS = {"fr": 40_900_000, "zh": 26_000_000, "de": 4_500_000, "ro": 600_000}  # of WMT, as the paper counts them
PIECES = (10, 60)  # of an imagined sentence, at least and at most: about what news have


@dataclass(frozen=True)
class ImaginedPairs(Imagined):
    """A source of so many pairs of sentences, each drawn at random when it is asked for."""

    length: int = 128
    pieces: int = 64_000

    def batch(self, indices: Tensor) -> Batch:
        """Draw as many pairs as there are indices."""
        sides = []
        for _ in range(2):
            most = min(PIECES[1], self.length - 2)
            lengths = torch.randint(min(PIECES[0], most // 2), most, (len(indices),))
            flat = torch.randint(END + 1, self.pieces, (int(lengths.sum()),), dtype=torch.int32)
            sides.append(Ragged(flat, torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])))
        return Bitext(sides[0], sides[1], self.length, tuple(self.targets)).batch(torch.arange(len(indices)))

    def select(self, indices: Tensor) -> ImaginedPairs:
        """Return a source of as many pairs as there are indices."""
        return replace(self, count=len(indices))


def imagine(settings: Mapping[str, Any], languages: Sequence[str]) -> Data:
    """Imagine as many pairs of sentences as the paper counts; arguments as of :func:`load_from`."""
    pieces, length = settings["pieces"], settings["length"]
    words: Any = range(pieces)  # as far as a task looks at its vocabulary without text
    tasks = [translation(t, words, settings["smoothing"], settings["beams"], length) for t in languages]
    names = dict.fromkeys(languages, numbers())
    domains = {}
    for language in languages:
        counts = {"train": PAIRS[language], **dict.fromkeys(("validation", "test", "seen"), settings["measured"])}
        sources = {s: ImaginedPairs(n, numbers(), names, None, length, pieces) for s, n in counts.items()}
        domains[language] = Domain(language, sources)
    objectives = tuple(Objective(t.name, t, t.name) for t in tasks)
    return unseen(Data(objectives, domains, settings["epoch"], {"vocabulary": pieces}))


def _published(languages: tuple[str, ...], epochs: int, steps: int) -> Workload:
    def load(settings: Mapping[str, Any], root: Path) -> Data:
        return load_from(root / FOLDER, languages, settings)

    def missing(root: Path) -> str | None:
        path = parallel.absent(root / FOLDER, languages)
        return None if path is None else f"{path}: put parallel text there, a sentence a line (or {path.stem}.tsv)"

    return Workload(
        name=f"nmt-en-{'-'.join(languages)}",
        kind="multi-domain",
        objectives=languages,
        size="WMT 15 (fr), 19 (zh), 16 (de, ro): 40.9, 26.0, 4.5 and 0.6 million pairs",
        provenance="parallel text that you place as plain files; the paper's is that of WMT",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=0.5 / 200, betas=(0.9, 0.98)),
            schedule=ScheduleRecipe(name="inverse-sqrt", warmup=40_000 / steps),
            epochs=epochs,
            batch_size=1024,
            model={"width": 512, "hidden": 2048, "heads": 8, "layers": 3, "depth": 1, "dropout": 0.1, "tied": False},
            data={
                "pieces": 64_000,
                "length": 128,
                "epoch": 1024 * steps,
                "measured": 5000,
                "smoothing": 0.1,
                "beams": 4,
            },
        ),
        load=load,
        shape=functools.partial(imagine, languages=languages),
        build=build,
        missing=missing,
        reference=languages[0],
        sizes=sizes.LAYERS,
        packages=("sentencepiece", "sacrebleu"),
    )


def _small(name: str, languages: tuple[str, ...]) -> Workload:
    def load(settings: Mapping[str, Any], root: Path) -> Data:
        folder = root / gettext.FOLDER
        manifest.check(folder, gettext.REMEDY)
        return load_from(folder, languages, settings)

    def missing(root: Path) -> str | None:
        folder = root / gettext.FOLDER
        return None if (folder / "manifest.json").is_file() else f"{folder / 'manifest.json'}: {gettext.REMEDY}"

    found = ", ".join(f"{gettext.SIZES[language]:,} ({language})" for language in languages)
    return Workload(
        name=name,
        kind="multi-domain",
        objectives=languages,
        size=f"at most {found} pairs",
        provenance="messages of installed programs and their translations (gettext catalogues; see its manifest.json)",
        recipe=Recipe(
            optimizer=OptimizerRecipe(name="adam", lr=4e-3, betas=(0.9, 0.98)),
            schedule=ScheduleRecipe(name="inverse-sqrt", warmup=2),
            epochs=12,
            batch_size=32,
            model={"width": 128, "hidden": 256, "heads": 4, "layers": 2, "depth": 1, "dropout": 0.1, "tied": False},
            data={"pieces": 4000, "length": 64, "epoch": 2048, "measured": 500, "smoothing": 0.1, "beams": 4},
        ),
        load=load,
        build=build,
        missing=missing,
        get=gettext.get,
        reference=languages[0],
        sizes=sizes.LAYERS,
        packages=("sentencepiece", "sacrebleu"),
    )


WORKLOADS = (
    _published(("fr", "zh"), epochs=106, steps=5000),  # 530,000 of the paper's 530,038 steps
    _published(("fr", "de"), epochs=80, steps=4969),  # 397,520 of 397,529
    _published(("fr", "ro"), epochs=80, steps=4969),
    _small("gettext", ("fr", "zh", "de", "ro")),
    _small("gettext-fr-zh", ("fr", "zh")),
    _small("gettext-fr-de", ("fr", "de")),
    _small("gettext-fr-ro", ("fr", "ro")),
)
