"""The command line. Everything heavy is imported by the command that needs it, so that --help answers at once."""

from __future__ import annotations

import contextlib
import importlib
import json
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import click

from scalarize import __version__
from scalarize.cli import outside, streams
from scalarize.cli.notes import as_lines
from scalarize.cli.parameters import as_options
from scalarize.utils import documents

COMMANDS = {
    "workloads": ("scalarize.cli.listings", "workloads"),
    "methods": ("scalarize.cli.listings", "methods"),
    "data": ("scalarize.cli.listings", "data"),
    "train": ("scalarize.cli.train", "train"),
    "policy": ("scalarize.cli.train", "policy"),
    "search": ("scalarize.cli.search", "search"),
    "retrain": ("scalarize.cli.search", "retrain"),
    "mixture": ("scalarize.cli.mixture", "mixture"),
    "compare": ("scalarize.cli.compare", "compare"),
    "advise": ("scalarize.cli.advise", "advise"),
    "predict": ("scalarize.cli.predict", "predict"),
    "export": ("scalarize.cli.export", "export"),
    "front": ("scalarize.cli.front", "front"),
    "reproduce": ("scalarize.cli.reproduce", "reproduce"),
    "demo": ("scalarize.cli.compare", "demo"),
    "cost": ("scalarize.cli.cost", "cost"),
    "report": ("scalarize.cli.compare", "report"),
    "watch": ("scalarize.cli.watch", "watch"),
    "verify": ("scalarize.cli.verify", "verify"),
}
SUMMARIES = {
    "workloads": "List the workloads: kind, tasks, size, data present or how to get it.",
    "methods": "List the methods: family, needs, heads rule, paper, options with their defaults.",
    "data": "Fetch, build and verify data sets.",
    "train": "Train one model with a method, with fixed weights, with a policy, or on a single task.",
    "policy": "The weights that a run used, as policy.json.",
    "search": "Search task weights; writes policy.json and lineage.jsonl.",
    "retrain": "Retrain with the policy of a search, on the whole training set.",
    "mixture": "Choose a mixture or weights from runs made anywhere: design, fit, choose, check, report.",
    "compare": "Compare methods and policies over seeds, in one table.",
    "advise": "Even weights, a rule, or a search? A race that answers for these tasks, and the policy to use.",
    "predict": "Predict new rows of a table, in the targets' own units and class names.",
    "export": "Export a model of a table as safetensors, torch or ONNX, with its preparation and a model card.",
    "front": "Measure and draw the front of a training with model.front; export the model of one preference.",
    "reproduce": "The tables and figures of a paper, on its data or on others.",
    "demo": "The main job on real data: search, retrain, compare, report.",
    "cost": "Seconds and memory a step of every method, beside a bare loop.",
    "report": "One self-contained page of what the given directories hold.",
    "watch": "Show how far the runs and searches of a directory are, until all are finished. It only reads.",
    "verify": "Say which files of a run directory can be trusted. It only reads.",
}


# What click raises for a group without a command (older ones print the help).
NO_WORDS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class _Lazy(click.Group):
    """A group whose commands are imported when they are called; their one-line summaries are at hand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from scalarize.utils.errors import unknown_name_error

            raise unknown_name_error("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def app() -> None:
    """Find, replay and compare task weights for multi-task and multi-domain learning."""


def command_line() -> str:
    """Return this command as it was typed, in one line that can be typed again."""
    return shlex.join(["scalarize", *click.get_current_context().find_root().obj])


def emit(result: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the answer: one JSON line, or text."""
    _wipe()
    click.echo(documents.to_json(result) if as_json else text)


def say(line: str) -> None:
    """Print a lasting message on stderr."""
    streams.tell(line)


def show(line: str) -> None:
    """Print progress on stderr: one line that changes on a terminal, a line each if it is written to a file."""
    if not sys.stderr.isatty():
        return say(line)
    width = shutil.get_terminal_size().columns
    streams.tell(f"\r\x1b[K{line[: width - 1]}", newline=False)


def _wipe() -> None:
    """Erase the progress line of a terminal."""
    if sys.stderr.isatty():
        streams.tell("\r\x1b[K", newline=False)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit status 0 done, 1 the run failed, 2 the request was wrong, each said in one line."""
    streams.make_usable()
    with _terminable():
        _run(arguments)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """End as Ctrl-C does if the system asks this process to end, unless it has been told otherwise."""
    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(arguments: list[str] | None) -> None:
    from scalarize.utils.errors import ScalarizeError

    given = sys.argv[1:] if arguments is None else arguments
    try:
        with as_lines():
            status = app.main(args=list(given), prog_name="scalarize", standalone_mode=False, obj=given) or 0
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        _fail(_interrupted(given), 1, given)
    except NO_WORDS as error:
        known = ", ".join(error.ctx.command.list_commands(error.ctx))
        _fail(f"name a command: {known} (--help says what each does)", 2, given)
    except click.ClickException as error:
        _fail(error.format_message(), 2, given)
    except ScalarizeError as error:
        _fail(as_options(str(error)), error.status, given)
    except KeyboardInterrupt:
        _fail(_interrupted(given), 1, given)
    except BrokenPipeError:
        streams.silence(sys.stdout)
        sys.exit(1)
    except Exception as error:
        told = outside.in_words(error)
        if told is None:
            raise
        _fail(*told, given)


def _interrupted(given: list[str]) -> str:
    """Say how to go on with an interrupted command, if it can be gone on with."""
    name = next((word for word in given if word in COMMANDS), "")
    command = app.get_command(click.Context(app), name) if name else None
    if command is None or not any("--resume" in parameter.opts for parameter in command.params):
        return "interrupted"
    words = given if "--resume" in given else [*given, "--resume"]
    return f"interrupted; what is finished is kept, go on with: {shlex.join(['scalarize', *words])}"


def _fail(message: str, status: int, given: list[str]) -> None:
    _wipe()
    line = " ".join(message.split())
    try:
        if "--json" in given:
            click.echo(json.dumps({"error": line, "status": status}))
        else:
            streams.tell(f"scalarize: {line}")
    except OSError:  # stdout is full, or nobody reads it
        streams.silence(sys.stdout)
        streams.tell(f"scalarize: {line}")
    sys.exit(status)
