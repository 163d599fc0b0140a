"""Fits, choices and checks as lines for a terminal, and as plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scalarize.search.mixture.checking import Check
from scalarize.search.mixture.choice import Choice
from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.outlook import Outlook


def fit_summary(fit: Fit) -> dict[str, Any]:
    """Plain JSON: runs, domains, and for every metric its form and the share of held-out variance explained."""
    return {
        "runs": len(fit.runs.weights),
        "domains": list(fit.domains),
        "scales": list(fit.runs.scale_names),
        "metrics": [
            {"name": m, "form": f, "better": "higher" if h else "lower", "explained": float(fit.explained[f][k])}
            for k, (m, f, h) in enumerate(zip(fit.metrics, fit.forms, fit.runs.higher, strict=True))
        ],
        "notes": list(fit.notes),
    }


def fit_lines(fit: Fit, ahead: Outlook) -> list[str]:
    """The laws, how well it predicts held-out runs, and if the swarm is large enough."""
    body = [
        [m, "higher" if h else "lower", f, f"{fit.explained[f][k]:.0%}", f"{_error(fit, k):.4g}"]
        for k, (m, f, h) in enumerate(zip(fit.metrics, fit.forms, fit.runs.higher, strict=True))
    ]
    lines = [f"{len(fit.runs.weights)} runs, {len(fit.domains)} domains, {len(fit.metrics)} metrics"]
    lines += _table(["metric", "better", "form", "held-out variance explained", "held-out error"], body)
    return [*lines, *_outlook(ahead), *(f"note: {note}" for note in fit.notes)]


def _outlook(ahead: Outlook) -> list[str]:
    if not np.isfinite(ahead.regret):
        return [f"{ahead.runs} runs of the largest size have every metric: too few to say if the swarm is large enough"]
    half = f"{ahead.regret_half:.2f}" if np.isfinite(ahead.regret_half) else "unknown"
    line = (
        f"choice among {ahead.field} held-out runs: regret {ahead.regret:.2f} on average (0: the best, 1: the average "
        f"run), {ahead.regret_high:.2f} at the 90 % quantile; with half the runs {half}"
    )
    return [line, ahead.verdict]


def _error(fit: Fit, k: int) -> float:
    return float(np.sqrt(np.nanmean(fit.residuals[:, k] ** 2)))


def choice_lines(choice: Choice, most: int = 40) -> list[str]:
    """The mixture, what is predicted for it, the gain, and doubts."""
    order = np.argsort(-choice.weights)[:most]
    body = [[choice.domains[i], f"{choice.weights[i]:.4f}", f"{choice.prior[i]:.4f}"] for i in order]
    lines = _table(["domain", "weight", "prior"], body)
    if len(choice.domains) > most:
        lines.append(f"and {len(choice.domains) - most} domains of less weight")
    rows = [
        [m.name, f"{m.predicted.value:.4f}", f"{m.predicted.low:.4f} to {m.predicted.high:.4f}", f"{m.prior:.4f}",
         f"{m.gain:+.4f}"]
        for m in choice.metrics[:most]
    ]  # fmt: skip
    lines += _table(["metric", "predicted", "90 % of new runs", "at the prior", "gain"], rows)
    s, g = choice.score, choice.gain
    lines.append(f"score ({choice.objective}): {s.value:.4f} ({s.low:.4f} to {s.high:.4f})")
    verdict = "" if choice.distinguishable else ": not distinguishable from the prior by one run of each"
    lines.append(f"gain over the prior: {g.value:.4f} ({g.low:.4f} to {g.high:.4f}){verdict}")
    if choice.repeats_to_decide is not None:
        lines.append(f"about {choice.repeats_to_decide} runs of each would decide")
    gap = choice.solver.get("gap")
    proof = f"; gap {gap:.2g}" if gap is not None else ""
    lines.append(f"solver: {choice.solver['name']}{proof}; {choice.solver['certificate']}")
    lines += [f"next run: {mixture_line(choice, w)} ({why})" for why, w in choice.next_runs[2:]]
    return [*lines, *(f"warning: {w}" for w in choice.warnings)]


def mixture_line(choice: Choice, weights: Array, most: int = 8) -> str:
    """The greatest of ``weights``, those of the choice's domains, on one line."""
    order = np.argsort(-weights)[:most]
    said = ", ".join(f"{choice.domains[i]} {weights[i]:.3f}" for i in order)
    return f"{said}, and {len(weights) - most} more" if len(weights) > most else said


def check_lines(check: Check) -> list[str]:
    """A row for the score and for every metric."""
    body = [
        [
            r.name,
            str(r.runs),
            *(_cell(x) for x in (r.rank, r.regret, r.bias, r.explained, r.explained_shifted, r.coverage)),
        ]
        for r in check.rows
    ]
    header = ["", "runs", "rank", "regret", "bias", "explained", "less bias", f"in {check.level:.0%} interval"]
    several = bool(check.rows) and check.rows[0].runs > 1  # one run leaves nothing to choose
    chosen = [f"the fit would have chosen run {check.chosen}"] if check.chosen and several else []
    return [*_table(header, body), *chosen, *(f"note: {n}" for n in check.notes)]


def _cell(x: float) -> str:
    return f"{x:.2f}" if np.isfinite(x) else "-"


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *body]
    ]
