"""A set of trainings on all cores of a machine: wall time, what of it is no training, and memory.

    python results/whole_machine.py --out results/whole-machine.md

Other programs on the machine slow down both sides of a ratio, so arms are interleaved, and where trainings are counted
against the wall, each training's own wall time is what counts. Memory is the proportional set size of the command and
all processes below it, sampled ten times a second; what is mapped by several counts once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scalarize.utils import files

CLI = [sys.executable, "-c", "from scalarize.cli import main; main()"]
COMPARE = "compare rand-hie --methods uniform,rlw,inverse-constant,inverse-loss --seeds 10"
SEARCH = "search rand-hie --population 12"
ROWS, COLUMNS = 100_000, 260
POOLS = {
    "processes forked from a template (in use)": "",
    "concurrent.futures, spawn": "spawn",
    "concurrent.futures, forkserver that has imported it": "forkserver",
}


class Ran(NamedTuple):
    """A command that ended: its wall seconds, its greatest memory in MB, and when its first lines came."""

    wall: float
    memory: float
    lines: list[tuple[float, str]]


def below(process: int) -> list[int]:
    """A process and all that it has begun."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except (OSError, IndexError):
            continue
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def memory(process: int) -> float:
    """The proportional set size, in MB, of a process and all below it."""
    total = 0
    for one in below(process):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def run(words: str, place: Path, command: Sequence[str] = CLI, weigh: bool = False) -> Ran:
    """Run a command in a place; its memory is looked at only if it is asked for, for that takes a fifth of a core."""
    place.mkdir(parents=True, exist_ok=True)
    begun, most, lines = time.monotonic(), 0.0, []
    with subprocess.Popen(
        [*command, *words.split()], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as driver:

        def listen() -> None:
            lines.extend((time.monotonic() - begun, line.strip()) for line in driver.stderr or ())

        listener = threading.Thread(target=listen)
        listener.start()
        while weigh and driver.poll() is None:
            most = max(most, memory(driver.pid))
            time.sleep(0.1)
        driver.wait()
        wall = time.monotonic() - begun
        listener.join()
    if driver.returncode:
        raise SystemExit(f"{words}: status {driver.returncode}: {lines[-1][1] if lines else ''}")
    return Ran(wall, most, lines)


def demo(place: Path, times: int) -> list[str]:
    """Wall time of the main job, on one and on two workers in turn."""
    walls: dict[int, list[float]] = {1: [], 2: []}
    for k in range(times):
        for workers, found in walls.items():
            found.append(run(f"demo --workers {workers} --out d{k}-{workers}", place).wall)
    ratios = [b / a for a, b in zip(walls[1], walls[2], strict=True)]
    seconds = [" and ".join(f"{x:.0f}" for x in found) for found in walls.values()]
    return [
        f"| `demo`, wall against `--workers 1` | {seconds[1]} s against {seconds[0]} s: "
        f"**{statistics.median(ratios):.2f}** | <= 0.56 |"
    ]


def compare(place: Path) -> list[str]:
    """The share of two workers' time, after the first training began, that is training."""
    ran = run(f"{COMPARE} --workers 2 --out c", place)
    seconds = [json.loads(p.read_text())["seconds"] for p in (place / "c" / "runs").glob("*/result.json")]
    first = next(when for when, line in ran.lines if line.startswith("training 1/"))
    last = max(p.stat().st_mtime for p in (place / "c" / "runs").glob("*/result.json"))
    start = min(p.stat().st_mtime for p in (place / "c" / "runs").glob("*/config.yaml"))
    share = sum(seconds) / (2 * (last - start))
    return [
        f"| `compare` of {len(seconds)} trainings of {statistics.mean(seconds):.2f} s, 2 workers, of ideal | "
        f"**{100 * share:.0f} %**, first training after {first:.1f} s | >= 92 %, < 6 s |"
    ]


def search(place: Path) -> list[str]:
    """The share of two workers' time that is training, in all generations but the first, in which workers begin."""
    ran = run(f"{SEARCH} --workers 2 --out s", place)
    found = json.loads((place / "s" / "result.json").read_text())
    ends = [when for when, line in ran.lines if "epochs, generation" in line]
    each = found["seconds_training"] / len(ends)
    later = [json.loads(line) for line in (place / "s" / "timings.jsonl").read_text().splitlines()][1:]
    share = sum(g["seconds_training"] for g in later) / (2 * sum(g["seconds"] for g in later))
    return [
        f"| `search` of 12 members ({len(ends)} trainings of {each:.2f} s), 2 workers, of ideal after its first "
        f"generation | "
        f"**{100 * share:.0f} %**, first training after {ends[0] - each:.1f} s | >= 92 %, < 6 s |"
    ]


def table(place: Path) -> list[str]:
    """Memory of two workers beside one, on a table of about 200 MB."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / "t.csv"
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join([*(f"x{k}" for k in range(COLUMNS)), "a", "b"]) + "\n")
        for _ in range(ROWS // 1000):
            x = rng.standard_normal((1000, COLUMNS))
            y = np.stack([x[:, 0] + rng.standard_normal(1000), x[:, 1] - x[:, 2]], axis=1)
            np.savetxt(file, np.concatenate([x, y], axis=1), delimiter=",", fmt="%.5f")
    words = "compare --csv t.csv --targets a,b --methods uniform,rlw --seeds 2 --epochs 2"
    most = {n: run(f"{words} --workers {n} --out w{n}", place, weigh=True).memory for n in (1, 2)}
    size = path.stat().st_size / 2**20
    return [
        f"| memory of 2 workers beside 1, table of {size:.0f} MB | {most[2]:.0f} MB beside {most[1]:.0f} MB: "
        f"**{most[2] / most[1]:.2f}** | <= 1.3 |"
    ]


POOL = """
import sys, time, os
sys.path.insert(0, os.environ["HERE"])
from whole_machine import idle, POOL_MODULE
kind = sys.argv[1] if len(sys.argv) > 1 else ""
begun = time.monotonic()
if kind:
    import concurrent.futures, multiprocessing
    context = multiprocessing.get_context(kind)
    if kind == "forkserver":
        context.set_forkserver_preload([POOL_MODULE])
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        list(pool.map(idle, range(2)))
        print(time.monotonic() - begun, file=sys.stderr, flush=True)
        time.sleep(1)
else:
    from scalarize.utils.workers.crew import Crew
    from scalarize.utils.workers.job import Job
    from whole_machine import Idle
    crew = Crew([{}] * 2, [POOL_MODULE])
    crew.expected = lambda: 1e9
    for k in range(2):
        crew.submit(Job(str(k), Idle(k)))
    for k in range(2):
        crew.next()
    print(time.monotonic() - begun, file=sys.stderr, flush=True)
    time.sleep(1)
    crew.close()
"""
POOL_MODULE = "scalarize.runs.workers.run_job"


def idle(number: int) -> None:
    """Import what a training needs, and wait so long that both workers have one."""
    __import__(POOL_MODULE)
    time.sleep(0.5)


class Idle(NamedTuple):
    """The same, as a job."""

    number: int

    def __call__(self, context: Any) -> None:
        idle(self.number)


def pools(place: Path) -> list[str]:
    """Start-up and memory of two idle workers that can train, by kind of pool."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "pool.py").write_text(f"if __name__ in ('__main__',):\n{_indented(POOL)}")
    os.environ["HERE"] = str(Path(__file__).resolve().parent)
    lines = ["", "| pool of 2 that can train | seconds until both work | MB in all |", "| --- | --- | --- |"]
    for name, kind in POOLS.items():
        ran = run(kind, place, [sys.executable, "pool.py"], weigh=True)
        lines.append(f"| {name} | {float(ran.lines[-1][1]) - 0.5:.1f} | {ran.memory:.0f} |")
    return [*lines, WHY]


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.strip().splitlines())


