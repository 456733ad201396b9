"""Compiles the functions' sources for the Python of their runtime, whatever Python runs this.

Lambda cannot keep what it compiles, so without bytecode every cold start compiles every module: a
quarter of its processor time (benchmarks/README.md). The compiler is CPython 3.13 for WebAssembly,
from the npm package pyodide, of the version and the hash in ``compiler/package-lock.json``: it runs
in Node.js and gives the same bytes on every machine. Nothing of it is deployed.
docs/decisions/0039 says why, and what keeps the bytecode from being other code than the source.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

COMPILER = Path(__file__).resolve().parent / "compiler"
# The name under which Python 3.13 looks for bytecode (PEP 3147). Any other Python passes it over.
TAG = "cpython-313"


class NoCompiler(Exception):
    """The compiler cannot be had here. The message says why, and what to do."""


def path_of(source: str) -> str:
    """Returns where Python looks for the bytecode of a source, as a path in the zip."""
    path = PurePosixPath(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.{TAG}.pyc")


def compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the bytecode file of each source, by the source's path in the zip.

    Raises NoCompiler, and CalledProcessError where a source is no Python (what the compiler says of
    it is printed).
    """
    _install()
    given = {name: base64.b64encode(source).decode() for name, source in sources.items()}
    made = subprocess.run(
        ["node", "compile.mjs"],
        cwd=COMPILER,
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {name: base64.b64decode(code) for name, code in json.loads(made.stdout).items()}


def _install() -> None:
    """Installs the compiler where it is not. Raises NoCompiler."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing:
        raise NoCompiler(
            f"compiling for the functions' Python needs Node.js, and there is no"
            f" {' and no '.join(missing)} here: install Node.js 18 or newer"
        )
    if (COMPILER / "node_modules").is_dir():
        return
    # Beside it and then moved: two processes may do it at once, and an install may break off
    with tempfile.TemporaryDirectory(prefix=".", dir=COMPILER) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(COMPILER / name, folder)
        got = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            raise NoCompiler(
                f"the compiler for the functions' Python could not be installed from npm:"
                f" {got.stderr[-500:].strip()}"
            )
        try:
            (Path(folder) / "node_modules").rename(COMPILER / "node_modules")
        except OSError:
            if not (COMPILER / "node_modules").is_dir():
                raise
