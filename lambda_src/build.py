"""Builds the functions' zips: ``python lambda_src/build.py`` writes, ``--check`` compares with what is committed.

Reproducible: sorted names, 1980 dates, mode 0644, no timestamps. Deflate's output may differ between zlib builds, so the
check compares every entry (name, date, mode, content), and an archive whose entries are right is not rewritten: the same
sources never change a committed byte. Each function has a zip of its own, so that a playbook function carries no other
playbook's code and none that restores, and the functions that tell people carry none that acts.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "guardduty_response"
DIST = SOURCE.parent / "dist"
LIMIT = 80_000  # bytes a zip: small enough to be read, and to start fast
TELLING = {  # zip -> files beyond the shared ones
    "incident.zip": {"handlers/incident.py", "handlers/check.py", "message.py", "report.py"},
    "watchdog.zip": {"handlers/watchdog.py", "handlers/watch.py", "message.py"},
}
# job -> its handlers and files beyond the shared ones; and which of a playbook's own files it carries beside the common ones
JOBS: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "playbook": ({"handlers/playbook.py", "handlers/still.py", "handlers/verbs.py", "guardrails.py"}, ()),
    "collect": ({"handlers/collector.py", "handlers/verbs.py"}, ("collect/",)),
    "restore": ({"handlers/restore.py", "message.py", "report.py"}, ("restore",)),
    "terminate": ({"handlers/terminate.py", "handlers/verbs.py"}, ("terminate",)),
}
TRIMMED = {"playbook"}  # an incident waits for it; for the others the trimmed EC2 model's seconds are not worth its size
UNTRIMMED = {"collect"}  # calls more of S3 than the trimmed model has

Entries = dict[str, tuple[tuple[int, ...], int, bytes]]  # name -> (date, mode, content)


def contents() -> dict[str, list[str]]:
    """Zip name -> source files (relative to the package), sorted."""
    files = sorted(
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix in {".py", ".gz"} and "__pycache__" not in path.parts
    )
    special = set().union(*TELLING.values(), *(files for files, _ in JOBS.values()))
    shared = [name for name in files if not name.startswith(("playbooks/", "models/ec2/")) and name not in special]
    result = {name: sorted(shared + sorted(extra)) for name, extra in TELLING.items()}
    model = {name for name in files if name.startswith("models/ec2/")}
    for playbook in sorted(path.parent.name for path in SOURCE.glob("playbooks/*/__init__.py")):
        home = f"playbooks/{playbook}/"
        own = {name for name in files if name.startswith(home)}
        parts = {job: {name for name in own if name.startswith(tuple(home + part for part in its))} if its else set()
                 for job, (_, its) in JOBS.items()}  # fmt: skip
        common = {*shared, "playbooks/__init__.py", *own} - set().union(*parts.values())
        for job, (extra, its) in JOBS.items():
            if parts[job] or not its:
                models = model if job in TRIMMED else set()
                mine = {*common, *extra, *parts[job], *models}
                dropped = {name for name in mine if job in UNTRIMMED and name.startswith("models/s3/")}
                result[f"{job}_{playbook}.zip"] = sorted(mine - dropped)
    return result


def expected(names: list[str]) -> Entries:
    return {f"{SOURCE.name}/{name}": ((1980, 1, 1, 0, 0, 0), 0o644, (SOURCE / name).read_bytes()) for name in names}


def found(path: Path) -> Entries:
    """The entries of a committed zip; empty when it is absent."""
    if not path.is_file():
        return {}
    with zipfile.ZipFile(path) as archive:
        return {i.filename: (i.date_time, i.external_attr >> 16 & 0o777, archive.read(i)) for i in archive.infolist()}


def write(path: Path, entries: Entries) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (date, mode, content) in entries.items():
            info = zipfile.ZipInfo(name, date)  # type: ignore[arg-type]
            info.create_system = 3  # Unix, also when built on Windows
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a committed zip differs from the sources")
    check = parser.parse_args(arguments).check
    DIST.mkdir(exist_ok=True)
    problems = []
    for name, files in contents().items():
        entries, target = expected(files), DIST / name
        if list(found(target).items()) != list(entries.items()):
            if check:
                problems.append(f"{name} is not what the sources give: run 'make zips' and commit it")
                continue
            write(target, entries)
        size = target.stat().st_size
        if size > LIMIT:
            problems.append(f"{name} is {size} bytes, more than {LIMIT}")
        print(f"{name}: {size} bytes, {len(files)} files")
    for stray in sorted({path.name for path in DIST.glob("*.zip")} - contents().keys()):
        problems.append(f"{stray} is built from nothing: remove it")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
