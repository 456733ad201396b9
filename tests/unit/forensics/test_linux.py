"""The Linux collection script under bash and under the plainest shell here, against a bucket of
our own on loopback.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import skip_or_fail
from tests.unit.forensics.script_lab import (
    SCRIPT,
    SECTIONS,
    Place,
    bucket,
    collect,
    encoded,
    tools,
    written,
)

SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]
PLAIN = SHELLS[-1]


@pytest.fixture
def place() -> Iterator[Place]:
    with bucket() as made:
        yield made


@pytest.mark.parametrize("shell", SHELLS)
def test_every_section_arrives_with_its_hash(place: Place, tmp_path: Path, shell: str) -> None:
    place.plan()
    done = collect(place, tmp_path / "home", shell, GDR_PATH=None)
    assert done.returncode == 0, done.stdout
    assert tuple(place.index) == SECTIONS
    for name, (size, sha, parts, state) in place.index.items():
        body = place.objects[f"/e/{name}"]
        assert (size, sha, parts, state) == (len(body), hashlib.sha256(body).hexdigest(), 1, "ok")
    assert place.order[-1].endswith("index.tsv"), "the index comes last"
    assert place.order[0].endswith("processes.txt"), "what changes fastest comes first"
    assert re.search(r"PID +PPID", place.text("processes.txt"))
    assert "### /etc/passwd" in place.text("users.txt")
    for name, header in place.headers.items():
        assert header["If-None-Match"] == "*", f"{name} is written once"
        assert header["Content-MD5"], f"{name}: Object Lock insists on it"


@pytest.mark.parametrize("checker", ["bash -n", "dash -n", "shellcheck"])
def test_the_script_is_sound(checker: str) -> None:
    command = checker.split()
    beside = Path(sys.executable).with_name(command[0])
    found = shutil.which(command[0]) or (str(beside) if beside.exists() else None)
    if not found:
        skip_or_fail(f"{command[0]} is not installed (make install brings shellcheck into .venv).")
    done = subprocess.run(
        [found, *command[1:], str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_fits_into_a_document() -> None:
    text = SCRIPT.read_text()
    assert "{{" not in text, "Systems Manager would take it for a parameter"
    assert len(text) < 24_000, "both scripts, as JSON, are to fit into 64 KB"


def test_a_plan_that_cannot_be_read(place: Place, tmp_path: Path) -> None:
    done = collect(place, tmp_path / "home")
    assert done.returncode == 1
    assert "the upload plan could not be read" in done.stdout


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/e/plan.txt",
        "http://127.0.0.1:{port}/e/plan.txt#'$(id)",
        "HTTP://127.0.0.1:{port}/e/plan.txt",
        'http://127.0.0.1:{port}/e/plan.txt"\nfail-early\nurl="http://127.0.0.1:{port}/e/plan.txt',
        "",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("where", ["plan", "upload"])
def test_other_addresses_are_not_asked(place: Place, tmp_path: Path, url: str, where: str) -> None:
    """Those with a port would be answered: it is the script that does not ask them."""
    place.plan()
    url = url.replace("{port}", place.url.rsplit(":", 1)[1])
    if where == "plan":
        assert collect(place, tmp_path / "home", GDR_PLAN_URL=url).returncode == 1
        assert place.order == []
    else:
        line = url.split("\n")[0].replace("plan.txt", "other.txt")
        place.objects["/e/plan.txt"] += f"capture.pcap\t0\t{line}\n".encode()
        path = tools(tmp_path / "bin", "curl", tcpdump="echo packets")
        collect(place, tmp_path / "home", GDR_PATH=path, GDR_CAPTURE_SECONDS=1)
        assert place.index["capture.pcap"][3] == "lost"
        assert not [name for name in place.order if "other" in name]


def test_a_hanging_section_does_not_hold_up_the_rest(place: Place, tmp_path: Path) -> None:
    place.plan(deadline=20)
    path = tools(
        tmp_path / "bin",
        "curl",
        "ip",
        "ls",
        ps="exec sleep 300",
        ss="trap '' TERM; while :; do sleep 1; done",
    )
    began = time.monotonic()
    done = collect(place, tmp_path / "home", PLAIN, GDR_PATH=path)
    assert time.monotonic() - began < 60
    assert done.returncode == 0, done.stdout
    assert place.index["processes.txt"][3] in ("ok", "cut")
    assert "# ended after" in place.text("processes.txt")
    assert "/e/processes.txt" in place.order, "what it had printed is there"
    assert place.index["users.txt"][3] == "ok", "and there was time left for the rest"


def test_what_there_is_no_time_for_is_said(place: Place, tmp_path: Path) -> None:
    place.plan(deadline=1)
    collect(place, tmp_path / "home")
    assert {state for _, _, _, state in place.index.values()} == {"skipped"}


def test_a_failing_tool_does_not_stop_the_rest(place: Place, tmp_path: Path) -> None:
    place.plan()
    path = tools(
        tmp_path / "bin",
        "curl",
        "ls",
        ps="echo broken >&2; exit 7",
        ss="kill -9 $PPID",
    )
    done = collect(
        place,
        tmp_path / "home",
        "bash",
        GDR_PATH=path,
    )
    assert done.returncode == 0
    assert "# exit status 7" in place.text("processes.txt")
    assert {"users.txt", "modules.txt", "jobs.txt"} <= {
        name for name, line in place.index.items() if line[3] == "ok"
    }


def test_the_deadline_loses_least(place: Place, tmp_path: Path) -> None:
    place.plan("commands.txt", deadline=20)
    done = collect(
        place, tmp_path / "home", GDR_COMMANDS=encoded("echo first", "sleep 100", "echo never")
    )
    assert done.returncode == 0
    assert all(place.index[name][3] == "ok" for name in SECTIONS)
    assert "\nfirst\n" in place.text("commands.txt")
    assert "\nnever\n" not in place.text("commands.txt").replace("echo never", "")


def test_the_document_bounds_the_plan(place: Place, tmp_path: Path) -> None:
    place.plan("commands.txt", deadline=3600)
    began = time.monotonic()
    collect(place, tmp_path / "home", GDR_COMMANDS=encoded("sleep 100"), GDR_TIMEOUT=6)
    assert time.monotonic() - began < 60


def test_commands_are_run_as_written(place: Place, tmp_path: Path) -> None:
    place.plan("commands.txt")
    wild = """printf '%s|' 'it'"'"'s' "double \\"quotes\\"" '$(id -u)' `echo ticks` ünï
