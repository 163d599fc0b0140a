"""Glyphs: fonts sorted into kinds and styles, characters of a family on one side, learned by heart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from scalarize import workloads
from scalarize.tasks.task import Data
from scalarize.workloads.datasets import fonts
from scalarize.workloads.glyphs import sides

PLAIN = {"installed": False, "drawings": 1, "split_seed": 0}


def load(name: str, **changes: object) -> Data:
    return workloads.get(name).load({**PLAIN, **changes}, Path())


def test_matplotlibs_fonts_are_sorted() -> None:
    found = {f.path.name: f for f in fonts.find(installed=False)}
    assert found["DejaVuSansMono-BoldOblique.ttf"].kind == "mono"
    assert found["DejaVuSansMono-BoldOblique.ttf"].bold
    assert found["DejaVuSansMono-BoldOblique.ttf"].italic
    assert (found["DejaVuSans.ttf"].kind, found["STIXGeneral.ttf"].kind) == ("sans", "serif")
    assert (found["cmb10.ttf"].bold, found["cmti10.ttf"].italic, found["cmr10.ttf"].bold) == (True, True, False)
    assert not {"cmex10.ttf", "cmsy10.ttf", "LastResortHE-Regular.ttf", "STIXSizOneSymReg.ttf"} & set(found)
    assert {f.kind for f in found.values()} == set(fonts.KINDS)


def test_every_glyph_is_drawn() -> None:
    train = load("glyphs-tasks").domains["all"].splits["train"]
    images = train.batch(torch.arange(len(train))).inputs
    ink = images.float().mean(dim=(1, 2, 3)) / 255
    assert images.shape[1:] == (1, 32, 32)
    assert ink.min() > 0.005
    assert ink.max() < 0.6


def test_a_character_of_a_family_lies_in_one_split_and_every_kind_trains_on_all() -> None:
    for seed in range(3):
        data = load("glyphs", split_seed=seed)
        groups = {"train": set(), "validation": set(), "test": set()}
        for domain in data.domains.values():
            for split, source in domain.splits.items():
                assert source.groups is not None
                groups[split] |= set(source.groups.tolist())
        assert not groups["train"] & groups["test"]
        assert not groups["train"] & groups["validation"]
        assert not groups["validation"] & groups["test"]
        for domain in data.domains.values():
            train = domain.splits["train"]
            assert len(train.batch(torch.arange(len(train))).targets["character"].unique()) == 62
    assert sides(fonts.find(False), 0) != sides(fonts.find(False), 1)


def test_epochs_count_mono_and_tasks_see_all() -> None:
    data = load("glyphs", drawings=2)
    assert data.names == ["serif", "sans", "mono"]
    assert data.epoch_size == len(data.domains["mono"].splits["train"])
    assert len(load("glyphs-tasks").domains["all"].splits["train"]) * 2 == sum(
        len(d.splits["train"]) for d in data.domains.values()
    )


def test_kinds_are_learned_by_heart(overfit: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    losses = overfit("glyphs", tmp_path, steps=60, data__installed=False, data__drawings=1)
    assert set(losses) == {"serif", "sans", "mono"}
    assert max(losses.values()) < 0.3


def test_tasks_are_learned_by_heart(overfit: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    losses = overfit("glyphs-tasks", tmp_path, steps=60, limit=160, data__installed=False, data__drawings=1)
    assert set(losses) == {"character", "bold", "italic"}
    assert max(losses.values()) < 0.3
