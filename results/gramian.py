"""The exact Gramian without the gradients: its price, and single samples as tasks: results/gramian.md.

    export OMP_NUM_THREADS=1 MALLOC_TRIM_THRESHOLD_=10000000000 MALLOC_MMAP_THRESHOLD_=10000000000
    python results/gramian.py --out results/gramian.md      # needs the extra `test`; ten minutes on one core

Times are CPU seconds of one thread, candidates in turns (`benchmarks/step_cost.py`): medians over rounds, quartiles.
`floor` makes one backward a task of the same graph and combines nothing.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import scalarize
from scalarize.balancer.gramian.choice import choose
from scalarize.balancer.gramian.samples import SampleGramian
from scalarize.studies import step_cost as measuring
from scalarize.utils import files
from scalarize.workloads import rand_hie

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import step_cost  # a script beside this one

# Model, T, and the goal as (column, bound).
STEPS = [
    ("perceptron-1024", 8, ("to_floor", 0.60)),
    ("perceptron-1024", 40, ("to_floor", 0.50)),
    ("perceptron-1024-256", 20, ("to_bare", 10.0)),
    ("perceptron-256", 40, ("to_floor", 1.0)),
    ("lenet", 8, ("to_floor", 1.0)),
    ("vit", 8, ("to_floor", 1.0)),
    ("resnet", 8, ("to_floor", 1.0)),
]
METHODS = ("mgda", "pcgrad")
SAMPLES = [
    ("perceptron 512", 128, 20),
    ("perceptron 1024", 256, 40),
    ("small ViT", 64, 2),
    ("LeNet", 64, 2),
]
NOISE, RATES, SEEDS, EPOCHS, BATCH = (0.0, 0.3), (1e-3, 5e-3), 3, 2, 64
ARMS = ("mean of the losses", "mgda", "upgrad")


def steps(seconds: float) -> Iterator[str]:
    """Rows of the table of steps with T tasks."""
    for name, n_tasks, (column, goal) in STEPS:
        setting = step_cost.Setting(name, n_tasks)
        size = sum(p.numel() for p in setting.shared)
        candidates = setting.deep(METHODS)
        layers = len(choose(list(setting.forward()[0].values()), setting.shared))
        rows = measuring.measure(setting.forward, setting.parameters, candidates, 3, time.process_time, seconds=seconds)
        whole = n_tasks * size * 4 / 1e6
        for row in rows[1:]:
            grads = sum(p.numel() for p in setting.parameters) * 4 / 1e6
            above = row["megabytes"] - grads
            ratios = [
                f"{row[f'to_{base}']:.3f} ({row[f'to_{base}_low']:.3f} to {row[f'to_{base}_high']:.3f})"
                for base in ("bare", "floor")
            ]
            target = f"{column.removeprefix('to_')} <= {goal:g}" if row["method"] != "floor" else ""
            yield (
                f"| {name} | {n_tasks} | {layers} | {row['method']} | {1e3 * row['seconds']:.1f} "
                f"| {' | '.join(ratios)} | {above:.0f} ({above / whole:.2f}) | {target} |"
            )
        print(name, n_tasks, file=sys.stderr, flush=True)


class SmallViT(nn.Module):
    """The benchmark's, of 16 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = step_cost.ViT(), nn.Linear(96, 1)
        self.encoder.place = nn.Parameter(torch.randn(1, 16, 96) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def model_of(name: str, n: int) -> tuple[nn.Module, Tensor]:
    """A model with one output, and ``n`` samples."""
    torch.manual_seed(0)
    if name == "small ViT":
        return SmallViT(), torch.randn(n, 3, 16, 16)
    if name == "LeNet":
        encoder, x, width = step_cost.lenet()
        return nn.Sequential(encoder, nn.Linear(width, 1)), x[:n]
    encoder, x, width = step_cost.perceptron(int(name.split()[1]), n)
    return nn.Sequential(encoder, nn.Linear(width, 1)), x


def samples(rounds: int) -> Iterator[str]:
    """Rows of the table of single samples: the Gramian and a weighted gradient, beside TorchJD's engine."""
    from torchjd.autogram import Engine

    for name, n, goal in SAMPLES:
        model, x = model_of(name, n)
        theirs = copy.deepcopy(model)
        engine, ours, weights = Engine(theirs, batch_dim=0), SampleGramian(), torch.rand(n)

        def plain(model: nn.Module = model, x: Tensor = x) -> None:
            model(x).square().sum().backward()

        def layers(model: nn.Module = model, x: Tensor = x, ours: SampleGramian = ours, w: Tensor = weights) -> Tensor:
            losses = model(x).square()
            gramian, combine = ours(losses, list(model.parameters()))
            assert combine is not None
            for p, g in combine(w[:, None]):
                p.grad = g
            return gramian

        def torchjd(model: nn.Module = theirs, x: Tensor = x, engine: Engine = engine, w: Tensor = weights) -> Tensor:
            losses = model(x).square()[:, 0]
            gramian = engine.compute_gramian(losses)
            losses.backward(w)
            return gramian

        a, b = layers(), torchjd()
        off = float((a - b).abs().max() / b.abs().max())
        times = in_turns([plain, layers, torchjd], rounds, [*model.parameters(), *theirs.parameters()])
        memory = [measuring._rise(f) for f in (layers, torchjd)]
        ratio = statistics.median(ours / other for ours, other in zip(times[1], times[2], strict=True))
        to_plain = statistics.median(ours / bare for ours, bare in zip(times[1], times[0], strict=True))
        middle = [1e3 * statistics.median(t) for t in times]
        yield (
            f"| {name} | {n} | {middle[1]:.1f} | {middle[2]:.1f} | {ratio:.4f} (1/{1 / ratio:.1f}) | 1/{goal} "
            f"| {to_plain:.2f} | {memory[0]:.0f} | {memory[1]:.0f} | {off:.0e} |"
        )
        print(name, file=sys.stderr, flush=True)


def in_turns(steps: list[Callable[[], object]], rounds: int, params: list[Tensor]) -> list[list[float]]:
    """CPU seconds of each of ``steps``, round by round."""
    taken: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, times in zip(steps, taken, strict=True):
            for p in params:
                p.grad = None
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
    return taken


def labels(seed: int, noise: float) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Inputs, whether a person saw a physician in a year (with that share of training labels flipped), and splits."""
    table, rows = rand_hie._prepared(seed, ())
    seen = (table.targets["visits-physician"] > 0).float()
    flipped = torch.rand(len(seen), generator=torch.Generator().manual_seed(seed)) < noise
    train = torch.zeros(len(seen), dtype=torch.bool).index_fill(0, rows["train"], True)
    return table.inputs, torch.where(flipped & train, 1 - seen, seen), rows


def train(arm: str, seed: int, noise: float, rate: float) -> tuple[float, float, float]:
    """Validation and test AUC (labels as they are) after the last epoch, and CPU milliseconds of a step."""
    x, y, rows = labels(seed, noise)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    balancer = None if arm == ARMS[0] else scalarize.Balancer(arm, model, per="sample", seed=seed)
    order, start, count = torch.Generator().manual_seed(seed), time.process_time(), 0
    for _ in range(EPOCHS):
        for at in rows["train"][torch.randperm(len(rows["train"]), generator=order)].split(BATCH)[:-1]:
            optimizer.zero_grad()
            losses = functional.binary_cross_entropy_with_logits(model(x[at])[:, 0], y[at], reduction="none")
            _ = losses.mean().backward() if balancer is None else balancer.backward(losses)
            optimizer.step()
            count += 1
    spent = 1e3 * (time.process_time() - start) / count
    with torch.no_grad():
        score = model(x)[:, 0]
    return auc(score, y, rows["validation"]), auc(score, y, rows["test"]), spent


def auc(score: Tensor, y: Tensor, rows: Tensor) -> float:
    """Area under the ROC curve on ``rows``."""
    s, t = score[rows].double(), y[rows] > 0
    rank = torch.empty_like(s).scatter(0, s.argsort(), torch.arange(1, len(s) + 1).double())
    positive = t.sum()
    return float((rank[t].sum() - positive * (positive + 1) / 2) / (positive * (~t).sum()))


def trial() -> Iterator[str]:
    """Rows of the trial with flipped labels; each arm and seed has the rate that is best on validation."""
    for noise in NOISE:
        found: dict[str, list[float]] = {}
        for arm in ARMS:
            runs = [[train(arm, seed, noise, rate) for rate in RATES] for seed in range(SEEDS)]
            found[arm] = [max(of_seed)[1] for of_seed in runs]
            spent = statistics.median(run[2] for of_seed in runs for run in of_seed)
            gaps = [100 * (a - b) for a, b in zip(found[arm], found[ARMS[0]], strict=True)]
            mean, spread = statistics.mean(found[arm]), statistics.stdev(found[arm])
            half = 4.303 * statistics.stdev(gaps) / SEEDS**0.5  # Student's t, 2 degrees of freedom
            paired = "" if arm == ARMS[0] else f"{statistics.mean(gaps):+.2f} ± {half:.2f}"
            yield f"| {noise:.0%} | {arm} | {mean:.4f} ({spread:.4f}) | {paired} | {spent:.1f} |"
            print(noise, arm, file=sys.stderr, flush=True)


PAGE = """# A Gramian without gradients

    export OMP_NUM_THREADS=1 MALLOC_TRIM_THRESHOLD_=10000000000 MALLOC_MMAP_THRESHOLD_=10000000000
    {command}

torch {torch}, TorchJD {torchjd}, one thread of a CPU, float32. Times are CPU seconds, candidates in turns, medians over
rounds (quartiles in brackets). How it is done: `docs/gramian.md`.

## T tasks, parameter level

`floor` makes one backward a task of the same graph, with all gradients, and combines nothing. Memory is what a step
takes above the model and `.grad`, and in brackets its share of T x P numbers, which rows hold.

| model | T | layers | candidate | ms | to bare | to floor | MB (of T x P) | wanted |
|---|---|---|---|---|---|---|---|---|
{steps}

`layers`: weights that are held as layers. The small ViT, ResNet and LeNet have more vectors in a batch (places of
images, tokens) than a layer is wide: their rows are the cheaper way, whatever T is, and are taken as before (T = 40 and
100: `results/step-cost.md`). Backwards through activations alone bring no gain there.

{missed}

{bound}

## Single samples as tasks

The Gramian of B losses and their sum's gradient with given weights. `off`: the largest difference of the two Gramians
beside the largest entry.

| model | B | ms | TorchJD's engine, ms | to it | wanted | to a plain step | MB | TorchJD's, MB | off |
|---|---|---|---|---|---|---|---|---|---|
{samples}

## Does it help to treat samples as tasks?

RAND health insurance data: did a person see a physician in a year? A perceptron of 64-64, {epochs} epochs of batches of
{batch}, Adam, {seeds} seeds (each with a split of its own); the learning rate ({rates}) of each arm and seed is the
better one on validation. A share of the *training* labels is flipped; validation and test labels are not. `gain`:
hundredths of AUC above the mean of the losses, over pairs of the same seed, with the half width of a 95 % interval.

| flipped | losses are combined by | test AUC (spread) | gain | ms a step |
|---|---|---|---|---|
{trial}

{verdict}
"""
BOUND = """No step can be cheaper than one forward, T backwards through activations alone and a gradient of each weight.
For three layers of one width that is (3 + 2 T + 3) / (3 + 5 T) of the floor's products of matrices: {eight:.2f} for
T = 8 and {forty:.2f} for T = 40. The inner products come on top: with a batch of 128 and a width of 1024 they are
{share:.2f} of the floor's products; what is measured beyond that is memory and the heads. At a width of 256 rows are
dearer still: they copy T x P numbers above the floor."""


def missed(made: list[str], engine: list[str]) -> str:
    """The goals of both tables that were not reached."""
    late = []
    for row in made:
        name, n_tasks, _, method, _, bare, floor, _, wanted = (c.strip() for c in row.strip("|").split("|"))
        base, _, goal = wanted.partition(" <= ")
        reached = {"bare": bare, "floor": floor}.get(base, "0").split()[0]
        if goal and float(reached) > float(goal):
            late.append(f"{name}, T = {n_tasks}, {method}: {float(reached):.2f} to {base}, wanted {goal}")
    for row in engine:
        cells = [c.strip() for c in row.strip("|").split("|")]
        reached, goal = float(cells[4].split()[0]), 1 / float(cells[5].removeprefix("1/"))
        if reached > goal:
            late.append(f"samples, {cells[0]}: {reached:.2f} of TorchJD's engine, wanted {goal:g}")
    return "Missed goals: " + "; ".join(late) + "." if late else "All goals were reached."


def verdict(rows: list[str]) -> str:
    """What the intervals of the trial's table allow to say."""
    said = []
    for row in rows:
        cells = [c.strip() for c in row.strip("|").split("|")]
        if cells[3]:
            mean, half = (float(part) for part in cells[3].split("±"))
            word = "better" if mean > half else "worse" if mean < -half else "no different that this trial could tell"
            said.append(f"`{cells[1]}` at {cells[0]} flipped: {word}.")
    return " ".join(said) + " One data set, one small network: no more than an illustration."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="results/gramian.md")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row of the first table, at least")
    parser.add_argument("--rounds", type=int, default=5, help="of the table of samples")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="There is a performance drop")  # of TorchJD's vmap
    made, engine, tried = list(steps(asked.seconds)), list(samples(asked.rounds)), list(trial())
    share = 3 * 40 * 0.75 * 128 / 1024 / (3 + 5 * 40)
    text = PAGE.format(
        command=f"python results/gramian.py --seconds {asked.seconds:g} --rounds {asked.rounds}",
        torch=torch.__version__,
        torchjd=version("torchjd"),
        samples="\n".join(engine),
        trial="\n".join(tried),
        verdict=textwrap.fill(verdict(tried), 118),
        epochs=EPOCHS,
        batch=BATCH,
        seeds=SEEDS,
        rates=" or ".join(f"{r:g}" for r in RATES),
        steps="\n".join(made),
        missed=textwrap.fill(missed(made, engine), 118),
        bound=BOUND.format(eight=(6 + 16) / 43, forty=(6 + 80) / 203, share=share),
    )
    files.write_text(asked.out, text)


if __name__ == "__main__":
    main()
