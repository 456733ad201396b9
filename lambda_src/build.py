"""Builds the functions' zips: ``python lambda_src/build.py`` writes, ``--check`` compares with what
is committed.

``playbooks/<name>/playbook.yaml``, a playbook's manifest, says which zips it has and which models
of botocore each of them needs. What functions read of it is written beside the playbook's code, as
``manifest.json``: a Lambda function has no reader for YAML. Every function decides by the policy,
so every zip has the manifests of all playbooks. In the zips of COMPILED, the bytecode of each
module lies beside it (bytecode.py).

Reproducible: sorted names, 1980 dates, mode 0644, no timestamps. Deflate's output may differ
between zlib builds, so the check compares every entry (name, date, mode, content), and an archive
whose entries are right is not rewritten: the same sources never change a committed byte. Each
function has a zip of its own, so that a playbook function carries no other playbook's code and none
that restores, and the functions that notify people carry none that acts.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import bytecode
import yaml

SOURCE = Path(__file__).resolve().parent / "guardduty_response"
DIST = SOURCE.parent / "dist"
MANIFESTS = SOURCE.parent.parent / "playbooks"
# Zip -> its handler
NOTIFYING = {"incident": "functions/incident.py", "watchdog": "functions/reconcile.py"}
# Job of a manifest -> its handler, and the module of a playbook that it loads by name
JOBS = {
    "playbook": ("functions/respond.py", "playbook.py"),
    "collect": ("functions/collect.py", "evidence/__init__.py"),
    "remediate": ("functions/eradicate.py", "eradicate/__init__.py"),
    "restore": ("functions/restore.py", "restore.py"),
    "terminate": ("functions/terminate.py", "terminate.py"),
    "monitor": ("functions/monitor.py", "monitor.py"),
}
# Jobs of the functions that stand between a finding and the verdict: nobody waits for the others'
# cold starts, and bytecode more than doubles a zip.
COMPILED = ("incident", "playbook")
# A playbook without a module of its own for these jobs does them with this one.
INSTEAD = {"monitor": "playbook.py"}
ENDPOINTS = "aws/models/endpoints.json.gz"  # in every zip (trim_models.py)
# For jobs whose manifest names no models; the others call more of S3 than the trimmed model has
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
    """Returns the entries and everything they import, with the packages these are in, and their
    data.
    """
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
    return found | {data for data in map(_data, found) if (SOURCE / data).is_file()}


def _data(name: str) -> str:
    """Returns the file that a module keeps its data in, if it has one: beside it, of its name."""
    return Path(name).with_suffix(".json").as_posix()


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """Returns the manifest of each playbook, by name."""
    return {
        path.parent.name: yaml.safe_load(path.read_text())
        for path in sorted(MANIFESTS.glob("*/playbook.yaml"))
    }


def for_functions() -> dict[str, str]:
    """Returns the text of each manifest.json, by its path in the package."""
    return {
        f"playbooks/{name}/manifest.json": json.dumps(
            {key: manifest[key] for key in ("answers", "modes")}, ensure_ascii=False, indent=1
        )
        + "\n"
        for name, manifest in manifests().items()
    }


def _models() -> dict[str, str]:
    """Returns the file of each trimmed model of botocore, by the name of the service."""
    return {
        path.parent.parent.name: path.relative_to(SOURCE).as_posix()
        for path in SOURCE.glob("aws/models/*/*/*.gz")
    }


def mismatches() -> list[str]:
    """Returns where a manifest and the code beside it disagree, as sentences."""
    problems = []
    trimmed = _models()
    for name, manifest in manifests().items():
        jobs = manifest["jobs"]
        problems += [
            f"playbooks/{name}/playbook.yaml: there is no job {job}; jobs are {', '.join(JOBS)}"
            for job in sorted(jobs.keys() - JOBS.keys())
        ]
        problems += [
            f"playbooks/{name}/playbook.yaml: the job {job} names the model {model}; there are"
            f" {', '.join(sorted(trimmed))}. Remove the name, and the function uses the full model"
            " of the Lambda runtime; or add the service to lambda_src/trim_models.py"
            for job, what in sorted(jobs.items())
            for model in what.get("models", ())
            if model not in trimmed
        ]
        for job, (_, module) in JOBS.items():
            exists = (SOURCE / "playbooks" / name / module).is_file()
            if exists and job not in jobs:
                problems.append(
                    f"playbooks/{name}/playbook.yaml lacks the job {job}, for which the playbook"
                    f" has {module}: add the job, or remove the module"
                )
            elif job in jobs and not exists and job not in INSTEAD:
                problems.append(
                    f"playbooks/{name}/playbook.yaml has the job {job}, but the playbook's package"
                    f" has no {module}: write it, or remove the job"
                )
    return problems


def contents() -> dict[str, list[str]]:
    """Returns for each zip its source files, sorted: what the function can run, nothing else."""
    models = _models()
    small = {models[service] for service in SMALL}
    every = {*for_functions(), ENDPOINTS}
    result = {
        f"{name}.zip": sorted(closure(handler) | small | every)
        for name, handler in NOTIFYING.items()
    }
    for playbook, manifest in manifests().items():
        for job, what in manifest["jobs"].items():
            handler, module = JOBS[job]
            entry = f"playbooks/{playbook}/{module}"
            if job in INSTEAD and not (SOURCE / entry).is_file():
                entry = f"playbooks/{playbook}/{INSTEAD[job]}"
            if (SOURCE / entry).is_file():
                own_models = {models[service] for service in what.get("models", SMALL)}
                result[f"{job}_{playbook}.zip"] = sorted(
                    closure(handler, entry) | own_models | every
                )
    return result


def _sources(names: Iterable[str]) -> dict[str, bytes]:
    """Returns the content of each of these source files, by its path in a zip."""
    return {f"{SOURCE.name}/{name}": (SOURCE / name).read_bytes() for name in names}


def _compiled_modules(zip_name: str, names: list[str]) -> list[str]:
    """Returns which of a zip's source files have their bytecode beside them."""
    job = Path(zip_name).stem.partition("_")[0]
    return [name for name in names if name.endswith(".py")] if job in COMPILED else []


