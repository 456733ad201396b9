"""The zips: built from the sources and nothing else, the same bytes wherever they are built,
small.
"""

from __future__ import annotations

import ast
import copy
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.catalogue import manifests
from tests.unit.packaging import PACKAGE, ZIPS, build, built


def test_what_is_committed_is_what_the_sources_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_the_same_sources_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(tmp_path / "a", monkeypatch)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        previous = os.umask(0o077)
        try:
            assert built(tmp_path / "b", monkeypatch) == first
        finally:
            os.umask(previous)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_a_changed_or_stray_zip_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(built(tmp_path / "dist", monkeypatch))
    with zipfile.ZipFile(tmp_path / "dist" / names[0], "a") as archive:
        archive.writestr("guardduty_response/extra.py", "")
    (tmp_path / "dist" / "old.zip").write_bytes(b"")
    assert build.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert f"{names[0]} is not what the sources give" in said
    assert "old.zip is built from nothing" in said


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_holds_plain_readable_entries(name: str, zips: Path) -> None:
    with zipfile.ZipFile(zips / name) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    for info in infos:
        assert (info.date_time, info.external_attr >> 16 & 0o777, info.create_system) == (
            (1980, 1, 1, 0, 0, 0),
            0o644,
            3,
        )
        assert info.filename.startswith("guardduty_response/")


# Who contains, restores, closes or finds gone begins and ends monitoring.
MONITORED = {f"monitoring/{name}.py" for name in ("due", "executions", "upkeep", "watched_names")}
FUNCTIONS = {
    "incident": {
        "functions/incident.py",
        "functions/intake.py",
        "functions/updates.py",
        "monitoring/fights.py",
        "monitoring/recheck.py",
        *MONITORED,
    },
    "watchdog": {
        "functions/reconcile.py",
        "functions/events.py",
        "functions/failed_executions.py",
        "functions/redelivery.py",
        "functions/stale.py",
        "monitoring/batch.py",
        "monitoring/changes.py",
        "monitoring/dispatch.py",
        "monitoring/due_roles.py",
        "monitoring/expiry.py",
        "monitoring/schedule.py",
        "monitoring/slots.py",
        "monitoring/unwatched.py",
        *MONITORED,
    },
    "playbook": {
        "functions/respond.py",
        "functions/ahead.py",
        "functions/contain_step.py",
        "functions/contained_options.py",
        "functions/standing.py",
        "functions/expire_step.py",
        "functions/finish_step.py",
        "functions/hand_over.py",
        "functions/minor_losses.py",
        "functions/plan_step.py",
        "functions/verify_step.py",
        "functions/old_executions.py",
        "functions/planning.py",
        "functions/rejoining.py",
        "functions/steps.py",
        "monitoring/drift.py",
        "monitoring/due_roles.py",
        "monitoring/unwatched.py",
        *MONITORED,
    },
    "collect": {"functions/collect.py", "functions/steps.py"},
    "remediate": {"functions/eradicate.py", "functions/steps.py"},
    "restore": {
        "functions/restore.py",
        "functions/closing.py",
        "functions/requests.py",
        *MONITORED,
    },
    "terminate": {"functions/terminate.py", "functions/steps.py"},
    "monitor": {
        "functions/monitor.py",
        "functions/events.py",
        "monitoring/batch.py",
        "monitoring/checks.py",
        "monitoring/drift.py",
        "monitoring/reading.py",
        "monitoring/sessions.py",
        "monitoring/slots.py",
        *MONITORED,
    },
}


def test_no_zip_holds_what_its_function_must_not_do() -> None:
    """Only its own handler; the code that contains, collects, undoes or destroys is each in the
    zip of that job alone.
    """
    for name, files in build.contents().items():
        job, _, own = name.removesuffix(".zip").partition("_")
        assert {
            file
            for file in files
            if file.startswith(("functions/", "monitoring/"))
            and Path(file).stem not in ("__init__", "runtime")
        } == FUNCTIONS[job]
        assert {
            file.split("/")[1]
            for file in files
            if file.startswith("playbooks/") and file.count("/") > 1 and file.endswith(".py")
        } == ({own} - {""})
        assert ("containment/gate.py" in files) == (job not in ("incident", "watchdog"))
        assert ("incident/notifications.py" in files) == (
            job in ("incident", "watchdog", "restore")
        )
        home = f"playbooks/{own}/"
        for part, its in (
            ("playbook", "playbook"),
            ("restore", "restore"),
            ("evidence/", "collect"),
            ("eradicate/", "remediate"),
            ("terminate", "terminate"),
            ("monitor", "monitor"),
        ):
            carried = [file for file in files if own and file.startswith(home + part)]
            exists = any((PACKAGE / home).glob(f"{part.rstrip('/')}*")) if own else False
            assert bool(carried) == (job == its and exists), f"{name} holds {carried}"


