"""``python -m benchmarks [--json] [--no-sandbox] [--runs N] [--quick]``: measures, prints a table,
fails when a limit is exceeded.
"""

from __future__ import annotations

import argparse

from . import (
    cold,
    containment,
    credential,
    custodian,
    incident,
    monitoring_cost,
    planning,
    to_verdict,
    transitions,
)
from .measure import as_json, keep, table, with_earlier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--no-sandbox", action="store_true", help="only what needs neither Terraform nor emulators"
    )
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one run of what needs no Terraform: shows that it runs, its figures fail nothing",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write the figures to earlier.json, with which later ones are compared",
    )
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else arguments.runs

    figures = [*cold.zips(), *cold.cold(runs), *containment.containment(runs)]
    figures += credential.credential(runs)
    beside_custodian = custodian.is_installed() and not arguments.quick
    figures += to_verdict.to_verdict(runs, beside_custodian)
    figures += [*monitoring_cost.figures(), *transitions.transitions()]
    if not arguments.quick and not arguments.no_sandbox:
        figures += planning.planning()
        figures += incident.incident()
    figures = with_earlier(figures)
    print(as_json(figures) if arguments.json else table(figures))
    within_limits = all(figure.within_limit for figure in figures)
    if arguments.keep and not arguments.quick:
        keep(figures)
    return 0 if within_limits or arguments.quick else 1


if __name__ == "__main__":
    raise SystemExit(main())
