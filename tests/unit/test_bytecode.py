"""The bytecode in the zips: that of the sources beside it, for the Python of the functions."""

from __future__ import annotations

import _imp
import marshal
import re
import struct
import sys
import zipfile
from pathlib import Path
from types import CodeType

import bytecode
import pytest

from tests.support.repository import project_files
from tests.unit.packaging import LAMBDA, ZIPS, build, built, code

MAGIC_OF_3_13 = (3571).to_bytes(2, "little") + b"\r\n"  # the same in all releases of 3.13
CHECKED_HASH = 0b11


@pytest.mark.parametrize("name", ZIPS)
def test_bytecode_is_that_of_the_source_beside_it(name: str, zips: Path) -> None:
    """Python 3.13 takes it without compiling, and only as long as the source is this one: its
    header has the hash of the source, and the flag that tells Python to compare (PEP 552).
    """
    with zipfile.ZipFile(zips / name) as archive:
        entries = {file: archive.read(file) for file in archive.namelist()}
    modules = [file for file in entries if file.endswith(".py")]
    code = {bytecode.path_of(module): module for module in modules}
    has = {file for file in entries if file.endswith(".pyc")}
    assert has == (set(code) if name.startswith(("incident", "playbook_")) else set())
    for file in has:
        magic, flags, of_source = struct.unpack("<4sI8s", entries[file][:16])
        assert (magic, flags) == (MAGIC_OF_3_13, CHECKED_HASH), file
        key = int.from_bytes(MAGIC_OF_3_13, "little")
        assert of_source == _imp.source_hash(key, entries[code[file]]), file


def test_bytecode_is_for_the_python_of_the_functions() -> None:
    runtimes = {
        runtime
        for path in project_files("*.tf")
        for runtime in re.findall(r'^ *runtime += "(.+)"', path.read_text(), flags=re.MULTILINE)
    }
    assert {runtime.replace("python3.", "cpython-3") for runtime in runtimes} == {bytecode.TAG}


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="the functions run on Python 3.13")
def test_the_runtimes_python_compiles_the_same() -> None:
    """The compiler is a build of the same Python for another machine: this compares the two."""
    for module, made in code().items():
        source = (LAMBDA / module).read_bytes()
        ours = compile(
            source,
            f"/var/task/{module}",
            "exec",
            dont_inherit=True,
            optimize=0,
        )
        theirs = marshal.loads(made[16:])  # noqa: S302 this repository's own code
        assert _instructions(theirs) == _instructions(ours), module


def _instructions(code: CodeType) -> list[object]:
    """What a code object does, and those within it; not the columns that tracebacks underline."""
    own = [
        code.co_qualname,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_flags,
        code.co_exceptiontable,
        [(at, line) for start, end, line in code.co_lines() for at in range(start, end)],
    ]
    return own + [
        _instructions(constant) if isinstance(constant, CodeType) else constant
        for constant in code.co_consts
    ]


def test_without_nodejs_the_rest_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written then: a zip without its bytecode would start more slowly, unnoticed."""
    names = sorted(built(tmp_path / "dist", monkeypatch))
    build.compiled.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main(["--check"]) == 0
    assert "The bytecode was not compared" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "dist" / names[0], "a") as archive:
        archive.writestr("guardduty_response/extra.py", "")
    assert build.main(["--check"]) == 1
    assert f"{names[0]} is not what the sources give" in capsys.readouterr().err
    assert build.main([]) == 1
    assert "install Node.js 18 or newer" in capsys.readouterr().err
