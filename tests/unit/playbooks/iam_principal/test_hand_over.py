"""Credentials of an instance: the session is denied here, and the instance becomes an incident
of playbook ec2_instance.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading

import pytest
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context
from guardduty_response.decision import finding, manifests
from guardduty_response.errors import ResponseError
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import hand_over, instance_region, playbook
from moto.ec2.models import ec2_backends

from tests.support import catalogue
from tests.support.repository import load_finding
from tests.unit.deployment import EXECUTIONS, Deployment, onlooker
from tests.unit.playbooks.iam_principal.function_steps import (
    OpenIncident,
    approve_incident,
    contain_target,
    open_event,
    plan_incident,
)
from tests.unit.playbooks.iam_principal.iam_account import REGION, THIRD, Json
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER
from tests.unit.playbooks.iam_principal.session_judge import EXFILTRATION, INSTANCE, is_allowed

NAME = "unauthorizedaccess_iamuser_instancecredentialexfiltration_outsideaws"


def run_instance(region: str = REGION, instance: str = INSTANCE) -> None:
    """An instance of the member account, with that id."""
    client = onlooker("ec2", region)
    answer = client.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
    [created] = answer["Instances"]
    ec2_backends[MEMBER][region].get_instance(created["InstanceId"]).id = instance


@pytest.fixture
def stolen(iam: IamLab) -> IamLab:
    """Its credentials were used where it runs."""
    iam.finding_type = EXFILTRATION
    run_instance()
    return iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})


def handed_over_finding(iam: IamLab) -> Json:
    [(name, make)] = iam.planned().hand_over.items()
    assert name == "ec2_instance"
    return dict(json.loads(json.dumps(make())))


def test_the_instance_is_handed_over_as_a_finding_about_it(stolen: IamLab) -> None:
    seen, other = stolen.finding(), finding.parse(handed_over_finding(stolen))
    assert manifests.playbook_for(seen)[0] == "iam_principal"
    assert manifests.playbook_for(other) == (
        "ec2_instance",
        "an EC2 instance is the actor or the infected host",
    )
    assert other.incident_id != seen.incident_id
    assert (other.account_id, other.region, other.type, other.severity) == (
        MEMBER,
        REGION,
        EXFILTRATION,
        8.0,
    )
    assert (
        finding.get(
            other.detail,
            "resource",
            "instanceDetails",
            "instanceId",
        )
        == INSTANCE
    )
    assert INSTANCE in other.title


def test_the_manifest_names_the_types_that_show_an_instance() -> None:
    """Terraform switches the other playbook on for them."""
    [other] = catalogue.manifests()["iam_principal"]["hands_over"]
    assert other == {"playbook": "ec2_instance", "finding_types": [f"{hand_over.EXFILTRATION}*"]}


def test_it_is_the_same_incident_however_often(stolen: IamLab) -> None:
    first, second = handed_over_finding(stolen), handed_over_finding(stolen)
    stolen.clock_offset += 3600
    assert finding.parse(first).incident_id == finding.parse(second).incident_id


def test_two_instances_of_one_finding_are_two_incidents(stolen: IamLab) -> None:
    first = finding.parse(handed_over_finding(stolen))
    run_instance(instance="i-0fedcba9876543210")
    stolen.details["principalId"] = f"{stolen.ids['roles']['app']}:i-0fedcba9876543210"
    assert finding.parse(handed_over_finding(stolen)).incident_id != first.incident_id


def test_the_sessions_are_denied_all_the_same(stolen: IamLab) -> None:
    assert stolen.respond().status is Status.CONTAINED
    assert not is_allowed(stolen, INSTANCE, -60)


@pytest.mark.parametrize("session", ["carol", "i-12", "botocore-session-1"])
def test_no_other_session_is_handed_over(iam: IamLab, session: str) -> None:
    iam.role(session=session, trust={"Service": "ec2.amazonaws.com"})
    assert iam.planned().hand_over == {}


def test_what_the_finding_says_of_the_instance_goes_along(iam: IamLab) -> None:
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    iam.role(details["userName"], session=None, trust={"Service": "ec2.amazonaws.com"})
    _, _, instance = details["principalId"].partition(":")
    details["principalId"] = f"{iam.ids['roles'][details['userName']]}:{instance}"
    instance_details = {"instanceId": instance, "tags": [{"key": "team", "value": "web"}]}
    event["detail"]["resource"]["instanceDetails"] = instance_details
    run_instance(event["detail"]["region"], instance)
    iam.ids["event"] = event
    original = copy.deepcopy(event)
    resource = handed_over_finding(iam)["detail"]["resource"]
    assert resource["instanceDetails"] == instance_details
    assert iam.ids["event"] == original, "the finding itself is left as it came"
    instance_details["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    resource = handed_over_finding(iam)["detail"]["resource"]
    assert resource["instanceDetails"] == {"instanceId": instance}, (
        "another instance's details are not taken"
    )


# -- where the instance is -------------------------------------------------------------------------


def queried_regions(iam: IamLab) -> list[str]:
    """Regions in which EC2 was asked for the instance."""
    return [
        call.region
        for call in iam.calls
        if call.operation == "DescribeInstances" and "instance-id" in str(call.params)
    ]


@pytest.mark.parametrize("region", [HOME, THIRD])
def test_it_is_answered_where_it_runs_not_where_its_credentials_were_used(
    iam: IamLab, region: str
) -> None:
    iam.finding_type = EXFILTRATION
    run_instance(region)
    other = finding.parse(handed_over_finding(iam.role(session=INSTANCE)))
    assert iam.finding().region == REGION
    assert other.region == region
    assert queried_regions(iam)[0] == REGION, "the likeliest first"
    assert iam.respond().status is Status.CONTAINED


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("eu-west-3b", "eu-west-3"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-gov-west-1a", "us-gov-west-1"),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
    ],
)
def test_the_finding_may_say_it(iam: IamLab, zone: str, region: str) -> None:
    iam.finding_type = EXFILTRATION
    iam.role(session=INSTANCE)
    detail = copy.deepcopy(iam.finding().detail)
    details = {"instanceId": INSTANCE, "availabilityZone": zone}
    detail["resource"]["instanceDetails"] = details
    iam.ids["event"] = {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": detail,
    }
    assert finding.parse(handed_over_finding(iam)).region == region
    assert queried_regions(iam) == []
    details["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    run_instance()
    assert finding.parse(handed_over_finding(iam)).region == REGION, (
        "another instance's zone is not taken"
    )


def test_nowhere_is_said_and_opens_no_incident(iam: IamLab) -> None:
    iam.finding_type = EXFILTRATION
    iam.role(session=INSTANCE)
    with pytest.raises(
        ResponseError,
        match=r"in none of the 3 Regions that answered \(terminated over an hour ago, or not",
    ):
        handed_over_finding(iam)


@pytest.mark.parametrize("found", [False, True])
def test_a_region_that_cannot_be_read_is_named_unless_another_has_it(
    iam: IamLab, found: bool
) -> None:
    iam.fail(
        "DescribeInstances",
        "UnauthorizedOperation",
        lambda params: params["region"] == THIRD,
    )
    iam.fail(
        "DescribeInstances",
        "RequestLimitExceeded",
        lambda params: params["region"] == REGION,
    )
    iam.finding_type = EXFILTRATION
    iam.role(session=INSTANCE)
    if found:
        run_instance(HOME)
        assert finding.parse(handed_over_finding(iam)).region == HOME
        return
    reason = (
        rf"none of the 1 Regions that answered \(not queried: {REGION} \(RequestLimitExceeded.*not"
        rf" queried: {THIRD} \(Unauth"
    )
    with pytest.raises(ResponseError, match=reason):
        handed_over_finding(iam)


def test_a_region_that_does_not_answer_is_not_waited_for(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows, ended = instance_region._describe, threading.Event()

    def slow(session: clients.Session, region: str, instance: str) -> Json | None:
        if region == THIRD:
            ended.wait(20)
            return None
        return knows(session, region, instance)

    monkeypatch.setattr(instance_region, "_describe", slow)
    monkeypatch.setattr(instance_region, "SECONDS", 0.5)
    iam.finding_type = EXFILTRATION
    with pytest.raises(ResponseError, match=rf"not queried: {THIRD} \(no answer in 0.5 s\)"):
        handed_over_finding(iam.role(session=INSTANCE))
    ended.set()


def test_where_regions_cannot_be_listed_it_is_said(iam: IamLab) -> None:
    iam.finding_type = EXFILTRATION
    iam.fail("ListRegions", "AccessDeniedException")
    with pytest.raises(ResponseError, match="the enabled Regions could not be listed"):
        handed_over_finding(iam.role(session=INSTANCE))


@pytest.mark.parametrize("active", [["iam_principal", "ec2_instance"], ["iam_principal"], []])
def test_an_instance_that_was_not_handed_over_is_escalated(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch, active: list[str]
) -> None:
    """PARTIAL wakes people: the instance hands out the next credentials, whether it was not found
    or no switch lets the other playbook act.
    """
    iam.finding_type = EXFILTRATION
    context = iam.context
    monkeypatch.setattr(iam, "context", lambda *a, **k: replaced(context(*a, **k), active))
    target = iam.role(session=INSTANCE).plan()
    text = "instance i-1 is in none of the Regions"
    iam.context().log_action(
        target,
        "hand_over_to_ec2_instance",
        "FAILED",
        text,
    )
    result = iam.respond(target)
    assert result.status is Status.PARTIAL
    assert text in result.detail
    assert f"Name=instance-id,Values={INSTANCE}" in result.detail, "the command"
    assert not is_allowed(iam, INSTANCE, -60)


def test_an_instance_that_nobody_found_is_missing_in_a_recheck_too(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recheck finds nobody: it says what the plan's hand-over came to."""
    iam.finding_type = EXFILTRATION
    context, active = iam.context, ["iam_principal", "ec2_instance"]
    monkeypatch.setattr(iam, "context", lambda *a, **k: replaced(context(*a, **k), active))
    target = iam.role(session=INSTANCE).plan()
    name, text = "hand_over_to_ec2_instance", "instance i-1 is in none of the Regions"
    iam.context().log_action(target, name, "FAILED", text)
    assert iam.respond(target).status is Status.PARTIAL
    step, checks = playbook.verify(iam.context(), target._replace(verify_only=True))
    assert (step.status, text in step.detail) == (Status.PARTIAL, True)
    assert [check.name for check in checks if not check.ok] == [name]
    step, _ = playbook.verify(iam.context(), target._replace(attach="inc-2"))
    assert step.status is Status.CONTAINED, "another incident's hand-over is not judged"
    iam.context().log_action(target, name, "DONE", "incident inc-3")
    step, checks = playbook.verify(iam.context(), target._replace(verify_only=True))
    assert step.status is Status.CONTAINED
    assert [check.ok for check in checks if check.name == name] == [True]


