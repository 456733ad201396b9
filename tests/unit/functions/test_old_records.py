"""Tests that records which release 0.1.0 wrote are read, taken over, restored and closed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from guardduty_response.containment.contract import (
    Check,
    Context,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.functions import restore
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import TABLE, Deployment, plain
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import call, watch
from tests.unit.functions.respond_steps import SECOND, open_incident, run_step
from tests.unit.old_records import load_old_records

BEFORE = {
    "network": {"interfaces": {"eni-1": ["sg-web"], "eni-2": ["sg-web"]}},
    "profile": {"name": "app"},
}
SWEEP = {"source": "guardduty-response.sweeper"}
SWEPT = (
    "contained",
    "partial",
    "failed",
    "restore_partial",
    "breached",
    "user",
    "session",
    "owner",
    "attached",
)
STATUSES = {
    "contained": "CONTAINED",
    "partial": "PARTIAL",
    "failed": "FAILED",
    "restored": "RESTORED",
    "restore_partial": "RESTORE_PARTIAL",
    "breached": "BREACHED",
    "user": "CONTAINED",
    "session": "PARTIAL",
    "owner": "CONTAINED",
    "attached": "CONTAINED",
    "awaiting": "AWAITING_APPROVAL",
    "containing": "CONTAINING",
    "dry_run": "DRY_RUN",
    "notified": "NOTIFIED",
}
NEW_FINDING = {"id": "new-finding"}


@pytest.fixture
def old(deployment: Deployment, fake: FakePlaybook) -> dict[str, str]:
    """The incidents' IDs by what they are."""
    return load_old_records(deployment)


class _Restorer(ModuleType):
    """Records the state before that a restore finds."""

    found: dict[str, Any]

    def restore(self, context: Context, target: Target) -> RestoreResult:
        stored = context.record.target(
            context.incident_id,
            target.kind,
            target.id,
        )
        self.found = stored["before"]
        return RestoreResult(
            Status.RESTORED,
            ["network/eni-1"],
            [],
            ["eni-1 is back"],
            [],
            [Check("eni-1", True, "")],
        )


