"""Run, search and compare directories as the command line leaves them, written by hand."""

import json
from pathlib import Path

import numpy as np
import yaml

from scalarize.analysis import comparison

TASKS = ("any-mental", "log-drugs", "visits-physician")
EPOCHS, STEPS = 12, 40


def write(path: Path, **files) -> Path:
    """Files of a directory: ``name_json`` as name.json and so on."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        stem, kind = name.rsplit("_", 1)
        if kind == "json":
            text = json.dumps(content)
        elif kind == "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in content)
        else:
            text = yaml.safe_dump(content, sort_keys=False)
        (path / f"{stem}.{kind}").write_text(text)
    return path


def row(step, epoch, split, task, metric, value, domain="all"):
    return {
        "step": step,
        "epoch": epoch,
        "split": split,
        "domain": domain,
        "task": task,
        "metric": metric,
        "value": value,
    }


def training(path: Path, method: str, seed: int, level: float, tasks=TASKS, workload="rand-hie") -> Path:
    """A finished run whose metrics rise to ``level``; weights move once an epoch."""
    random = np.random.default_rng([seed, int(1e4 * level)])
    weights = random.dirichlet(np.ones(len(tasks)))
    rows = []
    for epoch in range(EPOCHS):
        if epoch % 3 == 0:
            weights = 0.5 * weights + 0.5 * random.dirichlet(np.ones(len(tasks)))
            rows += [row(epoch * STEPS, epoch, "train", t, "weight", w) for t, w in zip(tasks, weights, strict=True)]
        done, end = epoch + 1, (epoch + 1) * STEPS
        rows += [row(end, done, "train", t, "loss", 2.0 / done + random.uniform()) for t in tasks]
        for t in tasks:
            rows.append(row(end, done, "validation", t, "auroc", level - 0.2 / done + 0.01 * random.normal()))
            rows.append(row(end, done, "validation", t, "loss", 2.1 / done))
    test = {t: level + 0.02 * k + 0.004 * random.normal() for k, t in enumerate(tasks)}
    rows += [row(EPOCHS * STEPS, EPOCHS, "test", t, "auroc", v) for t, v in test.items()]
    test["average"] = float(np.mean(list(test.values())))
    command = f"scalarize train {workload} --method {method} --seed {seed}"
    config = {
        "format": "scalarize-run/1",
        "kind": "train",
        "command": command,
        "request": {"workload": workload, "method": method, "seed": seed},
    }
    result = {"out": str(path), "workload": workload, "method": method, "seed": seed, "epoch": EPOCHS}
    result |= {"validation": test, "test": test, "seconds": 2.5, "skipped_steps": 0, "solver_failures": 0}
    return write(path, config_yaml=config, records_jsonl=rows, result_json=result)


def search(path: Path, seed: int = 0, tasks=TASKS, members: int = 6) -> Path:
    """A finished search of four generations, three epochs each."""
    random = np.random.default_rng(seed)
    points = random.dirichlet(np.ones(len(tasks)), size=members)
    segments, lineage = [], []
    for generation in range(4):
        points = 0.7 * points + 0.3 * random.dirichlet(np.ones(len(tasks)), size=members)
        score = 0.5 + 0.04 * generation + 0.02 * random.normal(size=members)
        for member in range(members):
            parent = None if generation == 0 else member
            entry = {"generation": generation, "member": member, "parent": parent, "epoch": 3 * (generation + 1)}
            lineage.append(entry | {"weights": points[member].tolist(), "score": float(score[member])})
        best = points[int(score.argmax())]
        segments.append({"from_epoch": 3 * generation, "weights": (best / best.sum()).tolist(), "scale": 1.0})
    policy = {"format": "scalarize-policy/1", "tasks": list(tasks), "epochs": EPOCHS, "segments": segments}
    config = {"format": "scalarize-run/1", "kind": "search", "command": f"scalarize search rand-hie --seed {seed}"}
    result = {"out": str(path), "algorithm": "pbt", "trainings": 8.4}
    return write(
        path, config_yaml=config, policy_json=policy | {"provenance": {}}, lineage_jsonl=lineage, result_json=result
    )


def compare(path: Path, tasks=TASKS, searches: int = 3, seeds: int = 3) -> Path:
    """The demo's shape: single, plain methods over seeds, policies over searches x retrains."""
    runs, listed = [], []

    def add(method, seed, directory, group=None, trainings=1, **more):
        result = json.loads((path / directory / "result.json").read_text())
        test = {t: result["test"][t] for t in tasks}
        listed.append(directory)
        entry = {"method": method, "group": group, "seed": seed, "test": test, "average": result["test"]["average"]}
        runs.append(entry | {"trainings": trainings} | more)

    for method, level in (("uniform", 0.66), ("inverse-loss", 0.68), ("inverse-constant", 0.683)):
        for seed in range(seeds):
            directory = f"runs/{method}-seed{seed}"
            training(path / directory, method, seed, level, tasks)
            add(method, seed, directory)
    for group in range(searches):
        search(path / "searches" / f"search-{group}", group, tasks)
        for method, level in (("random-search", 0.682), ("policy", 0.69), ("policy-last", 0.686)):
            for seed in range(seeds):
                directory = f"runs/{method}-search{group}-seed{seed}"
                training(path / directory, "policy", seed, level + 0.002 * group, tasks)
                add(method, seed, directory, group, search_trainings=8.4)
    for task in tasks:
        training(path / f"runs/single-seed0-{task}", "single", 0, 0.67, (task,))
        listed.append(f"runs/single-seed0-{task}")
    rows = comparison.rows(runs)
    result = {"out": str(path), "workload": "rand-hie", "rows": rows, "runs": listed}
    result["verdicts"] = comparison.sentences(runs, "policy")
    config = {
        "format": "scalarize-run/1",
        "kind": "compare",
        "command": "scalarize compare rand-hie --seeds 3",
    }
    config["request"] = {"workload": "rand-hie", "seeds": seeds}
    return write(path, config_yaml=config, result_json=result)
