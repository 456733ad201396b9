"""What is said about a resource, and when an incident is what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.errors import TransientError
from guardduty_response.incident import notifications
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.function_calls import EXECUTION, call, notified, recurrence, target

Begin = Callable[..., str]
Verified = Callable[..., None]
SECOND = f"{EXECUTION}2"


def _verdict(incident_id: str, name: str = "i-1", error: str = "", **more: Any) -> dict[str, Any]:
    fields = {k: more.pop(k) for k in ("verify_only", "attach") if k in more}
    return call(
        "verdict", incident_id=incident_id, target=target(name, **fields), error=error, **more
    )


def _again(record: IncidentRepository, incident_id: str) -> None:
    """The finding comes again and its containment is to be verified."""
    assert recurrence(record, incident_id, SECOND) == "verify"


@pytest.mark.parametrize(
    ("status", "escalated"),
    [("CONTAINED", False), ("PARTIAL", True), ("FAILED", True), ("GONE", False)],
)
def test_a_verdict_is_recorded_and_told_at_once(
    deployment: Deployment, incident: Begin, verified: Verified, status: str, escalated: bool
) -> None:
    incident_id = incident()
    verified(incident_id, status)
    assert _verdict(incident_id) == {"status": status}
    assert deployment.meta(incident_id)["status"] == status
    assert notified(deployment) == ([status], [status] if escalated else [])
    assert f"verdict {status}" in deployment.timeline(incident_id)


@pytest.mark.parametrize("error", ["the read-back failed: Lambda.Unknown: killed", ""])
def test_without_a_result_it_is_not_contained(
    deployment: Deployment, incident: Begin, error: str
) -> None:
    incident_id = incident()
    _verdict(incident_id, error=error)
    [stored] = deployment.targets(incident_id)
    reason = error or "verification ended without a result"
    assert (stored["status"], stored["verdict"]) == ("FAILED", reason)
    assert deployment.meta(incident_id)["status"] == "FAILED"
    assert (error or "without a result") in deployment.messages("escalations")[0]["Message"]


def test_several_targets_are_told_one_by_one_and_judged_together(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = incident("i-1", "i-2", "i-3")
    for name, status in (("i-1", "CONTAINED"), ("i-2", "GONE"), ("i-3", "FAILED")):
        assert deployment.meta(incident_id)["status"] == "CONTAINING"
        verified(incident_id, status, name)
        _verdict(incident_id, name)
        [message_] = deployment.messages()
        assert message_["MessageAttributes"]["event"]["Value"] == status
        assert f" {name} in " in message_["Subject"]
        assert f"{name} is {status}" in message_["Message"]
    assert deployment.meta(incident_id)["status"] == "FAILED"


def test_verdicts_of_targets_at_once_agree(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    """Both targets are read before either verdict is settled."""
    incident_id = incident("i-1", "i-2")
    for name in ("i-1", "i-2"):
        verified(incident_id, "CONTAINED", name)
    for name in ("i-1", "i-2"):
        _verdict(incident_id, name)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert notified(deployment) == (["CONTAINED", "CONTAINED"], [])


def test_a_resource_of_another_incident_is_linked(
    deployment: Deployment, incident: Begin, verified: Verified, record: IncidentRepository
) -> None:
    incident_id = incident()
    record.containments.join(
        target("i-1"),
        "inc-other",
        "ec2_instance",
    )
    verified(incident_id, "CONTAINED")
    _verdict(incident_id)
    assert "Its containment is for inc-other too" in deployment.messages()[0]["Message"]


# -- verified again --------------------------------------------------------------------------------


def _contained(deployment: Deployment, incident_id: str, verified: Verified) -> str:
    verified(incident_id, "CONTAINED")
    _verdict(incident_id)
    call("close", incident_id=incident_id, decision="act")
    notified(deployment)
    return incident_id


def test_what_still_holds_wakes_nobody(
    deployment: Deployment, incident: Begin, verified: Verified, record: IncidentRepository
) -> None:
    incident_id = _contained(deployment, incident(), verified)
    _again(record, incident_id)
    verified(incident_id, "CONTAINED", execution=SECOND)
    _verdict(incident_id, verify_only=True, execution=SECOND)
    call(
        "close",
        incident_id=incident_id,
        decision="act",
        execution=SECOND,
    )
    assert notified(deployment) == ([], [])
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert deployment.timeline(incident_id).count("verdict CONTAINED") == 2


@pytest.mark.parametrize("seen", ["FAILED", "BREACHED"])
def test_what_was_undone_is_a_breach_told_once(
    deployment: Deployment,
    incident: Begin,
    verified: Verified,
    record: IncidentRepository,
    seen: str,
) -> None:
    incident_id = _contained(deployment, incident(), verified)
    _again(record, incident_id)
    verified(incident_id, seen, execution=SECOND)
    _verdict(incident_id, verify_only=True, execution=SECOND)
    assert deployment.meta(incident_id)["status"] == "BREACHED"
    assert notified(deployment) == (["BREACHED"], ["BREACHED"])
    call(
        "close",
        incident_id=incident_id,
        decision="act",
        execution=SECOND,
    )
    assert notified(deployment) == ([], [])
    assert recurrence(record, incident_id, "three") == "start"


@pytest.mark.parametrize("step_name", ["verdict", "close"])
def test_a_breach_whose_message_could_not_be_written_is_told_by_the_retry_or_by_close(
    deployment: Deployment,
    incident: Begin,
    verified: Verified,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    step_name: str,
) -> None:
    incident_id = _contained(deployment, incident(), verified)
    _again(record, incident_id)
    verified(incident_id, "FAILED", execution=SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(notifications, "notify", _throttle)
        with pytest.raises(TransientError):
            _verdict(incident_id, verify_only=True, execution=SECOND)
    if step_name == "verdict":
        _verdict(incident_id, verify_only=True, execution=SECOND)
    else:
        call(
            "close",
            incident_id=incident_id,
            decision="act",
            execution=SECOND,
        )
    assert notified(deployment) == (["BREACHED"], ["BREACHED"])


def test_a_verdict_repeated_is_told_once(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    """Its answer was lost and the machine asks again."""
    incident_id = incident()
    verified(incident_id, "PARTIAL")
    for _ in range(2):
        _verdict(incident_id)
    assert notified(deployment) == (["PARTIAL"], ["PARTIAL"])
    assert deployment.timeline(incident_id).count("verdict PARTIAL") == 1


def _throttle(*_: Any, **__: Any) -> None:
    from botocore.exceptions import ClientError

    raise ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "PutItem")


def test_what_could_not_be_read_again_is_not_called_contained(
    deployment: Deployment, incident: Begin, verified: Verified, record: IncidentRepository
) -> None:
    incident_id = _contained(deployment, incident(), verified)
    _again(record, incident_id)
    why = "the read-back failed: RoleUnavailable: cannot assume"
    _verdict(
        incident_id,
        error=why,
        verify_only=True,
        execution=SECOND,
    )
    assert deployment.meta(incident_id)["status"] == "CONTAINED"  # as last seen
    assert deployment.timeline(incident_id)[-1] == "not verified"
    [message_] = deployment.messages("escalations")
    assert message_["Subject"].startswith("[PROBLEM]")
    assert why in message_["Message"]
    assert "the one last verified" in message_["Message"]


def test_a_restored_resource_found_open_is_no_breach(
    deployment: Deployment, incident: Begin, verified: Verified, record: IncidentRepository
) -> None:
    """A person restored it while a verification ran: the status stays the person's."""
    incident_id = _contained(deployment, incident(), verified)
    _again(record, incident_id)
    record.transition(incident_id, "restored")  # type: ignore[arg-type]
    verified(incident_id, "FAILED", execution=SECOND)
    _verdict(incident_id, verify_only=True, execution=SECOND)
    assert deployment.meta(incident_id)["status"] == "RESTORED"
    assert "status kept" in deployment.timeline(incident_id)


def test_lost_evidence_is_a_task_not_a_verdict(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = incident()
    call(
        "evidence_failed",
        incident_id=incident_id,
        target=target(),
        error="SnapshotLimitExceeded: too many",
    )
    verified(incident_id, "CONTAINED")
    _verdict(incident_id)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert "SnapshotLimitExceeded" in deployment.messages()[0]["Message"].split("Open tasks")[1]