def replaced(context: Context, active: list[str]) -> Context:
    return dataclasses.replace(context, config=context.config._replace(active_playbooks=active))


# -- through the playbook function -----------------------------------------------------------------


def stolen_event(deployment: Deployment) -> Json:
    """About a role that there is in the member account."""
    event = load_finding(NAME)
    details = event["detail"]["resource"]["accessKeyDetails"]
    created = onlooker("iam").create_role(
        RoleName=details["userName"], AssumeRolePolicyDocument="{}"
    )["Role"]
    instance = details["principalId"].partition(":")[2]
    details["principalId"] = f"{created['RoleId']}:{instance}"
    run_instance(event["detail"]["region"], instance)
    return event


def test_the_machine_gets_the_stored_event(
    deployment: Deployment, open_incident: OpenIncident
) -> None:
    event = stolen_event(deployment)
    incident_id = open_incident(event)
    answer = plan_incident(incident_id)
    assert answer["decision"] == "act"
    [other] = answer["hand_over"]
    stored = json.loads(deployment.evidence(incident_id)[other["finding_key"].split("/")[-1]])
    assert manifests.playbook_for(finding.parse(stored))[0] == "ec2_instance"
    instance = event["detail"]["resource"]["accessKeyDetails"]["principalId"].partition(":")[2]
    assert stored["detail"]["resource"]["instanceDetails"]["instanceId"] == instance
    [target] = deployment.targets(incident_id)
    assert target["actions"]["hand_over_to_ec2_instance"]["status"] == "DONE"
    assert open_event(stored, f"{EXECUTIONS}incident:two") != incident_id


