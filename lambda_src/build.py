"""Builds the functions' zips: ``python lambda_src/build.py`` writes, ``--check`` compares with what
is committed.

Reproducible: sorted names, 1980 dates, mode 0644, no timestamps. Deflate's output may differ
between zlib builds, so the check compares every entry (name, date, mode, content), and an archive
whose entries are right is not rewritten: the same sources never change a committed byte. Each
function has a zip of its own, so that a playbook function carries no other playbook's code and none
that restores, and the functions that notify people carry none that acts.
"""

from __future__ import annotations

import argparse
import ast
import sys
import zipfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "guardduty_response"
DIST = SOURCE.parent / "dist"
# Zip -> its handler
NOTIFYING = {"incident": "functions/incident.py", "watchdog": "functions/reconcile.py"}
# Job -> its handler, and the module of a playbook that it loads by name
JOBS = {
    "playbook": ("functions/respond.py", "playbook.py"),
    "collect": ("functions/collect.py", "evidence/__init__.py"),
    "remediate": ("functions/eradicate.py", "eradicate/__init__.py"),
    "restore": ("functions/restore.py", "restore.py"),
    "terminate": ("functions/terminate.py", "terminate.py"),
    "monitor": ("functions/monitor.py", "monitor.py"),
}
# A playbook without a module of its own for these jobs does them with this one.
INSTEAD = {"monitor": "playbook.py"}
# Parsing a large model is most of a cold start, and no incident waits for the others: there a
# model's size is not worth it.
MODELS = {
    "playbook_ec2_instance": ("dynamodb", "ec2", "iam", "s3"),
    "collect_ec2_instance": (),
    "collect_iam_principal": (),
    "playbook_iam_principal": ("dynamodb", "iam", "s3"),
    "monitor_ec2_instance": ("dynamodb", "ec2", "iam", "s3"),
    "monitor_iam_principal": ("dynamodb", "iam", "s3"),
    "remediate_iam_principal": ("dynamodb",),
    "restore_iam_principal": ("dynamodb",),
}
# For everybody else; those above call more of S3 than the trimmed model has
SMALL = ("dynamodb", "s3")

Entries = dict[str, tuple[tuple[int, ...], int, bytes]]  # name -> (date, mode, content)


@cache
def _imports(source: str) -> frozenset[str]:
    """Returns the modules of this package that a source imports, wherever in it, as files."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = set()
    for name in names:
        if name == SOURCE.name or name.startswith(f"{SOURCE.name}."):
            stem = name.removeprefix(SOURCE.name).strip(".").replace(".", "/")
            files |= {
                file
                for file in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/"))
                if (SOURCE / file).is_file()
            }
    return frozenset(files)


def closure(*entries: str) -> set[str]:
    """Returns the entries and everything they import, with the packages these are in."""
    found: set[str] = set()
    todo = set(entries)
    while todo:
        name = todo.pop()
        found.add(name)
        parents = {(parent / "__init__.py").as_posix() for parent in Path(name).parents}
        todo |= (
            {parent for parent in parents if (SOURCE / parent).is_file()}
            | _imports((SOURCE / name).read_text())
        ) - found
    return found


def contents() -> dict[str, list[str]]:
    """Returns for each zip its source files, sorted: what the function can run, nothing else."""
    models = {
        path.parent.parent.name: path.relative_to(SOURCE).as_posix()
        for path in SOURCE.glob("aws/models/*/*/*.gz")
    }
    small = {models[service] for service in SMALL}
    result = {
        f"{name}.zip": sorted(closure(handler) | small) for name, handler in NOTIFYING.items()
    }
    for playbook in sorted(path.parent.name for path in SOURCE.glob("playbooks/*/playbook.py")):
        for job, (handler, module) in JOBS.items():
            entry = f"playbooks/{playbook}/{module}"
            if job in INSTEAD and not (SOURCE / entry).is_file():
                entry = f"playbooks/{playbook}/{INSTEAD[job]}"
            if (SOURCE / entry).is_file():
                services = MODELS.get(f"{job}_{playbook}", SMALL)
                own_models = {models[service] for service in services}
                result[f"{job}_{playbook}.zip"] = sorted(closure(handler, entry) | own_models)
    return result


def expected(names: list[str]) -> Entries:
    """Returns the entries that a zip of these source files has."""
    return {
        f"{SOURCE.name}/{name}": ((1980, 1, 1, 0, 0, 0), 0o644, (SOURCE / name).read_bytes())
        for name in names
    }


def found(path: Path) -> Entries:
    """Returns the entries of a committed zip; none when it is absent."""
    if not path.is_file():
        return {}
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: (info.date_time, info.external_attr >> 16 & 0o777, archive.read(info))
            for info in archive.infolist()
        }


def write(path: Path, entries: Entries) -> None:
    """Writes a zip, the same bytes for the same entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (date, mode, content) in entries.items():
            info = zipfile.ZipInfo(name, date)  # type: ignore[arg-type]
            info.create_system = 3  # Unix, also when built on Windows
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail if a committed zip differs from the sources"
    )
    check = parser.parse_args(arguments).check
    DIST.mkdir(exist_ok=True)
    problems = []
    for name, files in contents().items():
        entries = expected(files)
        target = DIST / name
        if list(found(target).items()) != list(entries.items()):
            if check:
                problems.append(
                    f"{name} is not what the sources give: run 'make zips' and commit it"
                )
                continue
            write(target, entries)
        size = target.stat().st_size
        print(f"{name}: {size} bytes, {len(files)} files")
    for stray in sorted({path.name for path in DIST.glob("*.zip")} - contents().keys()):
        problems.append(f"{stray} is built from nothing: remove it")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
