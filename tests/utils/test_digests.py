"""Digests notice every change that a reader would, and cost next to nothing for checkpoints."""

from __future__ import annotations

import random

import pytest
import torch

from scalarize.utils import digests, files, seals

STATE = {"weights": torch.arange(300.0), "epoch": 3, "words": ["a", "b"]}


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(content: bytes) -> bool:
    try:
        found = files.load_tensors("x", content)
    except ValueError:
        return False
    return bool(torch.equal(found.pop("weights"), STATE["weights"])) and found == {"epoch": 3, "words": ["a", "b"]}


@pytest.mark.parametrize("sealed", [False, True])
def test_a_flipped_bit_of_a_checkpoint_is_noticed_or_changes_nothing(sealed: bool) -> None:
    content = seals.tensor_bytes(STATE, {"member": 1}) if sealed else files.tensor_bytes(STATE)
    digest, noticed = digests.of(content), 0
    for bit in random.Random(0).sample(range(8 * len(content)), 600):
        changed = flipped(content, bit)
        if digests.matches(changed, digest):
            assert same(changed)
        else:
            noticed += 1
    assert noticed > 300
    assert digests.matches(content, digest)


@pytest.mark.parametrize(
    "other",
    [
        {**STATE, "epoch": 4},
        {**STATE, "weights": torch.full((300,), float("nan"))},
        {**STATE, "weights": torch.arange(300.0, dtype=torch.float64)},
        None,
        [],
    ],
)
def test_another_state_has_another_digest(other: object) -> None:
    content = files.tensor_bytes(other)  # type: ignore[arg-type]
    assert not digests.matches(content, digests.of(files.tensor_bytes(STATE)))


def test_plain_files_are_hashed_whole() -> None:
    assert digests.of(b"abc").startswith("sha256:ba7816bf")
    assert not digests.matches(b"abd", digests.of(b"abc"))
    assert digests.of(b"PK\x03\x04" + b"x" * 100).startswith("sha256:")
    assert digests.of(b"").startswith("sha256:")


def test_without_checksums_a_checkpoint_is_hashed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.serialization, "get_crc32_options", lambda: False)
    assert digests.of(files.tensor_bytes(STATE)).startswith("sha256:")


def test_a_seal_says_what_wrote_a_checkpoint() -> None:
    by = {"request": "ab", "seed": 5, "member": 1, "generation": 2}
    content = seals.tensor_bytes(STATE, by)
    assert same(content)
    assert seals.read(content) == by
    assert seals.read(files.tensor_bytes(STATE)) is None
    assert seals.read(content[:-1]) is None
    assert seals.read(b"") is None
    middle = content.index(STATE["weights"].numpy().tobytes()[400:440])
    assert seals.read(flipped(content, 8 * middle)) is None
