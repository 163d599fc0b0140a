"""Lists, help, and what a pipe sees."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from scalarize import methods, workloads
from scalarize.cli import COMMANDS, SUMMARIES


def test_every_method_and_workload_is_the_first_word_of_a_line(command: Any) -> None:
    assert [line.split()[0] for line in command("methods").out.splitlines()] == methods.names()
    assert [line.split()[0] for line in command("workloads").out.splitlines()] == workloads.names()


def test_lists_in_json(command: Any) -> None:
    listed = command("methods", "--json").json["methods"]
    assert [m["name"] for m in listed] == methods.names()
    for m in listed:
        assert m["required"] or m["options"] == methods.create(m["name"]).hyper
    assert "rand-hie" in [w["name"] for w in command("workloads", "--json").json["workloads"]]


def test_data_that_ships_with_a_package_needs_no_get(command: Any) -> None:
    answer = command("data", "get", "rand-hie")
    assert answer.status == 0
    assert "present" in answer.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, command: Any) -> None:
    answer = command(name, "--help")
    assert answer.status == 0
    assert SUMMARIES[name].split(":")[0].split(";")[0].rstrip(".") in " ".join(answer.out.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scalarize.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "bad = {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib', 'plotly'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "search" in done.stdout


def test_messages_of_the_library_name_options_here_and_parameters_there(command: Any) -> None:
    from scalarize.runs.build import prepare
    from scalarize.runs.request import WorkloadRequest
    from scalarize.utils.errors import RequestError

    answer = command("train", "rand-hie", "--set", "batch_size=1000000", "--json")
    assert answer.status == 2
    with pytest.raises(RequestError) as there:
        prepare(WorkloadRequest(workload="rand-hie", settings={"batch_size": 1000000}))
    assert "--" not in str(there.value)
    assert answer.json["error"] == str(there.value).replace("`settings`", "--set")


def test_no_two_options_of_a_command_are_one_parameter() -> None:
    import click

    from scalarize import cli

    with click.Context(cli.app) as context:
        for name in cli.COMMANDS:
            command = cli.app.get_command(context, name)
            assert command is not None
            names = [parameter.name for parameter in command.params]
            assert len(names) == len(set(names)), name
