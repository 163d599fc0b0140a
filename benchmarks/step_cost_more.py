"""Further sections of the page of ``step_cost.py``: domains and partly labelled tasks, compiled encoders, checkpoints.

    python benchmarks/step_cost_more.py --append results/step-cost.md

Every candidate stands beside a bare step, and beside the other ways in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import step_cost as base
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint_sequential

from scalarize import methods
from scalarize.learners.forward import forward
from scalarize.learners.recipe import Recipe
from scalarize.learners.supervised import SupervisedLearner
from scalarize.studies import step_cost
from scalarize.tasks.kinds import multiclass, regression
from scalarize.tasks.samples import TensorTable
from scalarize.tasks.task import Data, Domain
from scalarize.utils import files
from scalarize.workloads.models.mlp import multi_head_mlp
from scalarize.workloads.models.multihead import SharedHead

FIRST = "## Domains and partly labelled tasks"
Rows = list[dict[str, Any]]
BATCH = 96  # over all domains: 16 or 6 of each
GROUPS = 8  # of the norm that takes the place of batch norm


class Grouped(nn.Module):
    """The ResNet of ``step_cost.py`` with group norms."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = base.resnet()[0]
        for block in self.inner:
            if isinstance(block, base.Block):
                block.norms = nn.ModuleList(nn.GroupNorm(GROUPS, n.num_features) for n in block.norms)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out


ENCODERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "vit": (base.ViT, 96),
    "resnet, group norm": (Grouped, 64),
    "resnet, batch norm": (lambda: base.resnet()[0], 64),
}


def domains(name: str, n_domains: int) -> tuple[Data, Callable[[], nn.Module], int]:
    """One task on T domains, of which a batch of ``BATCH`` samples holds equal parts."""
    make, width = ENCODERS[name]
    found = []
    for k in range(n_domains):
        g = torch.Generator().manual_seed(k)
        x = torch.randn(64, 3, 32, 32, generator=g)
        table = TensorTable(x, {"class": torch.randint(0, 2, (64,), generator=g)})
        found.append(Domain(f"domain {k}", {"train": table}))
    data = Data.multi_domain(multiclass("class", 2), found, reference="domain 0")
    return data, lambda: SharedHead(make(), {"class": nn.Linear(width, 2)}), BATCH


def labels(n_tasks: int, share: float) -> tuple[Data, Callable[[], nn.Module], int]:
    """T tasks on one table, of whose labels a ``share`` is there; a perceptron of two layers of 256."""
    g, names = torch.Generator().manual_seed(0), [str(t) for t in range(n_tasks)]
    targets = {t: torch.randn(4096, generator=g) for t in names}
    masks = {t: torch.rand(4096, generator=g) < share for t in names}
    table = TensorTable(torch.randn(4096, 100, generator=g), targets, None, masks)
    data = Data.multi_task([regression(t) for t in names], Domain("table", {"train": table}))
    settings = {"widths": [256, 256], "dropout": 0.0}
    return data, lambda: multi_head_mlp(100, dict.fromkeys(names, 1), settings), 512