def test_where_no_instance_may_be_answered_it_is_said(
    deployment: Deployment, open_incident: OpenIncident
) -> None:
    incident_id = open_incident(stolen_event(deployment), active=("iam_principal",))
    assert plan_incident(incident_id)["hand_over"] == []
    [target] = deployment.targets(incident_id)
    line = target["actions"]["hand_over_to_ec2_instance"]
    assert line["status"] == "FAILED"
    assert "no switch lets playbook ec2_instance act" in line["detail"]


def test_what_a_hand_over_came_to_outlives_an_approval(
    deployment: Deployment, open_incident: OpenIncident
) -> None:
    """The containment begins after it, and nothing is handed over twice."""
    active = ("iam_principal",)
    asked = {"remediations": {"*": "approve"}}
    incident_id = open_incident(stolen_event(deployment), asked, active=active)
    answer = plan_incident(incident_id)
    assert answer["decision"] == "approve"
    approve_incident(incident_id)
    again = plan_incident(incident_id, approved=True)
    assert (again["decision"], again["hand_over"]) == ("act", [])
    [target] = again["targets"]
    contain_target(incident_id, target)
    [stored] = deployment.targets(incident_id)
    line = stored["actions"]["hand_over_to_ec2_instance"]
    assert line["status"] == "FAILED"
    assert "no switch lets playbook ec2_instance act" in line["detail"]
