"""One measured figure, its limit, and the means to run fresh Python processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FINDING = ROOT / "tests" / "fixtures" / "findings" / "cryptocurrency_ec2_bitcointool_b_dns.json"


@dataclass(frozen=True)
class Figure:
    """``limit``: the most that ``value`` may be; None where the figure is only told."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def row(self) -> str:
        limit = "" if self.limit is None else f"≤ {self.limit:g}"
        verdict = "" if self.limit is None else ("holds" if self.holds else "**EXCEEDED**")
        return f"| {self.name} | {self.value:.4g} {self.unit} | {limit} | {verdict} | {self.note} |"


def table(figures: list[Figure]) -> str:
    return "\n".join(
        [
            "| figure | measured | limit | | how |",
            "|---|---|---|---|---|",
            *[one.row() for one in figures],
        ]
    )


def as_json(figures: list[Figure]) -> str:
    return json.dumps([{**asdict(one), "holds": one.holds} for one in figures], indent=2)


def environment() -> dict[str, str]:
    """Credentials that sign, a Region, no endpoint: nothing here calls AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }


def fresh(script: str, *paths: Path) -> dict[str, float]:
    """Runs ``script`` in a new Python; returns {seconds, megabytes} of the whole process."""
    code = (
        "import sys, time, resource\n"
        f"sys.path[:0] = {[str(path) for path in paths]!r}\n"
        f"start = time.perf_counter()\n{script}\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(time.perf_counter() - start, used)"
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
    """Ratios first/second of the best runs, run in turns: what else the machine does only ever
    adds.
    """
    left, right = [], []
    for _ in range(runs):
        left.append(fresh(first, *first_paths))
        right.append(fresh(second, *second_paths))
    return {
        name: min(one[name] for one in left) / min(one[name] for one in right)
        for name in ("seconds", "megabytes")
    }
