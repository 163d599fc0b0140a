"""Figure F: the policies that searches find, on large and small models."""

from __future__ import annotations

import re

import pandas as pd

from scalarize.analysis import curves
from scalarize.analysis.study_tables import StudyTable
from scalarize.studies import axes
from scalarize.studies.royer2023 import stated
from scalarize.studies.royer2023.search_plan import CELEBA, search_rows
from scalarize.studies.study import Context, PlannedRun, StudyResults, Target
from scalarize.utils.errors import RequestError


def plan(context: Context) -> list[PlannedRun]:
    """List PBT on the largest model, on a narrower and on a shallower one, and PB2 on the largest."""
    known = context.sizes
    big = known[-1]
    narrow = min((s for s in known if s.depth == big.depth), key=lambda s: s.width)
    depths = list(dict.fromkeys(s.depth for s in known))
    shallow_depth = depths[-2] if len(depths) > 1 else big.depth
    shallow = next(s for s in known if s.depth == shallow_depth and s.width == big.width)
    planned: list[PlannedRun] = []
    for row, size in (("pbt", big), ("pbt", narrow), ("pbt", shallow), ("pb2", big)):
        problem = axes.with_settings(context.problem, size.settings)
        found = search_rows(context, problem, size.name, row, CELEBA[row])
        planned += [p for p in found if p.name not in {q.name for q in planned}]
    return planned


def tabulate(found: StudyResults) -> list[StudyTable]:
    """Return the policies epoch by epoch, and the similarity of the searches' last weights."""
    if not found.policies:
        raise RequestError("no search was run")
    frames = []
    named = {re.sub(r"^search | n \d+ e \d+ q \S+", "", name): policy for name, policy in found.policies.items()}
    for name, policy in named.items():
        wide = curves.policy_weights(policy).reset_index()
        frames.append(wide.melt("epoch", var_name="task", value_name="weight").assign(search=name))
    last = {name: curves.policy_weights(policy).iloc[-1] for name, policy in named.items()}
    rows = [
        {"a": a, "b": b, "correlation": float(last[a].rank().corr(last[b].rank()))} for a in last for b in last if a < b
    ]
    note = "The policy of the best member, traced back."
    tables = [StudyTable("policies", "Policies that searches found", pd.concat(frames), note)]
    alike = pd.DataFrame(rows, columns=["a", "b", "correlation"])
    text = (f"Rank correlation of the last weights between searches: median {alike['correlation'].median():.2f}.",)
    return [*tables, StudyTable("alike", "How alike the last weights are", alike, "Spearman over tasks.", text)]


DATA = ("celeba-8",)
TITLE = "Policies that PBT and PB2 find"
TARGETS = (Target("royer2023/figure-F", TITLE, DATA, plan, tabulate, stated.on(DATA, stated.SEARCHED)),)
