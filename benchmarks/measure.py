"""A measured figure with its limit, and the means to run fresh Python processes."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

RUNTIME = "cpython-313"
CHECKED = py_compile.PycInvalidationMode.CHECKED_HASH
ROOT = Path(__file__).resolve().parent.parent
EARLIER = ROOT / "benchmarks" / "earlier.json"
# How much more than the earlier figure is no regression, by unit: what is counted does not vary.
SPREAD = {"": 0.0, "s": 0.25, "×": 0.2}
FINDING = ROOT / "tests" / "fixtures" / "findings" / "cryptocurrency_ec2_bitcointool_b_dns.json"


@dataclass(frozen=True)
class Figure:
    """A name, a value in a unit, and the most that the value may be.

    ``limit``: None where the figure is only reported. ``note``: how it was measured. ``earlier``:
    what was measured before (earlier.json); None where nothing is kept.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""
    earlier: float | None = None

    @property
    def most(self) -> float | None:
        """The most that the value may be: its limit, and not much more than the earlier figure."""
        spread = SPREAD.get(self.unit, 0.1)
        regression = None if self.earlier is None else self.earlier * (1 + spread)
        return min((most for most in (self.limit, regression) if most is not None), default=None)

    @property
    def within_limit(self) -> bool:
        return self.most is None or self.value <= self.most

    def row(self) -> str:
        if self.most is None:
            limit, verdict = "", ""
        else:
            limit = f"≤ {self.most:.4g}"
            verdict = "PASS" if self.within_limit else "**FAIL**"
        earlier = "" if self.earlier is None else f"{self.earlier:.4g}"
        measured = f"{self.value:.4g} {self.unit}"
        return f"| {self.name} | {measured} | {earlier} | {limit} | {verdict} | {self.note} |"


class Timed(Protocol):
    """Declares what has a beginning and an end, in seconds of some clock."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


def round_trips(calls: Iterable[Timed], until: float, after: float = 0.0) -> int:
    """Count the longest chain of calls between two moments of which each began when the one before
    had ended. A call that has not ended counts for nothing. Where a thread is scheduled late, calls
    made at the same time look like a chain: so the median of several runs counts.
    """
    chain, moment = 0, after
    for call in sorted(calls, key=lambda call: call.end):
        if moment <= call.start <= call.end <= until:
            chain, moment = chain + 1, call.end
    return chain


def table(figures: list[Figure]) -> str:
    """A Markdown table of the figures."""
    rows = [figure.row() for figure in figures]
    head = ["| figure | measured | earlier | limit | | how |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def as_json(figures: list[Figure]) -> str:
    """The figures as a JSON list of objects."""
    items = [{**asdict(figure), "within_limit": figure.within_limit} for figure in figures]
    return json.dumps(items, indent=2)


def with_earlier(figures: list[Figure]) -> list[Figure]:
    """Return the figures, each with what was measured before."""
    known: dict[str, float] = json.loads(EARLIER.read_text())
    return [replace(figure, earlier=known.get(figure.name)) for figure in figures]


def keep(figures: list[Figure]) -> None:
    """Write the figures to earlier.json; those that were not measured stay."""
    known: dict[str, float] = json.loads(EARLIER.read_text())
    known |= {figure.name: round(figure.value, 3) for figure in figures}
    EARLIER.write_text(json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def environment() -> dict[str, str]:
    """Credentials that sign, a Region, no endpoint: nothing here calls AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }


def prepare_process() -> None:
    """Make this process one that could be a function: its own sources, its own environment."""
    sources = str(ROOT / "lambda_src")
    if sources not in sys.path:
        sys.path.insert(0, sources)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environment())


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a function's zip as Lambda does. The modules that it has compiled for the runtime's
    Python are compiled for this one, in the same form.
    """
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    for code in folder.rglob(f"*.{RUNTIME}.pyc"):
        if sys.implementation.cache_tag != RUNTIME:
            source = code.parent.parent / code.name.replace(f".{RUNTIME}.pyc", ".py")
            py_compile.compile(str(source), doraise=True, invalidation_mode=CHECKED)


def fresh(script: str, *paths: Path) -> dict[str, float]:
    """Run ``script`` in a new Python; return {seconds, megabytes} of the whole process.

    Raises CalledProcessError when the script fails.
    """
    # Not ru_maxrss: a new process begins with its parent's.
    code = (
        "import re, sys, time\n"
        f"sys.path[:0] = {[str(path) for path in paths]!r}\n"
        f"start = time.perf_counter()\n{script}\n"
        "seconds = time.perf_counter() - start\n"
        "used = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())\n"
        "print(seconds, int(used[1]) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, megabytes = done.stdout.split()
    return {"seconds": float(seconds), "megabytes": float(megabytes)}


def paired(
    first: str, second: str, *, runs: int, first_paths: list[Path], second_paths: list[Path]
) -> dict[str, float]:
    """Return the ratios first/second of the best runs, run in turns: what else the machine does
    only ever adds.
    """
    of_first, of_second = [], []
    for _ in range(runs):
        of_first.append(fresh(first, *first_paths))
        of_second.append(fresh(second, *second_paths))
    return {
        name: min(run[name] for run in of_first) / min(run[name] for run in of_second)
        for name in ("seconds", "megabytes")
    }