echo; cat <<'END'
{{ not a parameter }}
END"""
    collect(place, tmp_path / "home", GDR_COMMANDS=encoded(wild, "exit 9", "echo still here"))
    text = place.text("commands.txt")
    assert 'it\'s|double "quotes"|$(id -u)|ticks|ünï|' in text
    assert "\n{{ not a parameter }}\n" in text
    assert "# exit status 9" in text
    assert text.rstrip().endswith("still here")


def test_commands_do_not_see_the_urls(place: Place, tmp_path: Path) -> None:
    place.plan("commands.txt")
    collect(place, tmp_path / "home", GDR_COMMANDS=encoded("env; export -p; set"))
    assert "PATH=" in place.text("commands.txt")
    assert "X-Amz-Signature" not in place.text("commands.txt")


def test_no_process_list_shows_a_url(place: Place, tmp_path: Path) -> None:
    """Looked at from outside, all the time that the script runs."""
    place.plan("commands.txt")
    seen = set()
    path = str(tools(tmp_path / "bin", "curl"))  # a list of processes takes long on busy machines
    file, environment = written(place, tmp_path / "home", GDR_PATH=path)
    with subprocess.Popen(
        ["bash", str(file)], env=environment, stdout=subprocess.DEVNULL
    ) as running:
        while running.poll() is None:
            for process in Path("/proc").iterdir():
                try:
                    line = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"X-Amz-Signature=secret" in line:
                    seen.add(line)
            time.sleep(0.005)  # a program that uploads lives longer than that
    assert place.order
    assert seen == set()


def test_hostile_names_forge_no_lines(place: Place, tmp_path: Path) -> None:
    """A process whose program's name holds quotes, a newline and a command substitution."""
    canary = tmp_path / "canary"
    odd = tmp_path / f"a'b\"\n### forged $(touch {canary.name}) `id`;&"
    shutil.copy(str(shutil.which("sleep")), odd)
    with subprocess.Popen([str(odd), "60"], cwd=tmp_path) as running:
        odd.unlink()
        place.plan()
        collect(place, tmp_path / "home")
        running.kill()
    text = place.text("processes.txt")
    assert "\n### forged" not in text
    assert "(deleted)" in text
    assert r"\n###" in text, "shown as an escape"
    assert not canary.exists() and not Path("/canary").exists()


def test_a_refused_upload_is_said_and_costs_the_others_nothing(
    place: Place, tmp_path: Path
) -> None:
    place.plan()
    place.refuse["/e/network.txt"] = 403
    done = collect(place, tmp_path / "home")
    assert done.returncode == 0
    size, sha, parts, state = place.index["network.txt"]
    assert (parts, state) == (0, "lost") and size > 0 and len(sha) == 64
    assert all(place.index[name][3] == "ok" for name in SECTIONS if name != "network.txt")


def test_a_second_run_writes_nothing_anew(place: Place, tmp_path: Path) -> None:
    place.plan()
    collect(place, tmp_path / "home")
    first, count = dict(place.objects), len(place.order)
    collect(place, tmp_path / "home")
    assert place.objects == first
    assert len(place.order) == count


def test_without_an_index_it_fails(place: Place, tmp_path: Path) -> None:
    place.plan()
    place.refuse["/e/index.tsv"] = 403
    done = collect(place, tmp_path / "home")
    assert done.returncode == 1
    assert "index could not be uploaded" in done.stdout


