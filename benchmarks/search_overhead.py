"""What a search costs beside its trainings: in one process, on two Ray workers, and with stock Ray Tune.

    python benchmarks/search_overhead.py --out results/search-overhead.md

A training that waits for a fixed time stands for one on an accelerator: it shows the overhead alone, whatever else
this machine does. Arms are interleaved and repeated. Ideal: the trainings' own time divided by the workers.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

import scalarize
from scalarize.runs.search import SearchRequest
from scalarize.runs.search import search as run_search
from scalarize.search.executors import ray_start
from scalarize.search.executors.local import LocalExecutor
from scalarize.search.executors.ray_executor import RayExecutor
from scalarize.utils import files
from scalarize.weights.policy import Policy

MEMBERS, EPOCHS, READY, WORKERS = 12, 12, 3, 2
GENERATIONS = EPOCHS // READY
STEPS = 10, 40  # of the perceptron, an epoch
REAL = "rand-hie", "rand-hie-sites"


class Waiting:
    """Trains by waiting ``seconds`` an epoch; carries ``size`` MB of state that it touches."""

    tasks = ("a", "b")

    def __init__(self, seed: int, seconds: float = 0.5, size: float = 0.25) -> None:
        self.seed, self.seconds, self.epoch = seed, seconds, 0
        self.state = torch.zeros(int(size * 2**18))

    def train(self, policy: Policy, until_epoch: int) -> None:
        time.sleep(self.seconds * (until_epoch - self.epoch))
        self.state += 1.0
        self.epoch = until_epoch

    def evaluate(self, split: str) -> dict[str, float]:
        value = float(self.seed % 1000)
        return {"a": value, "b": -value}

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state, self.epoch = state["state"].clone(), int(state["epoch"])


class Computing(Waiting):
    """A small perceptron, really trained, ``steps`` an epoch: for the overhead in one process."""

    def __init__(self, seed: int, steps: int = 10) -> None:
        super().__init__(seed, 0.0, 0.0)
        self.steps = steps
        self.model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

    def train(self, policy: Policy, until_epoch: int) -> None:
        for _ in range(self.steps * (until_epoch - self.epoch)):
            self.optimizer.zero_grad()
            self.model(torch.randn(128, 784)).square().mean().backward()
            self.optimizer.step()
        self.epoch = until_epoch

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = int(state["epoch"])


class Cost(NamedTuple):
    """Seconds: in all, in trainings, and from the end of the first generation to the end of the last."""

    wall: float
    training: float
    steady: float


def ours(factory: Callable[..., Any], executor: Any) -> Cost:
    """What one PBT search costs."""
    ends: dict[int, float] = {}

    def note(progress: Any) -> None:
        ends[progress.generation] = time.perf_counter()

    before = time.perf_counter()
    found = scalarize.search(
        factory, epochs=EPOCHS, population=MEMBERS, ready=READY, tasks=("a", "b"), executor=executor, progress=note
    )
    return Cost(time.perf_counter() - before, found.seconds_training, ends[GENERATIONS - 1] - ends[0])


def beside(total: float, training: float) -> tuple[float, float, float]:
    """Seconds of a training, seconds beside it, and their ratio: of a member in a generation."""
    n = MEMBERS * GENERATIONS
    return training / n, (total - training) / n, total / training - 1


def in_process() -> dict[str, tuple[float, float, float]]:
    """:func:`beside` of searches in this process: of the perceptron, and of the workloads of results/search-real.md."""
    found = {}
    for steps in STEPS:
        factory = functools.partial(Computing, steps=steps)
        cost = ours(factory, LocalExecutor(factory))
        found[f"perceptron, {steps * READY} steps"] = beside(cost.wall, cost.training)
    for name in REAL:
        request = SearchRequest(algorithm="pbt", workload=name, population=MEMBERS, epochs=EPOCHS, ready=READY)
        with tempfile.TemporaryDirectory() as directory:
            result = run_search(request, Path(directory) / "search", "benchmarks/search_overhead.py")
        found[name] = beside(result["seconds"], result["seconds_training"])
    return found


def tune(seconds: float) -> float:
    """Seconds in all of Ray Tune's synchronous PBT over the same trainings: 12 trials of 4 steps on 2 CPUs."""
    ray = ray_start.load()
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray import tune as library
        from ray.tune.schedulers import PopulationBasedTraining

        class Trial(library.Trainable):
            def setup(self, config: dict[str, Any]) -> None:
                self.learner = Waiting(0, seconds)

            def step(self) -> dict[str, Any]:
                self.learner.train(None, self.learner.epoch + READY)
                return {"score": self.config["w"]}

            def save_checkpoint(self, directory: str) -> None:
                torch.save(self.learner.state_dict(), Path(directory) / "state.pt")

            def load_checkpoint(self, directory: str) -> None:
                self.learner.load_state_dict(torch.load(Path(directory) / "state.pt", weights_only=True))

            def reset_config(self, config: dict[str, Any]) -> bool:
                self.config = config
                return True

        before = time.perf_counter()
        ray_start.start(None, cpus=WORKERS)
        with tempfile.TemporaryDirectory() as directory:
            library.Tuner(
                Trial,
                param_space={"w": library.uniform(0, 1)},
                tune_config=library.TuneConfig(
                    num_samples=MEMBERS,
                    metric="score",
                    mode="max",
                    reuse_actors=True,
                    scheduler=PopulationBasedTraining(
                        time_attr="training_iteration",
                        perturbation_interval=1,
                        quantile_fraction=0.4,
                        hyperparam_mutations={"w": library.uniform(0, 1)},
                        synch=True,
                        log_config=False,
                    ),
                ),
                run_config=library.RunConfig(
                    storage_path=directory, stop={"training_iteration": GENERATIONS}, verbose=0, name="pbt"
                ),
            ).fit()
            seconds_in_all = time.perf_counter() - before
        ray.shutdown()
    return seconds_in_all


