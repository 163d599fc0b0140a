"""The page of a fit: what it predicts, how right it was on runs held out, and if the swarm is large enough.

One self-contained file without scripts: tables, and figures as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from scalarize.search.mixture.choice import Choice
from scalarize.search.mixture.fitting import Fit
from scalarize.search.mixture.forms.least_squares import Array
from scalarize.search.mixture.outlook import Outlook
from scalarize.search.mixture.texts import mixture_line
from scalarize.utils import files

MOST = 24  # metrics drawn, domains drawn
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24;
  background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0 } th, td { padding: .2rem .7rem; text-align: right }
th:first-child, td:first-child { text-align: left } th { border-bottom: 2px solid #888 }
td { border-bottom: 1px solid #ddd }
.soft { color: #555 } .grid { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0 }
.scatter { width: 220px } figcaption { font-size: 12px; overflow-wrap: anywhere } li { margin: .2rem 0 }
.wide { overflow-x: auto } th, td { white-space: nowrap } .bars { min-width: 520px; max-width: 720px }
svg { display: block; width: 100%; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: #333 }
"""


def write(fit: Fit, ahead: Outlook, choice: Choice | None, path: str | Path) -> Path:
    """Write the page to ``path``."""
    return files.write_text(path, build(fit, ahead, choice))


