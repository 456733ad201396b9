"""Builds the functions' zips: ``python lambda_src/build.py`` writes, ``--check`` compares with what is committed.

Byte-reproducible on every machine: sorted names, 1980 dates, mode 0644, stored (deflate's output depends on the zlib
build), code compacted line for line (compact.py). Each function has a zip of its own, so that a playbook function carries
no other playbook's code and the functions that tell people carry none that acts.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from pathlib import Path

from compact import compact

SOURCE = Path(__file__).resolve().parent / "guardduty_response"
DIST = SOURCE.parent / "dist"
LIMIT = 80_000  # bytes of code a zip; a reviewer can still read it all
TELLING = {  # zip -> files beyond the shared ones
    "incident.zip": {"handlers/incident.py", "message.py", "report.py"},
    "watchdog.zip": {"handlers/watchdog.py", "message.py"},
}
PLAYBOOK_ONLY = {"handlers/playbook.py", "guardrails.py"}


def playbooks() -> list[str]:
    return sorted(path.parent.name for path in SOURCE.glob("playbooks/*/__init__.py"))


def contents() -> dict[str, list[str]]:
    """Zip name -> source files (relative to the package), sorted."""
    files = sorted(
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix in {".py", ".gz"} and "__pycache__" not in path.parts
    )
    own = [name for name in files if not name.startswith(("playbooks/", "models/"))]
    special = PLAYBOOK_ONLY.union(*TELLING.values())
    shared = [name for name in own if name not in special]
    result = {name: sorted(shared + sorted(extra)) for name, extra in TELLING.items()}
    for playbook in playbooks():
        mine = [n for n in files if n.startswith((f"playbooks/{playbook}/", "models/")) or n == "playbooks/__init__.py"]
        result[f"playbook_{playbook}.zip"] = sorted(shared + sorted(PLAYBOOK_ONLY) + mine)
    return result


def content(name: str) -> bytes:
    path = SOURCE / name
    return compact(path.read_text()).encode() if path.suffix == ".py" else path.read_bytes()


def pack(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            info = zipfile.ZipInfo(f"{SOURCE.name}/{name}", (1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, also when built on Windows
            info.external_attr = 0o644 << 16
            archive.writestr(info, content(name))
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a committed zip differs from the sources")
    check = parser.parse_args(arguments).check
    DIST.mkdir(exist_ok=True)
    problems = []
    for name, files in contents().items():
        packed, target = pack(files), DIST / name
        code = sum(len(content(one)) for one in files if one.endswith(".py"))
        if code > LIMIT:
            problems.append(f"{name} holds {code} bytes of code, more than {LIMIT}")
        if check:
            if not target.is_file() or target.read_bytes() != packed:
                problems.append(f"{name} is not what the sources give: run 'python lambda_src/build.py' and commit it")
        else:
            target.write_bytes(packed)
        print(f"{name}: {len(packed)} bytes, {code} of code, {len(files)} files")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
