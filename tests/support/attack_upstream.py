"""Compares tests/fixtures/attacks with a clone of github.com/DataDog/stratus-red-team.

``PYTHONPATH=lambda_src python -m tests.support.attack_upstream CLONE``: says which techniques, or
calls of theirs that are not read-only, are in the recorded events of one side alone, and fails if
there are any. Nothing of the clone is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guardduty_response.playbooks.iam_principal import condense

from tests.support.attack_corpus import techniques

LOGS = "docs/detonation-logs"


def recorded(clone: Path) -> dict[str, set[str]]:
    """Returns the clone's techniques: ID -> calls that are not read-only, refused ones included.

    ``clone``: a work tree, or a bare repository, whose newest commit is read. Raises ValueError
    where it has no recorded events.
    """
    found = {name: _calls(json.loads(text)) for name, text in _logs(clone)}
    if not found:
        raise ValueError(f"{clone} has no {LOGS}/aws.*.json")
    return found


def _logs(clone: Path) -> Iterator[tuple[str, str]]:
    if (clone / LOGS).is_dir():
        for path in (clone / LOGS).glob("aws.*.json"):
            yield path.stem, path.read_text(encoding="utf-8")
        return
    for name in _git(
        clone,
        "ls-tree",
        "--name-only",
        "HEAD",
        f"{LOGS}/",
    ).splitlines():
        if Path(name).match("aws.*.json"):
            yield (
                Path(name).stem,
                _git(
                    clone,
                    "show",
                    f"HEAD:{name}",
                ),
            )


def _git(clone: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(clone), *words],
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        raise ValueError(f"{clone}: {done.stderr.strip()}")
    return done.stdout


def _calls(records: list[dict[str, Any]]) -> set[str]:
    succeeded = [{**record, "errorCode": "", "errorMessage": ""} for record in records]
    return {
        f"{record['eventSource'].split('.')[0]}:{record['eventName']}"
        for record in succeeded
        if condense.mutating(record)
    }


def differences(upstream: dict[str, set[str]]) -> list[str]:
    """Returns a sentence for every difference between the fixture and ``upstream``."""
    ours = {technique.id: {call.event for call in technique.calls} for technique in techniques()}
    sentences = [f"{id} is not in the fixture" for id in sorted(upstream.keys() - ours.keys())]
    sentences += [f"{id} is not in the clone" for id in sorted(ours.keys() - upstream.keys())]
    for id in sorted(ours.keys() & upstream.keys()):
        for event in sorted(upstream[id] - ours[id]):
            sentences.append(f"{id}: {event} is not in the fixture")
        for event in sorted(ours[id] - upstream[id]):
            sentences.append(f"{id}: {event} is not in the clone")
    return sentences


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.attack_upstream")
    parser.add_argument("clone", type=Path)
    try:
        found = differences(recorded(parser.parse_args(words).clone))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(found) or "The fixture has the techniques and calls of the clone.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