def test_a_module_has_its_data_with_it() -> None:
    files = build.contents()["remediate_iam_principal.zip"]
    assert "playbooks/iam_principal/eradicate/manual_commands.json" in files


def test_what_restores_does_not_search_cloudtrail() -> None:
    for name, files in build.contents().items():
        if name.startswith("restore_"):
            assert not {"cloudtrail/query.py", "cloudtrail/actors.py"} & set(files), name


def test_every_zip_has_the_manifest_of_every_playbook() -> None:
    """Each function decides by the policy, and some choose a playbook."""
    wanted = {f"playbooks/{name}/manifest.json" for name in manifests()}
    assert len(wanted) >= 2
    for name, files in build.contents().items():
        assert {file for file in files if file.endswith("manifest.json")} == wanted, name


def test_the_manifests_beside_the_code_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {
        name: text.replace("actor", "victim") for name, text in build.for_functions().items()
    }
    monkeypatch.setattr(
        build,
        "for_functions",
        lambda: changed,
    )
    monkeypatch.setattr(
        build,
        "DIST",
        tmp_path,
    )
    assert build.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "playbooks/ec2_instance/manifest.json is not what the manifest gives" in said


def _with_jobs(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """``changes``: job -> its entry in ec2_instance's manifest; None takes it out."""
    changed = copy.deepcopy(build.manifests())
    jobs = changed["ec2_instance"]["jobs"] | changes
    changed["ec2_instance"]["jobs"] = {
        job: entry for job, entry in jobs.items() if entry is not None
    }
    monkeypatch.setattr(
        build,
        "manifests",
        lambda: changed,
    )


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"terminate": None}, "lacks the job terminate, for which the playbook has terminate.py"),
        ({"remediate": {}}, "has the job remediate, but the playbook's package has no eradicate"),
        ({"respond": {}}, "there is no job respond; jobs are playbook, collect, "),
        (
            {"collect": {"models": ["dynamodb", "s3control"]}},
            "the job collect names the model s3control; there are dynamodb, ec2, iam, s3. Remove",
        ),
    ],
)
def test_a_manifest_and_code_that_disagree_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    jobs: Any,
    said: str,
) -> None:
    monkeypatch.setattr(
        build,
        "DIST",
        tmp_path,
    )
    _with_jobs(monkeypatch, **jobs)
    assert build.main([]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.glob("*.zip")) == []


def test_a_job_has_the_models_that_its_manifest_names(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_jobs(
        monkeypatch,
        collect={"models": ["iam"]},
        terminate={},
    )
    found = {
        name: {Path(file).parts[2] for file in files if file.endswith("service-2.json.gz")}
        for name, files in build.contents().items()
    }
    assert found["collect_ec2_instance.zip"] == {"iam"}
    assert found["terminate_ec2_instance.zip"] == set(build.SMALL)
    assert found["playbook_ec2_instance.zip"] == {"dynamodb", "ec2", "iam", "s3"}


@pytest.mark.parametrize("name", ZIPS)
def test_a_function_starts_from_its_zip_alone(name: str, zips: Path, tmp_path: Path) -> None:
    """Each module in it is importable with nothing but botocore and the standard library beside
    it.
    """
    with zipfile.ZipFile(zips / name) as archive:
        archive.extractall(tmp_path / "function")
    modules = [
        file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for file in build.contents()[name]
        if file.endswith(".py")
    ]
    program = "import importlib, sys\n" + "\n".join(
        (
            f"importlib.import_module('guardduty_response.{entry}')"
            if entry != "__init__"
            else "import guardduty_response"
        )
        for entry in modules
    )
    program += "\nassert 'boto3' not in sys.modules, 'boto3 costs a fifth of the cold start'"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "function"),
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    got = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert got.returncode == 0, got.stderr


def test_only_the_standard_library_and_botocore_run_with_response_privileges() -> None:
    allowed = set(sys.stdlib_module_names) | {"botocore", "guardduty_response"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            )
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
