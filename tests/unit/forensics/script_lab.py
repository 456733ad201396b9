"""A place the collection script uploads to, and the script run under it: ``env -i``, a directory
of its own, a time limit.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE
from tests.support.repository import ROOT

SCRIPT = ROOT / "playbooks" / "ec2_instance" / "forensics" / "linux.sh"
SECTIONS = ("processes.txt", "network.txt", "users.txt", "modules.txt", "jobs.txt")
# What the script cannot do without. Everything else may be missing.
BASE = (
    "date",
    "mktemp",
    "rm",
    "sleep",
    "cut",
    "tr",
    "sed",
    "wc",
    "cat",
    "head",
    "dd",
    "md5sum",
    "sha256sum",
    "base64",
    "sh",
    "dirname",
    "df",
    "grep",
    "timeout",
    "chmod",
    "true",
)


class _Bucket(BaseHTTPRequestHandler):
    """Refuses as S3 does: a key is written once, and Content-MD5 must be that of the body."""

    server: Any

    def do_GET(self) -> None:
        body = self.server.place.objects.get(self.path.split("?")[0])
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def do_PUT(self) -> None:
        place, name = self.server.place, self.path.split("?")[0]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        place.headers[name] = dict(self.headers)
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324  (S3's own check)
        status = place.refuse.get(name) or (400 if self.headers["Content-MD5"] != md5 else 200)
        if status == 200 and self.headers["If-None-Match"] == "*" and name in place.objects:
            status = 412
        if status == 200:
            place.objects[name] = body
            place.order.append(name)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@dataclass
class Place:
    """``objects``: path -> content; ``order``: as they arrived; ``refuse``: path -> status."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    refuse: dict[str, int] = field(default_factory=dict)

    def plan(
        self,
        *names: str,
        deadline: int = 60,
        parts: int = 0,
        part_bytes: int = 1048576,
        more: str = "",
    ) -> None:
        lines = [f"@deadline\t0\t{deadline}", f"@part_bytes\t0\t{part_bytes}", more]
        lines += [
            f"{name}\t0\t{self.url}/e/{name}?X-Amz-Signature=secret"
            for name in (*SECTIONS, *names, "index.tsv")
        ]
        lines += [
            f"memory.lime\t{n}\t{self.url}/e/memory.lime/{n}?X-Amz-Signature=secret"
            for n in range(1, parts + 1)
        ]
        self.objects["/e/plan.txt"] = "\n".join(lines).encode() + b"\n"

    def text(self, name: str) -> str:
        return self.objects[f"/e/{name}"].decode(errors="replace")

    @property
    def index(self) -> dict[str, tuple[int, str, int, str]]:
        """Name -> bytes, SHA-256, parts, state."""
        lines = [line.split("\t") for line in self.text("index.tsv").splitlines()]
        return {
            name: (int(size), sha, int(parts), state) for name, size, sha, parts, state in lines
        }


@contextmanager
def bucket() -> Iterator[Place]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    server.place = Place(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.place
    finally:
        server.shutdown()
        server.server_close()


def tools(directory: Path, *names: str, **scripts: str) -> str:
    """A PATH with nothing on it but ``BASE``, ``names`` and ``scripts`` (name -> shell source)."""
    directory.mkdir(exist_ok=True)
    for name in (*BASE, *names):
        found = sys.executable if name == "python3" else shutil.which(name)
        assert found, f"this machine lacks {name}"
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(found)
    for name, source in scripts.items():
        (directory / name).unlink(missing_ok=True)
        (directory / name).write_text(f"#!/bin/sh\n{source}\n")
        (directory / name).chmod(0o755)
    return str(directory)


def encoded(*commands: str) -> str:
    return " ".join(base64.b64encode(command.encode()).decode() for command in commands)


def written(place: Place, home: Path, **settings: Any) -> tuple[Path, dict[str, str]]:
    """The script as the document has it (settings assigned above it), and the environment to run
    it in.
    """
    home.mkdir(exist_ok=True)
    values = {"GDR_PLAN_URL": f"{place.url}/e/plan.txt?X-Amz-Signature=secret", **settings}
    path = values.pop("GDR_PATH", None)
    file = home.with_suffix(".sh")
    file.write_text(
        "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
        + SCRIPT.read_text()
    )
    return file, {"TMPDIR": str(home), **({"GDR_PATH": path} if path else {})}


def collect(
    place: Place, home: Path, shell: str = "bash", limit: float = PATIENCE, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Runs the script to its end; its private directory is made under ``home`` and must be gone
    after. Without a GDR_PATH the tools are few: what a whole machine's answer for seconds each.
    GDR_PATH=None takes all that this machine has.
    """
    settings = {"GDR_PATH": ..., **settings}
    if settings["GDR_PATH"] is ...:
        settings["GDR_PATH"] = tools(
            home.with_name("few-tools"), "curl", "ls", "ps", "bash", "env", "id"
        )
    file, environment = written(place, home, **settings)
    done = subprocess.run(
        [str(shutil.which(shell)), str(file)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert list(home.iterdir()) == [], "the private directory is removed"
    assert "X-Amz-Signature" not in done.stdout + done.stderr, "URLs are secrets"
    return done