def test_packets_are_captured_beside_the_rest_and_bounded(place: Place, tmp_path: Path) -> None:
    """tcpdump's place is taken by a program that writes without end: needs no privileges, and
    shows the bound.
    """
    place.plan("capture.pcap")
    path = tools(
        tmp_path / "bin",
        "curl",
        "ls",
        "ps",
        "ss",
        "ip",
        "yes",
        tcpdump='echo "$*" >&2; exec yes packet',
    )
    began = time.monotonic()
    done = collect(
        place, tmp_path / "home", GDR_PATH=path, GDR_CAPTURE_SECONDS=4, GDR_CAPTURE_BYTES=100_000
    )
    assert done.returncode == 0
    assert place.index["capture.pcap"][0] == 100_000
    assert place.index["capture.pcap"][3] == "ok"
    assert time.monotonic() - began < 60


# -- memory ----------------------------------------------------------------------------------------

TOOL = b"""#!/bin/sh
[ "$1" = --compress ] || exit 8
dd if=/dev/urandom of="$2" bs=1048576 count=3 2>/dev/null
printf tail >>"$2"
"""


def memory(
    place: Place, home: Path, tool: bytes = TOOL, sha: str = "", **settings: Any
) -> subprocess.CompletedProcess[str]:
    place.objects["/e/tool"] = tool
    settings = {"GDR_MEMORY_LOCATION": f"{place.url}/e/tool", **settings}
    return collect(
        place, home, GDR_MEMORY_SHA256=sha or hashlib.sha256(tool).hexdigest(), **settings
    )


def room(tmp_path: Path, free: str = "999999999999") -> str:
    """A PATH whose df says that there is room for the memory of any machine."""
    df = f"echo header; echo fs 9 9 {free} 1% /"
    return tools(
        tmp_path / "bin",
        "curl",
        "ls",
        "ps",
        "ip",
        "ss",
        "bash",
        df=df,
    )


def test_memory_is_uploaded_in_parts(place: Place, tmp_path: Path) -> None:
    place.plan(parts=5)
    done = memory(place, tmp_path / "home", GDR_PATH=room(tmp_path))
    assert done.returncode == 0, done.stdout
    size, sha, parts, state = place.index["memory.lime"]
    assert (size, parts, state) == (3 * 1048576 + 4, 4, "ok")
    whole = b"".join(place.objects[f"/e/memory.lime/{n}"] for n in range(1, 5))
    assert hashlib.sha256(whole).hexdigest() == sha
    assert "If-None-Match" not in place.headers["/e/memory.lime/1"], "parts know no such condition"


def test_a_tool_with_another_hash_is_not_run(place: Place, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    place.plan(parts=5)
    tool = f"#!/bin/sh\ntouch {canary}\n".encode()
    done = memory(place, tmp_path / "home", tool, "0" * 64, GDR_PATH=room(tmp_path))
    assert not canary.exists()
    assert "SHA-256 is not the one configured" in done.stdout
    assert place.index["memory.lime"] == (0, "-", 0, "failed")
    assert all(place.index[name][3] == "ok" for name in SECTIONS)


def test_no_room_for_the_memory(place: Place, tmp_path: Path) -> None:
    place.plan(parts=5)
    done = memory(place, tmp_path / "home", GDR_PATH=room(tmp_path, "1000"))
    assert "KiB free" in done.stdout
    assert place.index["memory.lime"][3] == "failed"


def test_more_memory_than_the_plan_has_parts_for(place: Place, tmp_path: Path) -> None:
    place.plan(parts=2)
    memory(place, tmp_path / "home", GDR_PATH=room(tmp_path))
    assert place.index["memory.lime"][2:] == (2, "lost")


def test_the_plan_may_say_where_the_tool_is(place: Place, tmp_path: Path) -> None:
    place.plan(parts=5, more=f"@tool\t0\t{place.url}/e/tool?X-Amz-Signature=secret")
    done = memory(place, tmp_path / "home", GDR_PATH=room(tmp_path), GDR_MEMORY_LOCATION="")
    assert place.index["memory.lime"][3] == "ok", done.stdout


def test_a_busybox_machine(place: Place, tmp_path: Path) -> None:
    """Every tool but curl is busybox's, the shell too."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox is not on the PATH; the GitHub workflow of pull requests installs it")
    path = tmp_path / "bin"
    path.mkdir()
    for name in subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        (path / name).symlink_to(busybox)
    (path / "curl").symlink_to(str(shutil.which("curl")))
    place.plan("commands.txt")
    done = collect(
        place, tmp_path / "home", str(path / "sh"), GDR_PATH=path, GDR_COMMANDS=encoded("echo mine")
    )
    assert done.returncode == 0, done.stdout
    assert {line[3] for line in place.index.values()} == {"ok"}
    assert re.search(r"PID +USER", place.text("processes.txt"))
    assert "mine" in place.text("commands.txt")
    assert all(
        hashlib.sha256(place.objects[f"/e/{name}"]).hexdigest() == line[1]
        for name, line in place.index.items()
    )
