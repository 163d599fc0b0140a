"""Translation of the library's parameters into the command line's options, in messages.

The library names its parameters in backquotes, as in "choose another `out`"; here they become what was typed.
"""

from __future__ import annotations

import re

# Parameter -> option. Two names for one option: `policies` of a comparison are what each --policy adds.
OPTIONS = {
    "accept_licence": "--accept-licence",
    "also": "--also",
    "asynchronous": "--asynchronous",
    "budget": "--budget",
    "checkpoints": "--checkpoints",
    "class_weights": "--class-weights",
    "csv": "--csv",
    "data": "--data",
    "device": "--device",
    "devices": "--devices",
    "domain": "--domain",
    "from_generation": "--from-generation",
    "groups": "--groups",
    "gpus_per_member": "--gpus-per-member",
    "ignore": "--ignore",
    "inputs": "--inputs",
    "learning_rates": "--learning-rates",
    "logger": "--log",
    "margin": "--margin",
    "max_time": "--max-time",
    "methods": "--methods",
    "metrics": "--metrics",
    "missing": "--missing",
    "out": "--out",
    "points": "--points",
    "policies": "--policy",
    "precision": "--precision",
    "preference": "--preference",
    "reference": "--reference",
    "ray_address": "--ray-address",
    "resume": "--resume",
    "rows": "--methods",
    "score": "--score",
    "seeds": "--seeds",
    "settings": "--set",
    "sharing": "--sharing",
    "single": "--single",
    "splits": "--splits",
    "split_column": "--split-column",
    "targets": "--targets",
    "tasks": "--tasks",
    "time": "--time",
    "trainings": "--trainings",
    "types": "--types",
    "weights": "--weights",
    "workers": "--workers",
    "workload": "--workload",
}


def as_options(message: str) -> str:
    """Replace every parameter in backquotes of a message by its option.

    >>> as_options("runs/a: already holds a run; go on with `resume` or choose another `out`")
    'runs/a: already holds a run; go on with --resume or choose another --out'
    >>> as_options("see `scalarize methods`")
    'see `scalarize methods`'
    """
    return re.sub(r"`(\w+)`", lambda found: OPTIONS.get(found[1], found[0]), message)