def learner_rows(about: str, setting: tuple[Data, Callable[[], nn.Module], int], seconds: float) -> Rows:
    """Rows of a setting: a bare step, then each method with a mixed pass and as the package decides."""
    data, build, size = setting
    none = torch.Generator()

    def learner(method: str, passes: str) -> SupervisedLearner:
        made = SupervisedLearner(data, build, Recipe(batch_size=size, passes=passes))  # type: ignore[arg-type]
        made.use(methods.create(method))
        made.model.train()
        return made

    plain = learner("unitary", "mixed")

    def bare() -> None:
        plain.model.zero_grad(set_to_none=True)
        parts = {n: plain.reader.take(n, size // len(data.domains)) for n in data.domains}
        torch.stack(list(forward(plain.model, data.objectives, parts).losses.values())).sum().backward()  # type: ignore[no-untyped-call]

    def step(trained: SupervisedLearner) -> None:
        assert trained.gradient is not None
        trained.model.zero_grad(set_to_none=True)
        trained.gradient.fill(0, none, none)

    made = {f"{m}, {p}": learner(m, p) for m, p in (("pcgrad", "mixed"), ("pcgrad", "auto"), ("mgda", "auto"))}
    steps: dict[str, Callable[[], None]] = {k: lambda x=x: step(x) for k, x in made.items()}  # type: ignore[misc]
    times = _ratios(bare, steps, seconds)
    return [{"setting": about, "T": len(data.names), "candidate": k, **row} for k, row in times.items()]


def _ratios(bare: Callable[[], None], steps: Mapping[str, Callable[[], None]], seconds: float) -> dict[str, Any]:
    """Median milliseconds, and median ratio with quartiles to a bare step right beside, in CPU seconds."""

    def timed(run: Callable[[], None]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    for run in (bare, *steps.values()):
        run()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    end = time.monotonic() + seconds
    while time.monotonic() < end or any(len(x) < 3 for x in taken.values()):
        for name, run in steps.items():
            taken[name].append((timed(bare), timed(run)))
    rows = {
        "bare": {"ms": 1e3 * statistics.median(a for x in taken.values() for a, _ in x), "to_bare": (1.0, 1.0, 1.0)}
    }
    for name, pairs in taken.items():
        low, middle, high = statistics.quantiles([b / a for a, b in pairs], n=4, method="inclusive")
        rows[name] = {"ms": 1e3 * statistics.median(b for _, b in pairs), "to_bare": (middle, low, high)}
    return rows


def stacked(name: str, stack: str, seconds: float) -> Rows:
    """Rows of a plain, compiled or checkpointed encoder, beside a bare step of the same stack."""
    setting = base.Setting(name, 8)
    encoder = setting.encoder
    if stack == "compiled":
        setting.encoder = torch.compile(encoder)  # type: ignore[assignment]
    elif stack == "checkpointed":
        setting.encoder = Checkpointed(encoder)
    kinds = {f"{m}, representation": x for m, x in setting.deep(base.DEEP, level="representation").items()}
    kinds |= {f"{m}, parameters": x for m, x in setting.deep(base.DEEP).items()}
    found = step_cost.measure(
        setting.forward,
        setting.parameters,
        kinds,
        3,
        time.process_time,
        memory=stack != "compiled",
        floor=False,
        seconds=seconds,
    )
    return [
        {"setting": f"{name}, {stack}", "T": 8, "candidate": r["method"], "ms": 1e3 * r["seconds"]}
        | {"to_bare": (r["to_bare"], r["to_bare_low"], r["to_bare_high"]), "megabytes": r["megabytes"]}
        for r in found
    ]


class Checkpointed(nn.Module):
    """The layers of an encoder, each under ``torch.utils.checkpoint`` without reentrance."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.inner = encoder

    def forward(self, x: Tensor) -> Any:
        if isinstance(self.inner, base.ViT):
            x = self.inner.patches(x).flatten(2).transpose(1, 2) + self.inner.place
            layers = self.inner.layers.layers
            return checkpoint_sequential(layers, len(layers), x, use_reentrant=False).mean(dim=1)
        return checkpoint_sequential(self.inner, len(self.inner), x, use_reentrant=False)  # type: ignore[arg-type]


def sections(seconds: float, write: Callable[[list[str]], None]) -> None:
    """Measure, and ``write`` the lines of all further sections as far as they are known."""
    wide: Rows = []
    other: Rows = []

    def tell(what: str) -> None:
        print(what, flush=True)
        write(lines(wide, other))

    for name, n in (("vit", 6), ("vit", 16)):
        wide += learner_rows(f"{name}, {n} domains", domains(name, n), seconds)
        tell(f"{name} {n}")
    for share in (0.1, 0.3, 0.9):
        wide += learner_rows(f"perceptron, {share:.0%} of labels", labels(8, share), seconds)
        tell(f"{share:.0%} of labels")
    for stack in ("plain", "compiled", "checkpointed"):
        other += stacked("vit", stack, seconds)
        tell(stack)
    for name in list(ENCODERS)[1:]:
        wide += learner_rows(f"{name}, 6 domains", domains(name, 6), seconds)
        tell(name)


def lines(wide: Rows, other: Rows) -> list[str]:
    """The sections as a page's lines."""
    return [
        "",
        f"{FIRST}, in the package's learner (batch of {BATCH} or 512)",
        "",
        "`mixed`: one forward pass of the whole batch and T backwards over all of it, as before there was a choice.",
        "`auto`: own passes if no module couples samples, and if they cost less. Times include the drawing of samples.",
        "",
        *table(wide, memory=False),
        "",
        "## Compiled encoders, activation checkpointing (T = 8)",
        "",
        "Inductor's default mode; `torch.utils.checkpoint` of each layer. Ratios are to a bare step of the same stack.",
        "",
        *table(other, memory=True),
    ]


def table(rows: Rows, memory: bool) -> list[str]:
    """A table of rows."""
    head = ["setting", "T", "candidate", "ms", "to bare", *(["MB"] if memory else [])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        middle, low, high = r["to_bare"]
        cells = [r["setting"], str(r["T"]), r["candidate"], f"{r['ms']:.1f}", f"{middle:.3f} ({low:.3f} to {high:.3f})"]
        if memory:
            cells.append("" if r["megabytes"] is None else f"{r['megabytes']:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--append", type=Path, default=Path("results/step-cost.md"))
    parser.add_argument("--seconds", type=float, default=10.0, help="for each group of candidates")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    page = asked.append.read_text().partition(f"\n{FIRST}")[0] if asked.append.exists() else ""
    sections(asked.seconds, lambda more: files.write_text(asked.append, page + "\n".join(more) + "\n"))


if __name__ == "__main__":
    main()
