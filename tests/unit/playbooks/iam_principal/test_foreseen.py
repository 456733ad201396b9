"""What eradication will undo by itself and what it lists for people is said beforehand, and counted
by the circuit breaker.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.eradication_lab import INCIDENT, EradicationLab
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME

Json = dict[str, Any]


def _mode(mode: str) -> Json:
    """The deployment's configuration with a mode for the lab's finding."""
    return {
        "remediations": {"UnauthorizedAccess:IAMUser/*": mode},
        "active_playbooks": ["iam_principal"],
    }


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    deployment.configure(_mode("auto"))
    return EradicationLab(deployment, monkeypatch)


def _create_users(lab: EradicationLab, count: int, **also: Any) -> None:
    for number in range(count):
        lab.does("iam", "create_user", UserName=f"mallory{number}", also=also or None)


def _marks(lab: EradicationLab) -> int:
    return len(lab.deployment.items("BREAKER"))


def test_what_a_pass_will_do_is_said_first(lab: EradicationLab) -> None:
    _create_users(lab, 2)
    lab.happened(
        "ec2",
        "CreateTags",
        {"resource": "i-1"},
    )
    lab.does(
        "iam",
        "create_user",
        UserName="owner",
        also={"key": "AKIAOWNER"},
    )
    lab.hooks["AttachUserPolicy"] = lambda _: said.append(dict(lab.stored_record()["actions"]))
    said: list[Json] = []
    lab.eradicate()
    first = said[0]
    assert first["remediation_undoes"]["status"] == "NOTED"
    text = first["remediation_undoes"]["detail"]
    assert text.startswith("2 calls undone by itself: CreateUser (userName=mallory1)")
    text = first["remediation_lists"]["detail"]
    assert text.startswith("2 calls listed for people: ")
    assert "CreateTags (resource=i-1)" in text
    assert "CreateUser (userName=owner)" in text
    assert lab.kept()["detail"] == "2 reverted, 2 left for people"


def test_too_much_to_undo_is_asked_about(lab: EradicationLab) -> None:
    _create_users(lab, 11)
    lab.eradicate()
    assert lab.changed() == [], "nothing is undone"
    assert lab.kept()["detail"] == "0 reverted, 11 left for people"
    assert "11 resources in 60 minutes exceed the circuit breaker's 10" in lab.left[0]
    assert "aws iam attach-user-policy" in lab.left[0], "with the command"
    assert _marks(lab) == 11
    assert "task" in lab.deployment.timeline(INCIDENT)


def test_the_limit_itself_is_undone(lab: EradicationLab) -> None:
    _create_users(lab, 10)
    lab.eradicate()
    assert lab.kept()["detail"] == "10 reverted, 0 left for people"
    assert _marks(lab) == 10


def test_a_second_pass_counts_with_the_first(lab: EradicationLab) -> None:
    _create_users(lab, 6)
    lab.eradicate(more=True)
    for number in range(6):
        lab.does("iam", "create_user", UserName=f"trudy{number}")
    lab.eradicate()
    assert lab.kept()["detail"] == "6 reverted, 6 left for people"


def test_what_is_only_listed_does_not_count(lab: EradicationLab) -> None:
    _create_users(
        lab,
        11,
        key="AKIAOWNER",
    )
    lab.does(
        "iam",
        "create_user",
        UserName="mallory",
    )
    lab.eradicate()
    assert lab.kept()["detail"] == "1 reverted, 11 left for people"
    assert _marks(lab) == 1


def test_what_was_undone_asks_about_no_containment(lab: EradicationLab) -> None:
    _create_users(lab, 10)
    lab.eradicate()
    counts = lab.record.circuit_breaker.count_targets(
        "iam_principal",
        "222222222222",
        ["arn"],
        60,
    )
    assert (counts.of_playbook, counts.of_account, counts.in_all) == (1, 11, 11)


@pytest.mark.parametrize("approved", [True, False])
def test_what_a_person_approved_is_undone(lab: EradicationLab, approved: bool) -> None:
    record = IncidentRepository("guardduty-response-incidents")
    record.open(
        {
            "incident_id": INCIDENT,
            "execution": "e",
            "mode": "auto",
            "severity": 8.0,
            "config_sha256": "",
        }
    )
    if approved:
        record.note(INCIDENT, approved_digest="d")
    _create_users(lab, 11)
    lab.eradicate()
    count = 11 if approved else 0
    assert lab.kept()["detail"] == f"{count} reverted, {11 - count} left for people"


def test_in_mode_approve_nothing_is_counted(lab: EradicationLab) -> None:
    lab.deployment.configure(_mode("approve"))
    _create_users(lab, 11)
    lab.eradicate()
    assert lab.kept()["detail"] == "11 reverted, 0 left for people"
    assert _marks(lab) == 0


# -- before a person is asked ----------------------------------------------------------------------


def _called(iam: IamLab, name: str, minutes: float, **more: Any) -> None:
    caller = user_identity(principalId=iam.ids["user"], accessKeyId=iam.details["accessKeyId"])
    iam.add_event(
        name,
        caller,
        60 * minutes,
        HOME,
        **more,
    )


@pytest.fixture
def asked(iam: IamLab) -> IamLab:
    iam.user()
    iam.options["remediate"] = ["users", "policies"]
    return iam


def _foreseen(iam: IamLab) -> dict[str, str]:
    foresee = iam.planned().foresee
    assert foresee is not None
    return dict(foresee())


def test_the_lists_are_looked_up_for_who_is_asked(asked: IamLab) -> None:
    _called(
        asked,
        "CreateUser",
        3,
        requestParameters={"userName": "mallory"},
    )
    _called(
        asked,
        "CreateUser",
        300,
        requestParameters={"userName": "earlier"},
    )
    _called(
        asked,
        "CreateRole",
        2,
        requestParameters={"roleName": "door"},
    )
    _called(
        asked,
        "CreateUser",
        1,
        requestParameters={"userName": "x"},
        errorCode="AccessDenied",
    )
    said = _foreseen(asked)
    assert said["remediation_undoes"] == "1 calls undone by itself: CreateUser (userName=mallory)"
    text = said["remediation_lists"]
    assert text.startswith("2 calls listed for people: ")
    assert "CreateUser (userName=earlier)" in text
    assert "CreateRole (roleName=door)" in text, "its kind is not in remediate"
    assert "what CloudTrail shows later" in said["remediation_unknown"]


def test_the_plan_does_not_wait_for_the_look_up(asked: IamLab) -> None:
    asked.calls.clear()
    planned = asked.planned()
    assert "LookupEvents" not in asked.operations()
    assert "mallory" not in str(planned.actions)


def test_what_could_not_be_looked_up_is_said(asked: IamLab) -> None:
    asked.fail("LookupEvents", "AccessDeniedException")
    said = _foreseen(asked)
    assert "AccessDenied" in said["remediation_unknown"]
    assert "not looked at" in said["remediation_unknown"]


def test_without_eradication_nothing_is_foreseen(iam: IamLab) -> None:
    iam.user()
    assert iam.planned().foresee is None