def build(fit: Fit, ahead: Outlook, choice: Choice | None) -> str:
    """The whole page as text."""
    parts = [
        f"<h1>Mixture of {len(fit.domains)} domains from {len(fit.runs.weights)} runs</h1>",
        _outlook(ahead),
        *([_choice(choice)] if choice is not None else []),
        "<h2>Held-out predictions</h2><p class=soft>Every point is a run, predicted by the law fitted without it "
        "(and without other runs of its mixture). Across: predicted; up: measured; "
        "on the line a prediction is right.</p>",
        f"<div class=grid>{''.join(_scatter(fit, k) for k in range(min(len(fit.metrics), MOST)))}</div>",
        f"<p class=soft>{len(fit.metrics) - MOST} further metrics are in the table.</p>"
        if len(fit.metrics) > MOST
        else "",
        _metrics(fit),
        _list("Notes", fit.notes),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Mixture</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def _outlook(ahead: Outlook) -> str:
    if not np.isfinite(ahead.regret):
        said = f"{ahead.runs} runs of the largest size have every metric: too few to say."
        return f"<h2>Is the swarm large enough?</h2><p>{said}</p>"
    verdict = f"{ahead.verdict[0].upper()}{ahead.verdict[1:]}."
    half = f"{ahead.regret_half:.2f}" if np.isfinite(ahead.regret_half) else "unknown"
    return (
        f"<h2>Is the swarm large enough?</h2><p>A choice among {ahead.field} runs by held-out predictions has a "
        f"regret of <b>{ahead.regret:.2f}</b> on average (0: the best of them, 1: their average), "
        f"{ahead.regret_high:.2f} at the 90 % quantile; with half the runs {half}. {verdict}</p>"
    )


def _choice(choice: Choice) -> str:
    s, g = choice.score, choice.gain
    said = "" if choice.distinguishable else " One run of each would not tell it from the prior."
    rows = [
        [m.name, f"{m.predicted.value:.4f}", f"{m.predicted.low:.4f} to {m.predicted.high:.4f}", f"{m.prior:.4f}",
         f"{m.gain:+.4f}"]
        for m in choice.metrics
    ]  # fmt: skip
    gap = choice.solver.get("gap")
    proof = f" than {gap:.2g}" if gap is not None else ""
    runs = [f"{why} ({mixture_line(choice, w, 5)})" for why, w in choice.next_runs]
    return (
        f"<h2>The choice</h2><p>Score ({escape(choice.objective)}): <b>{s.value:.4f}</b> ({s.low:.4f} to "
        f"{s.high:.4f}); gain over the prior: <b>{g.value:.4f}</b> ({g.low:.4f} to {g.high:.4f}).{said}</p>"
        f"{_bars(choice)}"
        f"{_table(['metric', 'predicted', '90 % of new runs', 'at the prior', 'gain'], rows)}"
        f"<p class=soft>{escape(str(choice.solver['name']))}: {escape(str(choice.solver['certificate']))}{proof}.</p>"
        f"{_list('Doubts', choice.warnings)}{_list('Runs that would decide', runs)}"
    )


def _bars(choice: Choice) -> str:
    order = np.argsort(-choice.weights)[:MOST]
    top = max(float(choice.weights.max()), float(choice.prior.max()), 1e-9)
    label, width, step, room = 220, 400, 22, 100
    rows = []
    for row, i in enumerate(order):
        y, w, p = 8 + row * step, choice.weights[i] / top * width, choice.prior[i] / top * width
        rows.append(
            f'<text x="{label - 6}" y="{y + 12}" text-anchor="end">{escape(choice.domains[i][-34:])}</text>'
            f'<rect x="{label}" y="{y}" width="{w:.1f}" height="14" fill="#2166ac"/>'
            f'<line x1="{label + p:.1f}" x2="{label + p:.1f}" y1="{y - 2}" y2="{y + 16}" stroke="#d6604d" '
            'stroke-width="3"/>'
            f'<text x="{label + width + 45}" y="{y + 12}" text-anchor="end">{choice.weights[i]:.3f}</text>'
            f'<text x="{label + width + 90}" y="{y + 12}" text-anchor="end" style="fill:#b2382a">'
            f"{choice.prior[i]:.3f}</text>"
        )
    height = 12 + step * len(order)
    more = len(choice.domains) - len(order)
    rest = f" {more} domains of less weight are not drawn." if more else ""
    return (
        f'<figure class=wide><div class=bars><svg role="img" aria-label="Weights of the choice as bars, the prior as '
        f'marks" viewBox="0 0 {label + width + room} {height}">{"".join(rows)}</svg></div>'
        f"<figcaption>Bars and first numbers: the choice. Red marks and numbers: the prior.{rest}</figcaption></figure>"
    )


def _scatter(fit: Fit, k: int) -> str:
    sign = -1.0 if fit.runs.higher[k] else 1.0
    truth, said = sign * fit.runs.losses[:, k], sign * fit.held_out[:, k]
    seen = np.isfinite(truth)
    truth, said = truth[seen], said[seen]
    low, high = float(min(truth.min(), said.min())), float(max(truth.max(), said.max()))
    side, span = 200.0, (high - low) or 1.0

    def at(values: Array) -> Array:
        return np.asarray(10 + (values - low) / span * (side - 20))

    shown = slice(None, None, max(len(truth) // 600, 1))
    points = "".join(
        f'<circle cx="{x:.1f}" cy="{side - y:.1f}" r="2" fill="#2166ac" fill-opacity=".5"/>'
        for x, y in zip(at(said[shown]), at(truth[shown]), strict=True)
    )
    name, form = fit.metrics[k], fit.forms[k]
    broken = escape(name).replace("_", "_<wbr>")  # long names may break there
    explained = fit.explained[form][k]
    return (
        f'<figure class=scatter><svg role="img" aria-label="{escape(name)}: measured over predicted" '
        f'viewBox="0 0 {side:.0f} {side:.0f}">'
        f'<rect x=".5" y=".5" width="{side - 1}" height="{side - 1}" fill="none" stroke="#bbb"/>'
        f'<line x1="10" y1="{side - 10}" x2="{side - 10}" y2="10" stroke="#d6604d"/>{points}</svg>'
        f"<figcaption><b>{broken}</b>, {low:.3g} to {high:.3g}: {explained:.0%} of the variance by {form}"
        "</figcaption></figure>"
    )


def _metrics(fit: Fit) -> str:
    rows = [
        [m, "higher" if fit.runs.higher[k] else "lower", fit.forms[k], f"{fit.explained[fit.forms[k]][k]:.1%}",
         f"{float(np.sqrt(np.nanmean(fit.residuals[:, k] ** 2))):.4g}"]
        for k, m in enumerate(fit.metrics)
    ]  # fmt: skip
    return "<h2>Metrics</h2>" + _table(
        ["metric", "better", "form", "held-out variance explained", "held-out error"], rows
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _list(title: str, items: Sequence[str]) -> str:
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>" if items else ""