HEAD = """# All cores of a machine

Made by `{command}` on {cores} cores; load average {load:.1f} before it began, {after:.1f} at its end.
{about}

| what | found | target |
| --- | --- | --- |
"""
ABOUT = """
`demo` is the set of 113 trainings' worth of steps behind `make demo`, in turn on one and on two workers. Ideal: the
trainings' own wall times divided by the workers; so what is lost are files, messages, the end of a set when one worker
has nothing left to do, and barriers. Memory: the proportional set size of all processes of the command, at its greatest
(while the table is parsed, one process of both arms has it)."""
WHY = """
A `ProcessPoolExecutor` is broken for good by one worker that dies, and cannot say which job that worker had; so
`scalarize.utils.workers` keeps a few processes of its own, forked from one that has imported torch once."""
KILLS = {
    "compare": "compare rand-hie-sites --methods uniform,random-search --searches 2 --population 3",
    "reproduce": "reproduce royer2023/pbt-against-grid --workload rand-hie --budget tiny "
    "--tasks any-mental,log-drugs,visits-other",
}
SMALL = "--seeds 1 --epochs 2 --set model.widths=[8] --set batch_size=512"
TIMES = 4


def kills(place: Path) -> list[str]:
    """How often a command and its processes, killed at random moments, end with the table of an undisturbed one."""
    place.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).resolve().parents[1] / "tests" / "runs" / "kill_a_plan.py"
    lines = ["", "## Kills", ""]
    lines += [
        "`kill -9` at random moments of a command and of one of its other processes in turn, then `--resume`:",
        "",
    ]
    for name, words in KILLS.items():
        (place / name).mkdir()
        command = [sys.executable, str(script), str(place / name), str(TIMES), "0", *words.split(), *SMALL.split()]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        met = int(ran.stdout.split()[-1])  # the script fails if one ends otherwise
        lines.append(
            f"- `{words} {SMALL}`: {TIMES} of {TIMES} ended with the table, the records and the lineages of a run "
            f"that nobody killed; {met} of the kills met a process that ran."
        )
    return [*lines, "", "`make test` repeats two of each, `make test-all` twenty."]


PARTS = {"demo": demo, "compare": compare, "search": search, "table": table, "pools": pools, "kills": kills}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, of " + ", ".join(PARTS))
    parser.add_argument("--times", type=int, default=2, help="pairs of demo")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            lines += demo(Path(folder) / name, args.times) if name == "demo" else PARTS[name](Path(folder) / name)
            print("\n".join(lines), flush=True)
    command = f"python results/whole_machine.py --out {args.out}" + (
        f" --only {args.only}" if args.only != ",".join(PARTS) else ""
    )
    head = HEAD.format(command=command, cores=os.cpu_count(), load=load, after=os.getloadavg()[0], about=ABOUT.strip())
    files.write_text(args.out, head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
