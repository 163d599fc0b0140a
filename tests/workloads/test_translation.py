"""Translation on invented languages: learned by heart, interrupted and continued exactly, wrong files named."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scalarize import workloads
from scalarize.learners.supervised import SupervisedLearner
from scalarize.runs.held_out import held_out
from scalarize.runs.request import TrainRequest
from scalarize.runs.train import train
from scalarize.tasks.samples import Batch
from scalarize.utils import files
from scalarize.utils.errors import RequestError
from scalarize.workloads.datasets import parallel
from scalarize.workloads.models import decoding

pytest.importorskip("sentencepiece", reason="pip install 'scalarize[nmt]'")
pytest.importorskip("sacrebleu", reason="pip install 'scalarize[nmt]'")

NAME = "nmt-en-fr-zh"
SMALL: dict[str, Any] = {
    **{"model.width": 32, "model.hidden": 64, "model.heads": 4, "model.layers": 1, "model.tied": True},
    **{"data.pieces": 420, "data.length": 12, "data.epoch": 128, "data.measured": 20, "data.beams": 2},
    **{"batch_size": 32, "optimizer.lr": 5e-3, "schedule.warmup": 1},
}
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
FRENCH = dict(zip(WORDS, ["un", "deux", "trois", "quatre", "cinq", "sept", "huit", "neuf"], strict=True))
CHINESE = dict(zip(WORDS, "一二三四五六七八", strict=True))


def write(root: Path, count: int = 60) -> Path:
    """Sentences of 2 to 4 words, translated word by word; Chinese without blanks and backwards."""
    chance = random.Random(0)
    folder = root / "nmt"
    for language, words in (("fr", FRENCH), ("zh", CHINESE)):
        place = parallel.folder_of(folder, language)
        place.mkdir(parents=True)
        for split in parallel.SPLITS:
            english = [chance.choices(WORDS, k=chance.randint(2, 4)) for _ in range(count)]
            join = (lambda ws: " ".join(ws)) if language == "fr" else (lambda ws: "".join(reversed(ws)))
            (place / f"{split}.en").write_text("".join(" ".join(s) + "\n" for s in english))
            (place / f"{split}.{language}").write_text("".join(join([words[w] for w in s]) + "\n" for s in english))
    return folder


def request(root: Path, **more: Any) -> TrainRequest:
    settings = SMALL | {"model.dropout": more.pop("dropout", 0.1)}
    return TrainRequest(workload=NAME, data=str(root), settings=settings, **{"weights": EVEN, **more})


EVEN = {"fr": 0.5, "zh": 0.5}


def test_one_batch_is_learned_to_near_zero_and_translated(tmp_path: Path) -> None:
    torch.manual_seed(0)
    write(tmp_path)
    workload = workloads.get(NAME)
    recipe = workload.recipe.override({**SMALL, "model.dropout": 0.0, "data.smoothing": 0.0})
    data = workload.load(recipe.data, tmp_path)
    model = workload.build(recipe.model, data)
    batch = Batch.concat([d.splits["train"].batch(torch.arange(8)) for d in data.domains.values()])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    places = {"fr": slice(0, 8), "zh": slice(8, 16)}
    for _ in range(80):
        found = model.decode(model.encode(batch.inputs), data.names)
        losses = [t.loss(found[t.name][places[t.name]], batch.targets[t.name][places[t.name]]) for t in data.tasks]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    assert max(float(loss.detach()) for loss in losses) < 0.05
    model.eval()
    wanted = [[n for n in row if n > decoding.END] for row in batch.targets["fr"].tolist()]
    assert decoding.beam(model, batch.inputs[:, 0], 12) == wanted
    for task in data.tasks:
        bleu = task.extra_metrics[-1].metric()
        bleu.generate(model, batch.inputs[places[task.name]], batch.targets[task.name][places[task.name]])
        assert bleu.compute() == pytest.approx(100)
        assert task.constant_loss is not None
        assert 1 < task.constant_loss(batch.targets[task.name]) < math.log(task.outputs)
        assert task.constant_metric is not None
        assert task.constant_metric(batch.targets[task.name]) == task.constant_loss(
            batch.targets[task.name]
        )  # no smoothing


def test_of_a_held_out_part_as_many_pairs_are_measured_as_of_validation(tmp_path: Path) -> None:
    """Measuring a pair costs about as much as training on it: 30 % of a corpus, twelve times, is no small matter."""
    write(tmp_path, count=100)
    workload = workloads.get(NAME)
    data = workload.load(workload.recipe.override(SMALL).data, tmp_path)
    for name, domain in held_out(data.restrict(["zh", "fr"]), 0.7).domains.items():
        held = domain.splits["holdout"]
        assert len(held) == SMALL["data.measured"] == len(data.domains[name].splits["validation"])
        lengths = [int(n) for n in held.targets.lengths]
        assert lengths == sorted(lengths)
        assert len(domain.splits["train"]) == round(0.7 * len(data.domains[name].splits["train"]))


def test_a_training_learns_measures_and_continues_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data")
    asked = request(tmp_path / "data", epochs=3, read_train="last")
    whole = train(asked, tmp_path / "whole", "test")
    rows = files.read_lines(tmp_path / "whole/records.jsonl")
    losses = [r["value"] for r in rows if r["split"] == "train" and r["metric"] == "loss" and r["task"] == "fr"]
    assert losses[-1] < losses[0]
    counted = [r["value"] for r in rows if r["metric"] == "units"]
    assert len(counted) == 6
    assert 128 * 3 * 2 < sum(counted) < 128 * 3 * 8
    assert whole["units_per_second"] > 0
    assert set(whole["measures"]["test"]["zh"]) == {"cross-entropy", "token-error", "bleu", "loss"}
    assert whole["measures"]["validation"]["zh"]["bleu"] is None  # searched for once, on the test split
    assert 0 <= whole["measures"]["test"]["zh"]["bleu"] <= 100
    assert set(whole["train"]) == {"fr", "zh", "average"}
    assert not any(r["metric"] == "bleu" for r in rows if r["split"] == "validation")

    monkeypatch.setattr("scalarize.runs.train.CHECKPOINT_SECONDS", -1.0)
    learn, stopped = SupervisedLearner.train, RuntimeError("killed")

    def killed(self: Any, policy: Any, until: int) -> None:
        if until == 3:
            raise stopped
        learn(self, policy, until)

    with monkeypatch.context() as patch:
        patch.setattr(SupervisedLearner, "train", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(asked, tmp_path / "resumed", "test")
    again = train(asked, tmp_path / "resumed", "test", resume=True)
    assert (tmp_path / "resumed/records.jsonl").read_bytes() == (tmp_path / "whole/records.jsonl").read_bytes()
    assert again["measures"] == whole["measures"]
    one, other = (files.load_tensors(tmp_path / f"{n}/checkpoints/selected.pt") for n in ("whole", "resumed"))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_rates_are_those_of_the_weights_and_a_method_of_gradients_trains(tmp_path: Path) -> None:
    write(tmp_path / "data")
    train(request(tmp_path / "data", epochs=4, weights={"fr": 0.9, "zh": 0.1}), tmp_path / "rates", "test")
    rows = files.read_lines(tmp_path / "rates/records.jsonl")
    counted = {t: sum(r["value"] for r in rows if r["metric"] == "units" and r["task"] == t) for t in EVEN}
    assert 5 < counted["fr"] / counted["zh"] < 15
    for k, method in enumerate(("mgda", "rlw")):
        asked = request(tmp_path / "data", epochs=1, weights=None, method=method)
        result = train(asked, tmp_path / f"method-{k}", "test")
        assert math.isfinite(result["test"]["average"])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("en-fr/train.fr", "un\n", "train.en: line 2 has no counterpart"),
        ("en-zh/test.zh", b"\xff\n" * 60, "test.zh: line 1 is not UTF-8"),
        ("en-zh/train.zh", None, "train.zh: put parallel text there"),
    ],
)
def test_wrong_files_end_with_status_2(
    file: str, content: Any, said: str, tmp_path: Path, command: Callable[..., Any]
) -> None:
    path = write(tmp_path / "data") / file
    if content is None:
        path.unlink()
        assert said in (workloads.get(NAME).missing(tmp_path / "data") or "")
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    answer = command("train", NAME, "--epochs", 1)
    assert answer.status == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_a_changed_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="data get gettext"):
        workloads.get("gettext").load(workloads.get("gettext").recipe.data, tmp_path)
    folder = tmp_path / "gettext"
    (folder / "en-fr").mkdir(parents=True)
    (folder / "en-fr/train.tsv").write_text("one\tun\n")
    (folder / "manifest.json").write_text(json.dumps({"files": {"en-fr/train.tsv": "0" * 64}}))
    with pytest.raises(RequestError, match=r"train\.tsv: missing or changed"):
        workloads.get("gettext").load(workloads.get("gettext").recipe.data, tmp_path)


def test_the_schedule_is_the_papers() -> None:
    recipe = workloads.get(NAME).recipe
    for step, rate in ((20_000, 0.5 / 400), (40_000, 0.5 / 200), (90_000, 0.5 / 300)):
        factor = recipe.schedule.factor(step / 5000, recipe.epochs)
        assert recipe.optimizer.lr * factor == pytest.approx(rate, rel=1e-6)
