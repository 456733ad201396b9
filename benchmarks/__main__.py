"""``python -m benchmarks [--json] [--no-sandbox] [--runs N]``: measures, prints a table, fails
when a limit is exceeded.
"""

from __future__ import annotations

import argparse

from .measure import as_json, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--no-sandbox", action="store_true", help="only what needs neither Terraform nor emulators"
    )
    parser.add_argument("--runs", type=int, default=9)
    chosen = parser.parse_args()

    from . import cold, containment, credential

    figures = [*cold.zips(), *cold.cold(chosen.runs), *containment.containment(chosen.runs)]
    figures += credential.credential(chosen.runs)
    if not chosen.no_sandbox:
        from . import incident, planning

        figures += planning.planning()
        figures += incident.incident()
    print(as_json(figures) if chosen.json else table(figures))
    return 0 if all(one.holds for one in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
