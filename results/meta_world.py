"""results/metaworld.md by one command: does multi-task soft actor-critic learn on Meta-World, and what do methods cost?

    pip install 'scalarize[rl]'
    python results/meta_world.py --out runs/metaworld --write results/metaworld.md

Three parts, each resumable: finished runs and finished rounds are read (``--finished``: only those, and what is missing
is named). *learns*: reach-v3 alone and three easier tasks together, plain training, on 50 fixed test episodes a task,
against the untrained policy on the same episodes. *methods*: MT10 and MT50 for a short budget under each method.
*cost*: one update of each method beside one of plain training, in turns in one process, on a replay of random steps;
``rows`` is what any method that compares gradients must pay: the tasks' gradients as the rows of a matrix, and their
inner products.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from scalarize import methods
from scalarize.methods import Method
from scalarize.runs.build import prepare
from scalarize.runs.directory import digest
from scalarize.runs.request import TrainRequest, WorkloadRequest
from scalarize.runs.train import train
from scalarize.utils import files
from scalarize.utils.errors import DivergedError

GROUPS: dict[str, dict[str, Any]] = {  # a temperature a task is usual for several tasks (Yu et al. 2020)
    "reach-v3 alone": {"workload": "mt10", "tasks": ("reach-v3",), "epochs": 12, "settings": {}},
    "three easier tasks": {
        **{"workload": "mt50", "tasks": ("reach-v3", "drawer-close-v3", "handle-press-v3"), "epochs": 18},
        **{"settings": {"model.temperatures": "per-task"}},
    },
}
METHODS = ("unitary", "pcgrad", "mgda", "graddrop", "imtl", "rlw")
LEARNS = {  # our choice, for a short training: small networks, episodes of 100 steps
    **{"data.steps": 1000, "data.initial_steps": 1000, "data.horizon": 100, "data.validation": 10},
    **{"data.discount": 0.95, "data.target_rate": 0.01, "data.replay": 50_000, "model.temperature": 0.2},
    **{"optimizer.lr": 1e-3, "optimizer.weight_decay": 0.0, "model.widths": [128, 128]},
    **{"model.observation_scale": 5.0},
}
SHORT = {"data.goals": 10, "data.test": 5, "data.horizon": 200, "data.replay": 20_000, "data.target_clip": 1000.0}
BUDGETS: dict[str, dict[str, Any]] = {  # the paper's networks; MT50 draws fewer than the paper's 128 transitions a task
    "mt10": {"epochs": 2, "steps": 60, "random": 20, "settings": {}, "methods": METHODS},
    "mt50": {"epochs": 2, "steps": 110, "random": 20, "settings": {"batch_size": 32}, "methods": METHODS[:2]},
}


def learning(group: str, seed: int, given: argparse.Namespace) -> dict[str, Any] | None:
    """One training, its result, and the untrained policy's success on the same test episodes."""
    own = GROUPS[group]
    shape = own | {"epochs": given.epochs or own["epochs"], "settings": LEARNS | own["settings"]}
    request = TrainRequest(**shape, method="unitary", seed=seed)
    out = Path(given.out) / f"learns-{group.replace(' ', '-')}-seed{seed}-{digest(request.model_dump())}"
    before = out.with_name(out.name + "-untrained.json")
    if left_out(out, given):
        return None
    if not before.exists():
        seen = prepare(request).learner(seed).evaluate("test")
        files.write_json(before, seen)
    return {"seed": seed, "result": run(request, out), "before": files.read_json(before), "out": out}


def left_out(out: Path, given: argparse.Namespace) -> bool:
    """Whether the run in ``out`` is to be left out, being unfinished."""
    return given.finished and not (out / "result.json").exists()


def short(workload: str, method: str, given: argparse.Namespace) -> dict[str, Any] | None:
    """One training of all tasks of ``workload`` for its short budget."""
    budget = BUDGETS[workload]
    steps, random = given.steps or budget["steps"], budget["random"]
    settings = {**SHORT, **budget["settings"], "data.steps": steps, "data.initial_steps": min(random, steps)}
    request = TrainRequest(workload=workload, epochs=budget["epochs"], settings=settings, method=method, seed=0)
    out = Path(given.out) / f"methods-{workload}-{method}-{digest(request.model_dump())}"
    return None if left_out(out, given) else run(request, out)


def run(request: TrainRequest, out: Path) -> dict[str, Any]:
    """Train or read; a run that diverges in its first epoch has only ``diverged``."""
    try:
        told = functools.partial(say, out)
        found: dict[str, Any] = train(request, out, "results/meta_world.py", True, told)
    except DivergedError as error:
        return {"diverged": f"epoch 0: {error}"}
    return found


