"""The runs behind tables 1, 2, B, C and D: searches, retrains with their policies, and methods.

Every row is trained at three learning rates. Rows of searches: each search's policy is retrained on the whole training
set. Rows beyond the paper's: ``random-search`` with as many trainings as the first search, and ``inverse-constant``,
the weights around which searches begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalarize import methods
from scalarize.methods import Needs
from scalarize.runs.comparison_rows import inverse_policy
from scalarize.runs.request import train_request
from scalarize.runs.search import SearchRequest
from scalarize.studies import axes
from scalarize.studies.study import Context, PlannedRun
from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.sizes import Size

METHODS = ("uniform", "uncertainty", "imtl-l", "cagrad", "graddrop", "pcgrad")
BALANCED = "inverse-constant"
RATES = (1 / 3, 1.0, 3.0)  # the paper states three learning rates, not which: our choice
SEEDS = 2
SHARE = 0.7


@dataclass(frozen=True)
class TableProtocol:
    """One table: which sizes, which searches (row -> settings), and the accumulation of its gradient methods."""

    table: str
    workload: str
    sizes: tuple[tuple[Any, float], ...]
    searches: dict[str, dict[str, Any]]
    accumulate: int = 1


DOMAINNET = {"pbt": {"algorithm": "pbt", "population": 12, "ready": 5, "quantile": 0.25}}
CELEBA = {
    "pbt": {"algorithm": "pbt", "population": 12, "ready": 3, "quantile": 0.40},
    "pb2": {"algorithm": "pb2", "population": 8, "ready": 3, "quantile": 0.40},
}
TABLE_1 = TableProtocol("table-1", "domainnet", ((26, 0.25), (26, 1.0)), DOMAINNET, accumulate=4)
TABLE_B = TableProtocol("table-B", "domainnet", ((50, 0.25), (50, 1.0)), DOMAINNET, accumulate=4)
TABLE_2 = TableProtocol("table-2", "celeba-8", ((6, 1.0), (9, 1.0)), CELEBA)
TABLE_C = TableProtocol("table-C", "celeba-8", ((6, 0.25), (6, 0.5), (6, 1.0)), CELEBA)
TABLE_D = TableProtocol("table-D", "celeba-8", ((9, 0.25), (9, 0.5), (9, 1.0)), CELEBA)


def sizes_of(context: Context, wanted: Sequence[tuple[Any, float]]) -> list[Size]:
    """The paper's sizes where the workload's model has them, else as many of its own, the smallest and largest."""
    known = context.sizes
    fitting = [s for s in known if (s.depth, s.width) in wanted]
    if not fitting:
        fitting = [known[-1]] if len(wanted) == 1 or len(known) == 1 else [known[0], known[-1]]
    return context.budget.first(fitting) if context.budget.name == "tiny" else fitting


def plan(context: Context, protocol: TableProtocol) -> list[PlannedRun]:
    """Searches, retrains of their policies, and the methods, each at three learning rates."""
    planned: list[PlannedRun] = []
    for size in sizes_of(context, protocol.sizes):
        problem = axes.with_settings(context.problem, size.settings)
        searches = dict(protocol.searches)
        first = next(iter(searches.values()))
        searches["random-search"] = first | {"algorithm": "random"}
        for row, settings in searches.items():
            planned += search_rows(context, problem, size.name, row, settings)
        for row in (*METHODS, BALANCED, *context.methods):
            planned += _method_rows(context, problem, size.name, row, protocol.accumulate)
    return planned


def search_rows(
    context: Context, problem: Any, size: str, row: str, settings: dict[str, Any], retrain: bool = True
) -> list[PlannedRun]:
    """As many searches as seeds, each followed by retrains with its policy at every learning rate, one seed each."""
    planned: list[PlannedRun] = []
    settings = settings | {"population": context.budget.members(settings["population"])}
    settings |= {"ready": min(settings["ready"], context.epochs)}
    for seed in context.seeds_of(SEEDS):
        asked = SearchRequest(**problem.fields(), **settings, split=SHARE, seed=seed)
        name = f"search {row} {size.replace(',', '')} {_settings_name(settings)} seed {seed}"
        labels: dict[str, Any] = {"row": row, "size": size, "seed": seed, "group": seed}
        planned.append(PlannedRun(name, asked, labels))
        for rate in _rates(context) if retrain else ():
            tuned = axes.with_settings(problem, {"optimizer.lr": rate})
            more = labels | {"rate": rate}
            retrained = f"retrain {name.removeprefix('search ').removesuffix(f' seed {seed}')} lr {rate:g} seed {seed}"
            planned.append(
                PlannedRun(retrained, train_request(tuned, seed=seed, method="uniform"), more, policy_of=name)
            )
    return planned


def _settings_name(settings: dict[str, Any]) -> str:
    return f"n {settings['population']} e {settings['ready']} q {settings['quantile']:g}"


def _rates(context: Context) -> list[float]:
    base = context.problem.recipe(context.workload).optimizer.lr
    return context.budget.thin(axes.rates(base, RATES))


def _method_rows(context: Context, problem: Any, size: str, row: str, accumulate: int) -> list[PlannedRun]:
    source: dict[str, Any] = {"method": row}
    settings: dict[str, Any] = {}
    if row == BALANCED:
        source = {"policy": inverse_policy(context.data.constant_losses())}
    elif row not in methods.names():
        raise unknown_name_error("method", row, methods.names(), where=" in `methods`")
    elif methods.create(row).needs > Needs.LOSSES and accumulate > 1:
        settings = {"accumulate": accumulate}
    planned = []
    for rate in _rates(context):
        tuned = axes.with_settings(problem, settings | {"optimizer.lr": rate})
        for seed in context.seeds_of(SEEDS):
            labels = {"row": row, "size": size, "seed": seed, "rate": rate, "group": None}
            name = f"method {row} {size.replace(',', '')} lr {rate:g} seed {seed}"
            planned.append(PlannedRun(name, train_request(tuned, seed=seed, **source), labels))
    return planned
