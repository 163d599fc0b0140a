"""``mixture``: what to train, laws, the choice, and how right it was, from runs made anywhere."""

from __future__ import annotations

import functools
from typing import Any

import click

from scalarize.cli import command_line, emit
from scalarize.cli import mixture_words as words
from scalarize.cli.options import json_option, seed_option
from scalarize.utils.errors import RequestError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def mixture() -> None:
    """Choose a mixture or weights from runs made anywhere: design, fit, choose, check, report."""


@mixture.command()
@click.option("--domains", required=True, metavar="FILE", help="CSV: domain, size (tokens), prior, low, high.")
@click.option("--runs", type=int, help="How many new runs (default: 4 for every number of the default law).")
@click.option("--prior", metavar="A=1,B=2", help="Mixture to draw around (default: the table's prior, else sizes).")
@click.option("--temperature", default=1.0, show_default=True, help="Flattens the prior: weights ** (1 / temperature).")
@click.option("--budget", "budgets", multiple=True, metavar="TOKENS",
              help="Tokens of a proxy, or of the target (6T): caps hold at each; may be repeated.")  # fmt: skip
@click.option("--repeats", default=4.0, show_default=True, help="Most times that a domain is seen.")
@click.option("--sparse", default=0.25, show_default=True, help="Share of candidates that leave out many domains.")
@click.option("--extend", metavar="FILE", help="CSV of mixtures trained already, which new ones keep away from.")
@click.option("--from", "fitted", metavar="FIT", help="An earlier fit: how many runs does --regret need?")
@click.option("--regret", default=0.05, show_default=True, help="With --from: the regret to reach.")
@click.option(
    "--template",
    metavar="COMMAND",
    help="Also write swarm.sh beside --out: this command for every run, "
    "with {run} and {weights} (A=0.1,B=0.9) filled in.",
)
@click.option("--out", metavar="FILE", default="swarm.csv", show_default=True)
@seed_option
@json_option
def design(
    domains: str, runs: int | None, prior: str | None, temperature: float, budgets: tuple[str, ...], repeats: float,
    sparse: float, extend: str | None, fitted: str | None, regret: float, template: str | None,
    out: str, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Design what to train: mixtures around a prior that fill the space and keep bounds and repetition caps."""
    import csv
    import io

    from scalarize.search import mixture as mixtures
    from scalarize.utils import files

    target = words.free(out)
    assert target is not None
    if template is not None:
        words.free(str(target.with_suffix(".sh")))
    needed = None
    if fitted is not None:
        from scalarize.search.mixture import objective, outlook

        known = mixtures.load(fitted)
        needed = outlook.of_fit(known, objective.create("mean", known.metrics)).runs_for(regret)
        runs = runs if runs is not None else needed
    tokens = [x for x in (words.number(b, "--budget") for b in budgets) if x is not None]
    around = words.numbers(prior, "--prior")
    columns = mixtures.design(domains, runs, around, temperature, None, None, tokens, repeats, sparse, seed, extend)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([row[0], *(f"{x:.6f}" for x in row[1:])])
    files.write_text(target, text.getvalue())
    if template is not None:
        files.write_text(words.free(str(target.with_suffix(".sh"))) or target, words.script(template, columns))
    count = len(columns["run"])
    said = f"{target}: {count} mixtures of {len(columns) - 1} domains"
    if needed is not None:
        said += f"; by {fitted}, {needed} runs reach a regret of {regret:g}"
    emit({"out": str(target), "runs": count, "domains": len(columns) - 1, "needed": needed}, as_json, said)


@mixture.command()
@words.runs_options
@words.score_options
@click.option("--stages", is_flag=True, help="A law for every step of the table: choose then gives a schedule.")
@click.option("--reuse", multiple=True, metavar="FILE", help="Older runs in another set of domains (one or two CSV).")
@click.option("--split", multiple=True, metavar="A=B:0.3+C:0.7", help="A domain of the older runs that was split.")
@click.option("--merge", multiple=True, metavar="A=B+C", help="Domains of the older runs that were merged.")
@click.option("--add", metavar="A,B", help="Domains that the older runs lack.")
@click.option(
    "--forms",
    metavar="A,B",
    help="Forms of a law, the preferred first (default: power,log-linear,ridge; trees needs LightGBM).",
)
@click.option("--out", metavar="FILE", default="fit.json", show_default=True)
@json_option
def fit(
    tables: tuple[str, ...], score: str, target: str | None, forms: str | None, stages: bool, reuse: tuple[str, ...],
    split: tuple[str, ...], merge: tuple[str, ...], add: str | None, out: str, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Fit laws from mixtures to metrics, with honest errors, as plain JSON."""
    from scalarize.search import mixture as mixtures
    from scalarize.search.mixture import objective, outlook, texts
    from scalarize.search.mixture.tables import parse_names

    path = words.free(out)
    assert path is not None
    named, reading = parse_names(forms) or None, words.reading_of(options)
    if stages:
        if reuse:
            raise RequestError("--stages and --reuse exclude each other")
        several = mixtures.fit_steps(*tables, forms=named, **reading)
        several.save(path)
        last = several.fits[-1]
        steps = ", ".join(f"{s:g}" for s in several.steps)
        head = [f"{len(several.steps)} stages, ending at steps {steps}; of the last:"]
    else:
        changes: dict[str, Any] = {
            "split": dict(map(words.split_of, split)),
            "merge": dict(map(words.merge_of, merge)),
            "add": parse_names(add),
        }
        last = mixtures.fit(*tables, forms=named, reuse=reuse, **changes, **reading)
        mixtures.save(last, path)
        head = []
    ahead = outlook.of_fit(last, objective.create(score, last.metrics, target))
    result = {"out": str(path), **texts.fit_summary(last), "outlook": ahead.to_dict()}
    emit(result, as_json, "\n".join([*head, *texts.fit_lines(last, ahead), str(path)]))


@mixture.command()
@click.argument("fitted", metavar="FIT")
@words.score_options
@click.option("--keep", type=float, help="With --target: how much every other metric may get worse.")
@click.option("--prior", metavar="FILE|A=1,B=2", help="What gains are measured against (default: the runs' mean).")
@click.option("--temperature", default=1.0, show_default=True, help="Flattens the prior.")
@click.option("--low", metavar="A=0.1", help="Least weights.")
@click.option("--high", metavar="A=0.4", help="Greatest weights.")
@click.option("--fix", metavar="A=0.2", help="Given weights.")
@click.option("--group", "groups", multiple=True, metavar="A+B=LOW..HIGH", help="Bounds of a sum; may be repeated.")
@click.option("--sizes", metavar="FILE", help="CSV: domain, size (tokens), for repetition caps.")
@click.option("--budget", metavar="TOKENS", help="Tokens of the large run (6T).")
@click.option("--repeats", default=4.0, show_default=True, help="Most times that a domain is seen.")
@click.option("--kl", type=float, help="Greatest KL(mixture || prior), in nats.")
@click.option("--tv", type=float, help="Greatest total variation from the prior.")
@click.option("--beyond", is_flag=True, help="Allow weights that no run had.")
@click.option("--candidates", metavar="FILE", help="CSV of mixtures to choose among.")
@click.option("--size", metavar="N", help="Size of the large run, for fits with several.")
@click.option("--tokens", metavar="N", help="Tokens of the large run, for fits with several.")
@click.option("--out", metavar="FILE", default="policy.json", show_default=True)
@seed_option
@json_option
def choose(fitted: str, score: str, target: str | None, prior: str | None, groups: tuple[str, ...], budget: str | None,
           size: str | None, tokens: str | None, out: str, as_json: bool, **o: Any) -> None:  # fmt: skip
    """Choose the best mixture under constraints, as policy.json, with predictions, intervals and doubts."""
    from scalarize.search import mixture as mixtures
    from scalarize.search.mixture import stages, texts

    path = words.free(out)
    assert path is not None
    decide = functools.partial(
        mixtures.choose,
        score=score,
        target=target,
        keep=o["keep"],
        prior=words.prior_of(prior),
        temperature=o["temperature"],
        low=words.numbers(o["low"], "--low"),
        high=words.numbers(o["high"], "--high"),
        fixed=words.numbers(o["fix"], "--fix"),
        sizes=o["sizes"],
        budget=words.number(budget, "--budget"),
        repeats=o["repeats"],
        groups=dict(map(words.group_of, groups)),
        kl=o["kl"],
        tv=o["tv"],
        beyond=o["beyond"],
        candidates=o["candidates"],
        size=words.number(size, "--size"),
        tokens=words.number(tokens, "--tokens"),
        seed=o["seed"],
    )
    held = stages.load(fitted)
    choices = [decide(f) for f in (held.fits if isinstance(held, stages.Stages) else [held])]
    contents = [c.to_dict() for c in choices]
    found = [{k: c[k] for k in ("objective", "score", "gain", "solver")} for c in contents]
    provenance = {"command": command_line(), "found": found[0] if len(found) == 1 else found}
    policy = stages.schedule(choices, provenance)
    policy.save(path)
    content = contents[0] if len(contents) == 1 else {"stages": contents}
    lines = texts.choice_lines(choices[-1])
    if isinstance(held, stages.Stages):
        ends = zip(held.steps, choices, strict=True)
        lines = [f"stage {k}, to step {s:g}: {texts.mixture_line(c, c.weights)}" for k, (s, c) in enumerate(ends, 1)]
        lines.append("no run changed its mixture: a schedule is a proposal to test, not a prediction")
    emit({"policy": str(path), **content}, as_json, "\n".join([*lines, str(path)]))


@mixture.command()
@click.argument("fitted", metavar="FIT")
@words.runs_options
@words.score_options
@json_option
def check(fitted: str, tables: tuple[str, ...], score: str, target: str | None, as_json: bool, **options: Any) -> None:
    """Compare a fit's predictions with runs that it did not see."""
    from scalarize.search import mixture as mixtures
    from scalarize.search.mixture import texts

    found = mixtures.check(fitted, *tables, score=score, target=target, **words.reading_of(options))
    emit(found.to_dict(), as_json, "\n".join(texts.check_lines(found)))


@mixture.command()
@click.argument("fitted", metavar="FIT")
@click.option("--out", metavar="FILE", default="mixture.html", show_default=True)
@json_option
def report(fitted: str, out: str, as_json: bool) -> None:
    """Write the page of a fit: the choice, held-out predictions, and if the swarm is large enough."""
    from scalarize.search import mixture as mixtures

    path = words.free(out)
    assert path is not None
    mixtures.report(fitted, path)
    emit({"out": str(path)}, as_json, str(path))