@pytest.fixture
def restorer(fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> _Restorer:
    module = _Restorer(f"{fake.__name__}.restore")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def _table(deployment: Deployment) -> list[dict[str, Any]]:
    found = [plain(item) for item in deployment.dynamodb.scan(TableName=TABLE)["Items"]]
    return sorted(found, key=lambda item: (item["pk"], item["sk"]))


def _finish_in_progress(record: IncidentRepository, old: dict[str, str]) -> None:
    for name in ("awaiting", "containing"):
        record.move(
            old[name],
            Status(record.meta(old[name])["status"]),
            Status.FAILED,
        )


def _new_finding(fake: FakePlaybook, name: str) -> tuple[str, dict[str, Any]]:
    """Plans an incident of another finding about an instance; returns its ID and its target."""
    fake.ids = [name]
    incident_id = open_incident(SECOND, detail=_detail())
    answer = run_step("plan", incident_id, execution=SECOND)
    assert answer["decision"] == "act", answer
    return incident_id, answer["targets"][0]


def _detail() -> dict[str, Any]:
    return dict(load_finding(**NEW_FINDING)["detail"])


@pytest.mark.parametrize("name", STATUSES)
def test_an_old_record_is_read(record: IncidentRepository, old: dict[str, str], name: str) -> None:
    meta, targets, timeline = record.read(old[name])
    assert meta["status"] == STATUSES[name]
    assert timeline
    for target in targets:
        assert target["id"]
    contained = name not in ("attached", "awaiting", "dry_run", "notified")
    assert [target["before"] for target in targets if target["before"]] == [BEFORE] * contained


def test_the_sweep_takes_over_what_is_contained(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    watch(SWEEP)
    for name in SWEPT:
        [target] = record.read(old[name])[1]
        assert (target["generation"], target["before"]) == (1, BEFORE), name
        assert target["status"] == STATUSES[name], name
        assert target["checks"] and target["evidence"]["snapshots"], name
        assert target["actions"]["quarantine_network"]["status"] == "DONE", name
    assert "taken over" in deployment.timeline(old["contained"])


def test_what_is_verified_after_the_take_over_counts(
    record: IncidentRepository, old: dict[str, str]
) -> None:
    """What release 0.1.0 wrote with the incident would hide it."""
    watch(SWEEP)
    later: dict[str, Any] = {
        "verified": "later",
        "held_at": "later",
        "weak": ["later"],
        "still_contained": [],
    }
    record.set_target(
        old["partial"],
        "ec2_instance",
        "i-2",
        **later,
    )
    [target] = record.read(old["partial"])[1]
    assert later.items() <= target.items()


def test_an_attached_incident_shares_its_owners_containment(
    record: IncidentRepository, old: dict[str, str]
) -> None:
    record.take_over_old(old["attached"])
    [target] = record.read(old["attached"])[1]
    assert target["before"] == BEFORE
    assert target["incidents"] == [old["owner"], old["attached"]]
    state = record.containments.state(target["arn"], 1)
    assert state is not None and state["opened_by"] == old["owner"]


def test_a_second_sweep_changes_nothing(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    watch(SWEEP)
    once = _table(deployment)
    watch(SWEEP)
    assert _table(deployment) == once


def test_the_marker_waits_for_incidents_in_progress(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    watch(SWEEP)
    assert [item["sk"] for item in deployment.items("MIGRATION")] == ["0.2-search"]
    _finish_in_progress(record, old)
    watch(SWEEP)
    assert [item["sk"] for item in deployment.items("MIGRATION")] == ["0.2", "0.2-search"]


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize(("name", "id"), [("contained", "i-1"), ("partial", "i-2")])
def test_a_new_finding_joins_an_old_containment(
    record: IncidentRepository,
    fake: FakePlaybook,
    old: dict[str, str],
    swept: bool,
    name: str,
    id: str,
) -> None:
    if swept:
        watch(SWEEP)
    incident_id, target = _new_finding(fake, id)
    record.before(
        incident_id,
        target["kind"],
        id,
        "profile",
        {"name": "quarantine"},
    )
    [stored] = record.read(incident_id)[1]
    assert (stored["generation"], stored["opened_by"]) == (1, old[name])
    assert stored["before"] == BEFORE
    assert old[name] in stored["incidents"] and incident_id in stored["incidents"]


def test_an_old_finding_that_comes_again_keeps_its_state_before(
    record: IncidentRepository, fake: FakePlaybook, old: dict[str, str]
) -> None:
    """It is OPEN then, so that the sweep does not find it."""
    incident_id = old["contained"]
    record.move(
        incident_id,
        Status.CONTAINED,
        Status.OPEN,
        targets=[],
        held="CONTAINED",
    )
    record.note(incident_id, execution=SECOND)
    fake.ids = ["i-1"]
    assert (
        run_step(
            "plan",
            incident_id,
            execution=SECOND,
        )["decision"]
        == "act"
    )
    [stored] = record.read(incident_id)[1]
    assert (stored["generation"], stored["before"]) == (1, BEFORE)


@pytest.mark.parametrize("name", ["contained", "partial", "breached", "user", "session"])
def test_a_recheck_takes_over(record: IncidentRepository, old: dict[str, str], name: str) -> None:
    request = {"watch": {"incident_id": old[name], "why": "schedule"}}
    opened = call("open", event=request)
    assert (opened["incident_id"], opened["verify_only"]) == (old[name], True)
    [target] = record.read(old[name])[1]
    assert (target["generation"], target["before"]) == (1, BEFORE)


@pytest.mark.parametrize(
    "name",
    ["contained", "partial", "failed", "breached", "restore_partial", "user", "session", "owner"],
)
def test_a_restore_finds_the_whole_state_before(
    record: IncidentRepository, restorer: _Restorer, old: dict[str, str], name: str
) -> None:
    answer = restore.handler({"incident_id": old[name], "requested_by": "ada"}, None)
    assert (answer["refused"], answer["status"]) == ("", "RESTORED")
    assert restorer.found == BEFORE


def test_restoring_the_owner_tells_the_attached_incident(
    record: IncidentRepository, restorer: _Restorer, old: dict[str, str]
) -> None:
    watch(SWEEP)
    restore.handler({"incident_id": old["owner"], "requested_by": "ada"}, None)
    assert record.meta(old["attached"])["status"] == "RESTORED"


def test_closing_an_old_incident_takes_over(
    record: IncidentRepository, restorer: _Restorer, old: dict[str, str]
) -> None:
    close = {
        "incident_id": old["contained"],
        "requested_by": "ada",
        "close": True,
    }
    assert "keep_contained" in restore.handler(close, None)["refused"]
    kept = restore.handler(
        {
            **close,
            "keep_contained": True,
            "reason": "case 7",
        },
        None,
    )
    assert (kept["refused"], kept["status"]) == ("", "CLOSED")
    [target] = record.read(old["contained"])[1]
    assert (target["before"], target["incidents"]) == (BEFORE, [])


def test_an_execution_of_the_old_definition_goes_on(
    record: IncidentRepository, fake: FakePlaybook, old: dict[str, str]
) -> None:
    """It names one target, without a generation, and its incident has no plan digest."""
    meta = record.meta(old["containing"])
    assert "plan_digest" not in meta
    stored: Any = record.read(old["containing"])[1][0]
    names = ("kind", "id", "arn", "account_id", "region")
    target = {
        **{name: stored[name] for name in names},
        "scope": {},
        "attach": "",
    }
    fake.steps["verify"] = StepResult(status=Status.CONTAINED, detail="closed")
    event: dict[str, Any] = {
        "execution": meta["execution"],
        "target": {**target, "verify_only": False},
    }
    run_step("verify", old["containing"], **event)
    call("verdict", incident_id=old["containing"], **event)
    assert record.meta(old["containing"])["status"] == "CONTAINED"
    watch(SWEEP)
    [taken_over] = record.read(old["containing"])[1]
    assert (taken_over["generation"], taken_over["before"]) == (1, BEFORE)
