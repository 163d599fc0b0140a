"""The runs behind tables 1, 2, B, C and D: searches, retrains with their policies, and methods.

Every row is trained at three learning rates, on other data than the paper's at five. Rows of searches: each search's
policy is retrained on the whole training set. Rows beyond the paper's: ``random-search`` with as many trainings as the
first search, and ``inverse-constant``, the weights around which searches begin.

On the paper's own data CAGrad and PCGrad have the settings of the implementation that it names, [31] (Li et al. 2022):
radius 0.5 and division by 1 + c^2; the mean of gradients that are projected on the task's own old one, too. GradDrop
there takes the mean over tasks in place of the sum, which AdamW does not see. On other data methods have their own
papers' settings. Where batches are accumulated, methods combine the accumulated gradients, (ii) of appendix 5.1; the
paper does not say which it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize import methods
from scalarize.methods import Needs
from scalarize.runs.comparison_rows import inverse_policy
from scalarize.runs.request import train_request
from scalarize.runs.search import SearchRequest
from scalarize.studies import axes, scoring
from scalarize.studies.study import Context, PlannedRun
from scalarize.utils.errors import unknown_name_error
from scalarize.workloads.sizes import Size

METHODS = ("uniform", "uncertainty", "imtl-l", "cagrad", "graddrop", "pcgrad")
BALANCED = "inverse-constant"
RATES = (1 / 3, 1.0, 3.0)  # the paper states three learning rates, not which: our choice
WIDER = (1 / 9, *RATES, 9.0)  # on other data, where nobody knows a good one beforehand
SEEDS = 2
# Below these a population can hardly act on its weights: nothing is then said of C4 (but on the paper's own data).
MEMBERS, DECISIONS = 12, 10
OWN: Mapping[str, Mapping[str, Any]] = {
    "cagrad": {"c": 0.5, "rescale": "square"},
    "pcgrad": {"reduction": "mean", "include_self": True},
}


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
        if not own_data(context, protocol):
            more = {row: max(MEMBERS, settings["population"]) for row, settings in searches.items()}
            searches = {row: settings | {"population": more[row]} for row, settings in searches.items()}
        first = next(iter(searches.values()))
        searches["random-search"] = first | {"algorithm": "random"}
        for row, settings in searches.items():
            planned += search_rows(context, problem, size.name, row, settings, rates=rates_of(context, protocol))
        for row in (*METHODS, BALANCED, *context.methods):
            planned += _method_rows(context, problem, size.name, row, protocol)
    return scoring.scored(context, planned)


def own_data(context: Context, protocol: TableProtocol) -> bool:
    """Return True on the paper's own data."""
    return context.workload.name == protocol.workload


def rates_of(context: Context, protocol: TableProtocol) -> list[float]:
    """Return the learning rates of every row."""
    base = context.problem.recipe(context.workload).optimizer.lr
    return context.budget.thin(axes.rates(base, RATES if own_data(context, protocol) else WIDER))


def hardly_acts(row: str, members: int, decisions: int) -> str:
    """Say why a row's searches cannot show what acting on the weights is worth; "" if they can.

    Args:
        row: its name.
        members: of the population.
        decisions: times at which members may be replaced, before the last epoch.
    """
    if members >= MEMBERS and decisions >= DECISIONS:
        return ""
    least = f"{MEMBERS} and {DECISIONS} are the least to judge by"
    return f"{row} has {members} members and takes {decisions} decisions, and {least}"


def search_rows(
    context: Context, problem: Any, size: str, row: str, settings: dict[str, Any], rates: Sequence[float] = ()
) -> list[PlannedRun]:
    """As many searches as seeds, each followed by retrains with its policy at every one of ``rates``, one seed each."""
    planned: list[PlannedRun] = []
    settings = settings | {"population": context.budget.members(settings["population"])}
    settings |= {"ready": min(settings["ready"], context.epochs)}
    for seed in context.seeds_of(SEEDS):
        asked = SearchRequest(**problem.fields(), **settings, split=scoring.SHARE, seed=seed)
        name = f"search {row} {size.replace(',', '')} {_settings_name(settings)} seed {seed}"
        labels: dict[str, Any] = {"row": row, "size": size, "seed": seed, "group": seed}
        planned.append(PlannedRun(name, asked, labels))
        for rate in rates:
            tuned = axes.with_settings(problem, {"optimizer.lr": rate})
            more = labels | {"rate": rate}
            retrained = f"retrain {name.removeprefix('search ').removesuffix(f' seed {seed}')} lr {rate:g} seed {seed}"
            planned.append(
                PlannedRun(retrained, train_request(tuned, seed=seed, method="uniform"), more, policy_of=name)
            )
    return planned


def _settings_name(settings: dict[str, Any]) -> str:
    return f"n {settings['population']} e {settings['ready']} q {settings['quantile']:g}"


def settings_in_words(context: Context, protocol: TableProtocol) -> str:
    """Say whose settings the methods have, and what is accumulated."""
    said = "Methods have their own papers' settings."
    if own_data(context, protocol):
        said = "CAGrad (c 0.5, divided by 1 + c^2) and PCGrad (mean, own old gradient included) as in the paper's code."
    if protocol.accumulate > 1:
        said += f" Gradient methods: batches in {protocol.accumulate} parts, combined after accumulation."
    return said


def _method_rows(context: Context, problem: Any, size: str, row: str, protocol: TableProtocol) -> list[PlannedRun]:
    hyper = OWN.get(row, {}) if own_data(context, protocol) else {}
    source: dict[str, Any] = {"method": row} | ({"hyper": dict(hyper)} if hyper else {})
    settings: dict[str, Any] = {}
    if row == BALANCED:
        source = {"policy": inverse_policy(context.data.constant_losses())}
    elif row not in methods.names():
        raise unknown_name_error("method", row, methods.names(), where=" in `methods`")
    elif methods.create(row).needs > Needs.LOSSES and protocol.accumulate > 1:
        settings = {"accumulate": protocol.accumulate}
    planned = []
    for rate in rates_of(context, protocol):
        tuned = axes.with_settings(problem, settings | {"optimizer.lr": rate})
        for seed in context.seeds_of(SEEDS):
            labels = {"row": row, "size": size, "seed": seed, "rate": rate, "group": None}
            name = f"method {row} {size.replace(',', '')} lr {rate:g} seed {seed}"
            planned.append(PlannedRun(name, train_request(tuned, seed=seed, **source), labels))
    return planned