def say(out: Path, line: str) -> None:
    """Progress, on stderr."""
    print(out.name, line, file=sys.stderr)


def rows_alone() -> Method:
    """Equal weights, after looking at the Gramian."""
    return methods.from_function(lambda gramian: torch.ones(len(gramian), dtype=gramian.dtype))


def cost(workload: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows {method, seconds, ratio, low, high}: of one update, medians and quartiles of rounds against plain training
    in the same round."""
    store = Path(given.out) / f"cost-{workload}.json"
    rounds: list[dict[str, float]] = files.read_json(store) if store.exists() else []
    if len(rounds) < given.rounds and not given.finished:
        makers = {name: functools.partial(methods.create, name) for name in METHODS} | {"rows": rows_alone}
        settings = {**SHORT, **BUDGETS[workload]["settings"], "data.goals": 1, "data.test": 1}
        problem = WorkloadRequest(workload=workload, settings=settings)
        learners: dict[str, Any] = {}
        for name, make in makers.items():
            learners[name] = learner = prepare(problem).learner(0)
            learner.use(make())
            learner.fill(40, at_random=True)
        draw = torch.Generator().manual_seed(0)
        for learner in learners.values():
            learner.update(draw)  # what is made once is made here
        while len(rounds) < given.rounds:
            taken = {}
            for name, learner in list(learners.items())[:: 1 if len(rounds) % 2 else -1]:
                begun = time.perf_counter()
                learner.update(draw)
                taken[name] = time.perf_counter() - begun
            rounds.append(taken)
            files.write_json(store, rounds)
    return [row_of(name, rounds) for name in (*METHODS, "rows")] if rounds else []


def row_of(name: str, rounds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Median and quartiles of one method."""
    ratios = [r[name] / r["unitary"] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    seconds = statistics.median(r[name] for r in rounds)
    return {"method": name, "seconds": seconds, "ratio": middle, "low": low, "high": high}


def interval(rate: float, episodes: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a success rate over ``episodes``."""
    found = stats.binomtest(round(rate * episodes), episodes).proportion_ci(method="wilson")
    return found.low, found.high


def speed(result: Mapping[str, Any]) -> dict[str, float]:
    """Environment steps and updates a second, and seconds for 10,000 updates."""
    acting, updating = (sum(t[key] for t in result["times"]) for key in ("acting", "updating"))
    updates = max(result["updates"], 1)
    return {
        "steps": result["environment_steps"] / acting,
        "updates": updates / updating,
        "per 10,000": 10_000 * updating / updates,
    }


def said(rate: float, episodes: int) -> str:
    """A rate with its interval."""
    low, high = interval(rate, episodes)
    return f"{rate:.2f} [{low:.2f}, {high:.2f}]"


def learns_section(found: Mapping[str, Sequence[Mapping[str, Any]]], episodes: int) -> list[str]:
    """Tables of success before and after, and the course of validation."""
    lines = ["", f"## Does it learn? {episodes} fixed test episodes a task", ""]
    lines += [f"Settings: `{LEARNS}`. Wilson's 95 % intervals over episodes."]
    lines += [f"Besides, of {name}: {own['epochs']} epochs, `{own['settings']}`." for name, own in GROUPS.items()]
    for group, seeds in found.items():
        head = ["task", "seed", "untrained", "trained", "above", "minutes", "environment steps/s", "updates/s"]
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", *table_head(head)]
        for one in seeds:
            seed, result, before = one["seed"], one["result"], one["before"]
            if "test" not in result:
                lines.append(f"| all | {seed} | | diverged: {result['diverged']} | | | | |")
                continue
            fast, minutes = speed(result), result["seconds"] / 60
            judged = [(task, value, result["test"][task], episodes) for task, value in before.items()]
            if len(judged) > 1:  # all episodes together
                means = (statistics.fmean(row[k] for row in judged) for k in (1, 2))
                judged.append(("all", *means, episodes * len(judged)))
            for task, value, after, number in judged:
                above = "yes" if interval(after, number)[0] > interval(value, number)[1] else "no"
                lines.append(
                    f"| {task} | {seed} | {said(value, number)} | {said(after, number)} | {above} "
                    f"| {minutes:.0f} | {fast['steps']:.0f} | {fast['updates']:.1f} |"
                )
        lines += ["", "Validation over epochs, success (return), mean over tasks and episodes:", ""]
        lines += courses({f"seed {one['seed']}": one["out"] for one in seeds})
    return lines


def courses(outs: Mapping[str, Path]) -> list[str]:
    """Success and return on validation over epochs, a column a seed."""
    kept: dict[int, dict[str, dict[str, list[float]]]] = {}
    for seed, out in outs.items():
        for row in files.read_lines(out / "records.jsonl") if (out / "records.jsonl").exists() else []:
            if row["split"] == "validation" and row["metric"] in ("success", "return"):
                own = kept.setdefault(row["epoch"], {name: {} for name in outs})[seed]
                own.setdefault(row["metric"], []).append(row["value"])
    body = [f"| {epoch} | " + " | ".join(map(in_words, seen.values())) + " |" for epoch, seen in sorted(kept.items())]
    return [*table_head(["epoch", *outs]), *body]


def in_words(seen: Mapping[str, Sequence[float]]) -> str:
    """``0.40 (710)``; nothing where a training ended earlier."""
    return f"{statistics.fmean(seen['success']):.2f} ({statistics.fmean(seen['return']):.0f})" if seen else ""


def methods_section(
    found: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """What each method's short run and each update cost."""
    lines = []
    for workload, by_method in found.items():
        lines += ["", f"## {workload.upper()}, a short budget", "", short_settings(workload), ""]
        lines += table_head(["method", "updates", "test success", "seconds for 10,000 updates", "environment steps/s"])
        for method, result in by_method.items():
            if "test" not in result:
                lines.append(f"| {method} | | diverged: {result['diverged']} | | |")
                continue
            fast = speed(result)
            stopped = f" (diverged: {result['diverged']})" if "diverged" in result else ""
            success = f"{result['test']['average']:.2f}{stopped}"
            lines.append(
                f"| {method} | {result['updates']} | {success} | {fast['per 10,000']:.0f} | {fast['steps']:.0f} |"
            )
        lines += ["", "One update beside one of plain training, in turns: these ratios are what to compare."]
        lines += ["`rows`: the tasks' gradients and their inner products alone: the floor of comparing gradients.", ""]
        lines += table_head(["method", "ms", "to unitary", "quartiles"])
        for row in costs[workload]:
            between = f"{row['low']:.2f} to {row['high']:.2f}"
            lines.append(f"| {row['method']} | {1e3 * row['seconds']:.0f} | {row['ratio']:.2f} | {between} |")
    return lines


def short_settings(workload: str) -> str:
    """What the short budget of ``workload`` is, in words."""
    budget = BUDGETS[workload]
    told = f"{budget['epochs']} epochs of {budget['steps']} steps, the first {budget['random']} at random; seed 0. "
    return told + f"Settings: `{SHORT | budget['settings']}`. Success is too early to compare: times are what counts."


def there(asked: Mapping[str, dict[str, Any] | None], missing: list[str]) -> list[dict[str, Any]]:
    """What was run; the names of the rest go to ``missing``."""
    missing += [name for name, one in asked.items() if one is None]
    return [one for one in asked.values() if one is not None]


def table_head(columns: Sequence[str]) -> list[str]:
    """The first two lines of a table in Markdown."""
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]


def main(words: Sequence[str] | None = None) -> None:
    """Run what is asked for, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/metaworld")
    parser.add_argument("--write")
    parser.add_argument("--parts", default="learns,methods,cost")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of the trainings that are to learn")
    parser.add_argument("--steps", type=int, help="an epoch of the methods' short budgets")
    parser.add_argument("--rounds", type=int, default=6, help="of the cost of an update")
    parser.add_argument("--finished", action="store_true", help="train nothing; name what is missing")
    given = parser.parse_args(words)
    parts = given.parts.split(",")
    Path(given.out).mkdir(parents=True, exist_ok=True)
    lines = ["# Meta-World: soft actor-critic on several tasks", ""]
    more = " --finished" if given.finished else ""
    lines += [f"    python results/meta_world.py --out {given.out} --write {given.write}{more}", ""]
    lines += ["metaworld 3.1.1, one process, one thread. Test goals are seen neither in training nor in selection."]
    lines += ["Minutes, steps and updates a second are by the clock, beside whatever else the machine did."]
    missing: list[str] = []
    if "learns" in parts:
        asked = {g: {f"{g}, seed {k}": learning(g, k, given) for k in range(given.seeds)} for g in GROUPS}
        lines += learns_section({g: there(own, missing) for g, own in asked.items()}, 50)
    if "methods" in parts or "cost" in parts:
        shorts: dict[str, dict[str, Any]] = {w: {} for w in BUDGETS}
        for w, budget in BUDGETS.items() if "methods" in parts else ():
            runs = {m: short(w, m, given) for m in budget["methods"]}
            missing += [f"{m} on {w}" for m, one in runs.items() if one is None]
            shorts[w] = {m: one for m, one in runs.items() if one is not None}
        lines += methods_section(shorts, {w: cost(w, given) if "cost" in parts else [] for w in BUDGETS})
    if missing:
        lines += ["", f"Not run yet: {'; '.join(missing)}."]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if given.write:
        files.write_text(given.write, text)


if __name__ == "__main__":
    main()
