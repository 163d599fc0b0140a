"""Pages that are generated when the site is built: methods, workloads, the command line, the API, results.

Named in mkdocs.yml under `hooks`; nothing here is written to disk.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

# What a user imports, by the module that defines it.
PUBLIC = {
    "scalarize.balancer.balancer": ["Balancer", "BackwardResult"],
    "scalarize.methods": ["create", "names", "get", "constant", "replay", "from_function", "from_torchjd"],
    "scalarize.methods.base": ["Method", "Evidence", "Needs", "CombinedGradient", "CombinedLoss"],
    "scalarize.weights.policy": ["Policy"],
    "scalarize.weights.segment": ["Segment"],
    "scalarize.weights.simplex": ["normalise", "uniform", "inverse", "project", "sample_dirichlet", "grid"],
    "scalarize.tasks.task": ["Task", "Measure", "Domain", "Objective", "Data"],
    "scalarize.tasks.kinds": ["binary", "multiclass", "regression"],
    "scalarize.tasks.samples": ["Batch", "Source", "TensorTable"],
    "scalarize.learners.base": ["Learner"],
    "scalarize.learners.supervised": ["SupervisedLearner"],
    "scalarize.search": ["search", "names", "create", "register", "run_search"],
    "scalarize.search.space": ["Space", "Range"],
    "scalarize.search.sampling": ["Spread"],
    "scalarize.search.algorithms.base": ["Setting", "Algorithm", "Generation", "GenerationResult"],
    "scalarize.runs.load": ["load"],
    "scalarize.runs.saved_model": ["SavedModel"],
    "scalarize.runs.estimator": ["MultiTaskModel"],
    "scalarize.search.executors.base": ["Executor", "LearnerFactory", "Job", "Outcome"],
    "scalarize.search.executors.local": ["LocalExecutor"],
    "scalarize.search.executors.ray_executor": ["RayExecutor"],
    "scalarize.search.progress": ["Progress"],
    "scalarize.search.result": ["SearchResult"],
}
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
QUOTED = re.compile(r"(: |-> )'([^']*)'")  # annotations are text since ``from __future__ import annotations``
ROLE = re.compile(r":(?:class|func|meth|mod|attr):`([^`]+)`")
# Labels of the parts of a method's docstring.
LABEL = re.compile(r"^(Cost|Fails|Raises|Our choice):", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages to the site's, and the figures of results."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "results").glob("*/*.png")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def pages() -> dict[str, str]:
    """Return Markdown by path."""
    made = {f"results/{p.name}": p.read_text() for p in sorted((ROOT / "results").glob("*.md"))}
    made["results/index.md"] = "# Results\n\n" + "".join(
        f"- [{p.read_text().splitlines()[0].lstrip('# ')}]({p.name})\n" for p in sorted((ROOT / "results").glob("*.md"))
    )
    return (
        made | _methods() | _workloads() | {"targets.md": _targets()} | {"commands.md": _commands(), "api.md": _api()}
    )


def _methods() -> dict[str, str]:
    from scalarize import methods

    made, rows = {}, []
    for name in methods.names():
        m = methods.get(name)
        needs = m.needs.name.lower()
        rows.append(f"| [{name}]({name}.md) | {m.family} | {needs} | {m.heads} | {m.paper} |")
        defaults = [*((key, "required") for key in m.requires), *((k, f"`{v!r}`") for k, v in m.defaults().items())]
        facts = {
            "family": m.family,
            "needs": needs,
            "heads": f'`"{m.heads}"` by default',
            "levels": ", ".join(m.levels),
            "further batches a step": str(m.extra_batches or "none"),
            "looks at the losses after the step": "yes" if m.observes else "no",
            "paper": m.paper,
            "non-conflicting": "yes" if m.non_conflicting else "not promised",
            "blind to the scale of one task's gradient": "yes" if m.row_scale_invariant else "no",
        }
        text = [f"# {name}", "", _text(sys.modules[m.__module__]), "", LABEL.sub(r"**\1.**", _text(m)), ""]
        text += ["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts.items()), ""]
        if defaults:
            text += ["| hyper-parameter | default |", "|---|---|", *(f"| `{k}` | {v} |" for k, v in defaults), ""]
        text += ["```", f"scalarize train rand-hie --method {name}", "```", ""]
        made[f"methods/{name}.md"] = "\n".join(text)
    head = ["# Methods", "", "| method | family | needs | heads | paper |", "|---|---|---|---|---|"]
    own = [
        "A rule that is not here is a method all the same: `scalarize.methods.from_function` takes any function of the",
        "Gramian or of the Jacobian, `from_torchjd` a TorchJD weighting or aggregator (see [Python](../api.md)).",
    ]
    made["methods/index.md"] = "\n".join([*head, *rows, "", *own, ""])
    return made


def _workloads() -> dict[str, str]:
    from scalarize import workloads

    made, rows = {}, []
    for name in workloads.names():
        w = workloads.get(name)
        rows.append(f"| [{name}]({name}.md) | {w.kind} | {len(w.objectives)} | {w.size} |")
        text = [f"# {name}", "", w.provenance, "", f"{w.kind}, {w.size}.", ""]
        text += ["Weights are over: " + ", ".join(f"`{o}`" for o in w.objectives) + ".", ""]
        recipe = w.recipe.model_dump(mode="json")
        text += ["| recipe | default |", "|---|---|", *(f"| `{k}` | `{v}` |" for k, v in recipe.items()), ""]
        made[f"workloads/{name}.md"] = "\n".join(text)
    head = ["# Workloads", "", "| workload | kind | tasks or domains | size |", "|---|---|---|---|"]
    made["workloads/index.md"] = "\n".join([*head, *rows, ""])
    return made


def _targets() -> str:
    from scalarize.studies import registry

    text = [
        "# Targets of the papers",
        "",
        "Each is one command, `scalarize reproduce TARGET`; with `--plan` it says what that would take. What differs",
        "from the paper whatever the size stands beside it ([item by item](fidelity.md)).",
        "",
    ]
    for paper, own in registry.papers().items():
        text += [f"## {paper}", "", "| target | shows | the paper's data | differs |", "| --- | --- | --- | --- |"]
        text += [f"| `{t.name}` | {t.title} | {', '.join(t.workloads)} | {' '.join(t.stated)} |" for t in own]
        text += [""]
    return "\n".join(text)


def _commands() -> str:
    import click

    from scalarize import cli

    text = ["# Command line", "", "Exit status: 0 done, 1 the run failed, 2 the request was wrong.", ""]
    with click.Context(cli.app, info_name="scalarize") as parent:
        for name in cli.COMMANDS:
            command = cli.app.get_command(parent, name)
            assert command is not None
            context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
            text += [f"## {name}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(text)


def _api() -> str:
    text = ["# Python", ""]
    for module, names in PUBLIC.items():
        found = importlib.import_module(module)
        for name in names:
            thing = getattr(found, name)
            text += [f"## `{module}.{name}`", "", *_signature(name, thing), _text(thing), ""]
            if inspect.isclass(thing):
                for method, function in inspect.getmembers(thing, inspect.isfunction):
                    own = function.__module__.startswith("scalarize.")  # inherited ones, too
                    if not method.startswith("_") and own and function.__doc__:
                        text += [f"### `{name}.{method}`", "", *_signature(method, function), _text(function), ""]
    return "\n".join(text)


def _signature(name: str, thing: Any) -> list[str]:
    try:
        signature = QUOTED.sub(r"\1\2", str(inspect.signature(thing)))
        return ["```python", f"{name}{signature}", "```", ""]
    except (TypeError, ValueError):
        return []


def _text(thing: Any) -> str:
    """Return a docstring as Markdown."""
    return markdown(inspect.getdoc(thing) or "")


def markdown(docstring: str) -> str:
    """Convert a docstring: roles and double backquotes become code, sections lists, doctests blocks of code."""
    lines: list[str] = []
    section = example = ""
    for line in docstring.splitlines():
        if line.startswith(">>>") and not example:
            example = "doctest"
            lines += ["```pycon"]
        if example:
            if line.strip():
                lines.append(line)
                continue
            lines += ["```", ""]
            example = ""
        elif SECTION.fullmatch(line):
            section = line
            lines += [f"**{line[:-1]}**", ""]
        elif section and line.startswith("    "):
            inner = line[4:]
            item = re.fullmatch(r"(\S+): (.*)", inner)
            named = item and section != "Returns:" and not inner.startswith(" ")
            lines.append(f"- `{item[1]}`: {_code(item[2])}" if named and item else _code(inner.strip()))
        else:
            section = section if not line.strip() else ""
            lines.append(_code(line))
    return "\n".join(lines + ["```"] * bool(example))


def _code(line: str) -> str:
    return ROLE.sub(
        lambda role: f"`{role[1].rpartition('~')[2].rpartition('.')[2] if '~' in role[1] else role[1]}`", line
    ).replace("``", "`")
