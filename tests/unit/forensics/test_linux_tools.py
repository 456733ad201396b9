"""The Linux collection script with the tools that a machine has, or lacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import skip_or_fail
from tests.unit.forensics.script_lab import SECTIONS, Place, bucket, collect, tools

PLAIN = "dash" if shutil.which("dash") else "bash"


@pytest.fixture
def place() -> Iterator[Place]:
    with bucket() as made:
        yield made


@pytest.mark.parametrize(
    ("help_text", "asked"),
    [("-K [i] list|(i)gn tasKs", "-nPbw -K i +c0"), ("-K list tasKs (threads)", "-nPbw +c0")],
    ids=["lsof 4.91", "older"],
)
def test_open_files_are_listed_once_for_a_process(
    place: Place, tmp_path: Path, help_text: str, asked: str
) -> None:
    place.plan("processes.txt")
    lsof = f'[ "$1" = -h ] && echo \'{help_text}\' >&2 && exit 0\necho "asked: $*"'
    done = collect(place, tmp_path / "home", GDR_PATH=tools(tmp_path / "bin", "curl", lsof=lsof))
    assert done.returncode == 0, done.stdout
    assert f"asked: {asked}\n" in place.text("processes.txt")


@pytest.mark.parametrize("web", ["python3", "wget"])
def test_without_curl(place: Place, tmp_path: Path, web: str) -> None:
    if not shutil.which(web):
        skip_or_fail(f"{web} is not on the PATH: install it with the system's packages.")
    place.plan()
    done = collect(place, tmp_path / "home", GDR_PATH=tools(tmp_path / "bin", web, "ls"))
    assert done.returncode == 0, done.stdout
    assert {state for _, _, _, state in place.index.values()} == {"ok"}
    assert all(place.objects[f"/e/{name}"] for name in SECTIONS)


def test_absent_tools_are_said(place: Place, tmp_path: Path) -> None:
    place.plan("capture.pcap")
    path = tools(tmp_path / "bin", "curl")
    done = collect(place, tmp_path / "home", PLAIN, GDR_PATH=path, GDR_CAPTURE_SECONDS=2)
    assert done.returncode == 0
    assert "# not on this machine: ps" in place.text("processes.txt")
    assert "# not on this machine: ip" in place.text("network.txt")
    assert place.index["capture.pcap"] == (0, "-", 0, "absent")
    assert all(place.index[name][3] == "ok" for name in SECTIONS)


def test_nothing_to_upload_with(place: Place, tmp_path: Path) -> None:
    place.plan()
    done = collect(place, tmp_path / "home", PLAIN, GDR_PATH=tools(tmp_path / "bin"))
    assert done.returncode == 1
    assert "no curl, python3 or wget" in done.stdout
    assert place.order == []