def transfer(through: str, megabytes: float) -> float:
    """Seconds a generation of 4 members on 2 workers whose training takes no time."""

    def factory(seed: int) -> Waiting:
        return Waiting(seed, 0.0, megabytes)

    ray_start.start(None, cpus=WORKERS)
    before = time.perf_counter()
    scalarize.search(
        factory,
        epochs=EPOCHS,
        population=4,
        ready=READY,
        tasks=("a", "b"),
        executor=RayExecutor(factory, workers=WORKERS, through=through),  # type: ignore[arg-type]
    )
    return (time.perf_counter() - before) / GENERATIONS


def report(seconds: float, repeats: int) -> str:
    """The whole of ``results/search-overhead.md``."""
    torch.set_num_threads(1)
    ideal = MEMBERS * EPOCHS * seconds / WORKERS

    def waiting(seed: int) -> Waiting:
        return Waiting(seed, seconds)

    in_process()  # torch loads much at its first step, once a process
    parts: list[dict[str, tuple[float, float, float]]] = []
    rows: list[tuple[float, float, float]] = []
    moved: list[dict[str, float]] = []
    loads: list[float] = []
    for _ in range(repeats):
        loads.append(os.getloadavg()[0])
        parts.append(in_process())
        print(f"in process {parts[-1]}", flush=True)
        cold = ours(waiting, RayExecutor(waiting, workers=WORKERS))
        steady = cold.steady * GENERATIONS / (GENERATIONS - 1)
        print(f"with start of Ray {cold.wall:.1f} s of {ideal:.1f}, steady {steady:.1f}", flush=True)
        theirs = tune(seconds)
        print(f"Tune {theirs:.1f} s", flush=True)
        ray_start.start(None, cpus=WORKERS)
        moved.append({way: transfer(way, 205.0) for way in ("objects", "directory")})
        print(f"205 MB: {moved[-1]}", flush=True)
        ray_start.load().shutdown()
        rows.append((cold.wall, steady, theirs))
    lines = [
        "# What a search costs beside its trainings",
        "",
        f"`python benchmarks/search_overhead.py --seconds {seconds:g} --repeats {repeats}`, {os.cpu_count()} cores;",
        f"load averages before each repeat: {', '.join(f'{load:.1f}' for load in loads)}. Waiting trainings are not",
        f"slowed by other work, starting processes is. PBT, {MEMBERS} members, {GENERATIONS} generations; "
        f"{seconds * READY:g} s of waiting a member and generation.",
        "",
        "In one process, 1 thread: what scoring, checkpoints and decisions add, a member and generation.",
        "",
        "| trainings | seconds each | seconds beside | share |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {_each(parts, name)} |" for name in parts[0]),
        "",
        f"| {WORKERS} workers, ideal {ideal:.0f} s | seconds | share of the ideal |",
        "| --- | --- | --- |",
    ]
    names = (
        "ours, with the start of Ray and its workers",
        "ours, once workers run (generations 2 to 4, times 4/3)",
        "Ray Tune PopulationBasedTraining(synch=True)",
    )
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        times, shares = ", ".join(f"{t:.1f}" for t in column), ", ".join(f"{ideal / t:.0%}" for t in column)
        lines.append(f"| {name} | {times} | {shares} |")
    lines += ["", "States of 205 MB (a ResNet-50 with momentum), 4 members, 2 workers, trainings of no time:", ""]
    lines += ["| way of checkpoints | seconds a generation |", "| --- | --- |"]
    for way in ("objects", "directory"):
        lines.append(f"| {way} | {', '.join(f'{m[way]:.1f}' for m in moved)} |")
    return "\n".join(lines) + "\n"


def _each(parts: list[dict[str, tuple[float, float, float]]], name: str) -> str:
    columns = list(zip(*(found[name] for found in parts), strict=True))
    return " | ".join(
        ", ".join(form.format(x) for x in column)
        for form, column in zip(("{:.2f}", "{:.3f}", "{:.1%}"), columns, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/search-overhead.md"))
    parser.add_argument("--seconds", type=float, default=0.5, help="waiting an epoch")
    parser.add_argument("--repeats", type=int, default=2)
    asked = parser.parse_args()
    logging.getLogger("ray").setLevel(logging.ERROR)
    files.write_text(asked.out, report(asked.seconds, asked.repeats))


if __name__ == "__main__":
    main()
