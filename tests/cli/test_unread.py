"""Options, settings and numbers that nothing would read, or that no machine could serve: one line, nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calling import furnish

OWN = ("--csv", "mine.csv", "--targets", "a,b")
RUNS = ("search", "--algorithm", "regression", "--runs", "runs.csv")
SEARCH = ("search", "rand-hie", "--epochs", "4")
COMPARE = ("compare", *OWN, "--methods", "uniform", "--seeds", "1")
HUGE = "9" * 23

UNREAD = [
    (("train", *OWN, "--weights", "a=1,b=1", "--hyper", "c=0.4"), "--hyper: the hyper-parameters of a method"),
    (("train", *OWN, "--policy", "policy.json", "--hyper", "c=0.4"), "and --policy is none"),
    (("train", *OWN, "--single", "a", "--hyper", "c=0.4"), "and --single is none"),
    (("train", "rand-hie", "--refit"), "--refit: trains a model of a table"),
    (("train", *OWN, "--single", "a", "--refit"), "--refit: trains a model of a table"),
    (("train", *OWN, "--reference", "a=1,b=1"), "--reference is for --score gain"),
    ((*SEARCH, "--reference", "a=1,b=1"), "--reference is for --score gain"),
    (("retrain", "held/search", "--reference", "a=1,b=1"), "--reference is for the score gain"),
    ((*COMPARE, "--searches", "9"), "--searches: of the row random-search"),
    ((*COMPARE, "--population", "9"), "--population: of the row random-search"),
    (("compare", "rand-hie", "--methods", "uniform", "--baselines"), "--baselines: the simple models are of tables"),
    ((*SEARCH, "--gpus-per-member", "0.5", "--workers", "2"), "--gpus-per-member: for trainings on accelerators"),
    ((*SEARCH, "--checkpoints", "memory://x", "--workers", "2"), "workers do not see the memory of this process"),
    *(
        ((*RUNS, *more), f"{more[0]}: says nothing of a table")
        for more in (
            ("--hyper", "max=0.5"),
            ("--group", "a,b"),
            ("--also", "optimizer.lr=log:1e-3:1e-1"),
            ("--start", "policy.json"),
            ("--spread", "9"),
            ("--population", "12"),
            ("--ready", "3"),
            ("--split", "0.7"),
            ("--workers", "3"),
            ("--max-time", "1"),
            ("--device", "cpu"),
            ("--set", "batch_size=1"),
            ("--checkpoints", "x"),
            ("--log", "tensorboard"),
            ("--asynchronous",),
        )
    ),
]
NO_EFFECT = [
    ("train", ("--set", "optimizer.momentum=0.5"), "optimizer.momentum: has no effect with optimizer.name=adamw"),
    (
        "train",
        ("--set", "optimizer.name=sgd", "--set", "optimizer.betas=[0.9, 0.9]"),
        "no effect with optimizer.name=sgd",
    ),
    ("train", ("--set", "schedule.decay=0.5"), "schedule.decay: has no effect with schedule.name=constant"),
    ("train", ("--set", "mixing=loss"), "mixing: has no effect on tasks that share their samples"),
    ("train", ("--set", "accumulation=micro"), "accumulation: has no effect with accumulate=1"),
    ("train", ("--set", "level=representation"), "level: has no effect with uniform"),
    ("train", ("--set", "accumulate=1000"), "accumulate=1000: a batch of 256 samples has at most that many"),
    ("search", ("--also", "epochs=lin:2:8"), "epochs: cannot be searched: the members of a search train equally long"),
    ("search", ("--also", "threads=lin:1:2"), "threads: cannot be searched: the threads of a member"),
    ("search", ("--also", "data.split_seed=lin:0:5"), "data.split_seed: cannot be searched: data are read once"),
    ("search", ("--also", "optimizer.momentum=lin:0:0.5"), "optimizer.momentum: has no effect"),
]
BOUNDS = [
    (("train", *OWN, "--epochs", HUGE), "--epochs must be at most 1,000,000"),
    (("train", *OWN, "--epochs", "9" * 40), "got a number of 40 digits"),
    (("train", *OWN, "--seed", HUGE), "--seed must be at most 9,223,372,036,854,775,807"),
    (("train", *OWN, "--set", "threads=100000"), "threads=100000: Input should be less than or equal to 1024"),
    (("train", *OWN, "--set", "epochs=2000000"), "epochs=2000000: Input should be less than or equal to 1000000"),
    (("search", *OWN, "--population", "1000000000"), "--population must be at most 100,000"),
    (("search", *OWN, "--ready", HUGE), "--ready must be at most 1,000,000"),
    (("search", *OWN, "--workers", "100000"), "--workers must be at most 1,024"),
    (("search", *OWN, "--threads-per-member", HUGE), "--threads-per-member must be at most 1,024"),
    ((*COMPARE[:-1], HUGE), "--seeds must be at most 1,000"),
    (("compare", *OWN, "--methods", "random-search", "--searches", HUGE), "--searches must be at most 1,000"),
    (("retrain", "held/search", "--seeds", HUGE), "--seeds must be at most 1,000"),
    (("retrain", "held/search", "--epochs", HUGE), "--epochs must be at most 1,000,000"),
    (("watch", "held", "--every", "inf"), "--every must be above 0 and at most 86400 seconds"),
]


TOLD = [*UNREAD, *(((name, "rand-hie", *words), message) for name, words, message in NO_EFFECT), *BOUNDS]


@pytest.mark.parametrize(("words", "message"), TOLD, ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_what_would_have_no_effect_or_no_bound_is_refused(
    command: Any, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    furnish(tmp_path)
    answer = command(*words, *(() if words[0] == "watch" else ("--out", "new")))
    assert answer.status == 2, answer
    assert message in answer.err.splitlines()[-1]
    assert not (tmp_path / "new").exists()


def test_a_model_whose_parts_depend_on_what_is_searched(command: Any, tmp_path: Path) -> None:
    also = ("search", "rand-hie-sites", "--also", "model.dropout=lin:0:0.5", "--epochs", "1")
    message = "--also model.dropout: the model has other parts at one end of the range"
    answer = command(*also, "--out", "new")
    assert answer.status == 2
    assert message in answer.err.splitlines()[-1]
    answer = command(*also, "--algorithm", "random", "--population", "2", "--ready", "2", "--out", "new")
    assert answer.status == 0  # its members each train alone
    assert "--ready: not read by --algorithm random\n" in answer.err
