"""Typed to the outside: mypy --strict on a user's script, as it is installed (``py.typed``)."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a minute of mypy; `make check` types the sources themselves
ROOT = Path(__file__).resolve().parents[2]

RIGHT = """\
import torch
import scalarize
from scalarize.methods import CAGrad, create
from scalarize.search import search


class Mine:
    tasks, epoch = ("a", "b"), 0

    def __init__(self, seed: int, lr: float = 0.1) -> None: ...
    def train(self, policy: scalarize.Policy, until_epoch: int) -> None: ...
    def evaluate(self, split: str) -> dict[str, float]:
        return {"a": 0.0, "b": 1.0}
    def state_dict(self) -> dict[str, object]:
        return {"epoch": self.epoch}
    def load_state_dict(self, state: dict[str, object]) -> None: ...


encoder = torch.nn.Linear(3, 2)
balancer = scalarize.Balancer("cagrad", shared=encoder.parameters(), level="parameters", c=0.4)
own = scalarize.Balancer(CAGrad(c=0.4, rescale="none"), shared=encoder.parameters())
named = create("gradnorm", alpha=1.5, floor=None)
used = balancer.backward({"a": encoder(torch.ones(3)).sum(), "b": None})
weights: list[float] = [] if used.weights is None else used.weights.tolist()
best: scalarize.Policy = search(Mine, epochs=12, also={"lr": "log:1e-4:1e-2"}).policy
fixed: scalarize.methods.Method = scalarize.methods.constant([0.2, 0.8])
"""

# Each line is wrong, for the reason beside it.
WRONG = {
    'scalarize.Balancer("cagrad", levle="parameters")': r'Unexpected keyword argument "levle"',
    'scalarize.Balancer("cagrad", level=3)': r'Argument "level" .* incompatible type "int"',
    'scalarize.Balancer("cagrad", c="large")': r'Argument "c" .* incompatible type "str"',
    "scalarize.methods.CAGrad(cc=1)": r'Unexpected keyword argument "cc"',
    'scalarize.methods.create("cagrad", cc=0.4)': r'Unexpected keyword argument "cc"',
    'scalarize.methods.create("cagrad").combine_gradients("J")': r'Argument 1 .* incompatible type "str"',
    "scalarize.search.search(epochs=12)": r"Missing positional argument|Too few arguments",
    "scalarize.Balancr": r'has no attribute "Balancr"',
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of a right script, a wrong one, and of the public names; one run, since it reads torch's types."""
    import scalarize

    place = tmp_path_factory.mktemp("typed")
    (place / "right.py").write_text(RIGHT)
    (place / "wrong.py").write_text("import scalarize\n" + "".join(f"{line}\n" for line in WRONG))
    shown = "".join(
        f"reveal_type({module}.{name})\n"
        for module, names in {
            "scalarize": scalarize.__all__,
            "scalarize.methods": scalarize.methods.__all__,
            "scalarize.search": scalarize.search.__all__,
            "scalarize.simplex": [n for n, f in vars(scalarize.simplex).items() if inspect.isfunction(f)],
        }.items()
        for name in names
    )
    (place / "shown.py").write_text(f"import scalarize\n{shown}")
    line = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-pretty", "--config-file="]
    done = subprocess.run(
        [*line, "right.py", "wrong.py", "shown.py"],
        cwd=place,
        env=os.environ | {"MYPYPATH": str(ROOT / "src"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def test_a_right_script_is_clean(checked: str) -> None:
    assert [line for line in checked.splitlines() if line.startswith("right.py")] == []


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_an_error(checked: str, line: str) -> None:
    number = list(WRONG).index(line) + 2
    said = [text for text in checked.splitlines() if text.startswith(f"wrong.py:{number}: error")]
    assert any(re.search(WRONG[line], text) for text in said), checked


def test_every_public_name_has_a_type(checked: str) -> None:
    shown = [line for line in checked.splitlines() if line.startswith("shown.py") and "Revealed type" in line]
    assert len(shown) == checked.count("Revealed type") > 50
    assert [line for line in shown if re.search(r'is "(Any|builtins\.object)"', line)] == []
    assert len([line for line in checked.splitlines() if line.startswith("shown.py")]) == len(shown)