@cache
def compiled() -> dict[str, bytes]:
    """Returns the bytecode of every module that has it in a zip, by the module's path there.

    Raises NoCompiler.
    """
    names = {
        module for name, files in contents().items() for module in _compiled_modules(name, files)
    }
    return bytecode.compiled(_sources(sorted(names)))


def expected(zip_name: str, names: list[str], code: Mapping[str, bytes]) -> Entries:
    """Returns the entries that a zip of these source files has.

    ``code``: the bytecode of modules, by their paths in a zip; without any, it stays empty.
    """
    files = _sources(names)
    for module in _sources(_compiled_modules(zip_name, names)):
        files[bytecode.path_of(module)] = code.get(module, b"")
    return {name: ((1980, 1, 1, 0, 0, 0), 0o644, files[name]) for name in sorted(files)}


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


def _compared(entries: Entries, code: Mapping[str, bytes]) -> list[tuple[str, object]]:
    """Returns what is the same in two zips of the same sources; of bytecode, only the path where
    none was compiled.
    """
    return [
        (name, None if name.endswith(".pyc") and not code else entry)
        for name, entry in entries.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail if a committed zip differs from the sources"
    )
    check = parser.parse_args(arguments).check
    DIST.mkdir(exist_ok=True)
    problems = mismatches()
    if problems:
        return _report(problems)
    for name, text in for_functions().items():
        path = SOURCE / name
        if not path.is_file() or path.read_text() != text:
            if check:
                problems.append(
                    f"{name} is not what the manifest gives: run 'make zips' and commit it"
                )
            else:
                path.write_text(text)
    if check and problems:
        return _report(problems)
    code: dict[str, bytes] = {}
    try:
        code = compiled()
    except bytecode.NoCompiler as error:
        if not check:
            return _report([str(error)])
        print(f"The bytecode was not compared: {error}", file=sys.stderr)
    for name, files in contents().items():
        entries = expected(name, files, code)
        target = DIST / name
        if _compared(found(target), code) != _compared(entries, code):
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
    return _report(problems)


def _report(problems: list[str]) -> int:
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
